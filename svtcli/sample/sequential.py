"""Sequential sampling: pixel by pixel with cached keys and values (§3).

The definition of a sample; the other schedules give the same.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from svtcli.model.decoder import Decoder
from svtcli.sample.slice_state import Carry, SliceStart, sample_pixels


@dataclass(frozen=True)
class Sequential:
    """One pass of the decoder a pixel."""

    name: str = "sequential"
    window: None = None

    def __call__(
        self, decoder: Decoder, start: SliceStart, *, first: bool
    ) -> tuple[Carry, Int[Array, " B"]]:
        B, P, _ = start.codes.shape

        def one_position(position: Int[Array, ""], carry: Carry) -> Carry:
            added = start.position_and_context[:, position]
            y, cache = decoder.step(carry.cache, added, position)
            noise, rule = start.noise[:, position], start.inputs.rule
            pixel, logits = sample_pixels(decoder, cache, y, noise, rule)
            return Carry(
                decoder.remember(cache, pixel, position),
                carry.codes.at[:, position].set(pixel),
                carry.logits.at[:, position].set(logits),
            )

        begin = Carry.begin(decoder, start)
        carry = jax.lax.fori_loop(start.start, P, one_position, begin)
        return carry, jnp.full(B, P - start.start)
