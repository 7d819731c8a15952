"""How a code is chosen from its distribution (§4.2: temperature; top-k and top-p).

A code is argmax(logits + τ·g) with Gumbel noise g over the values that are kept: a draw
from softmax(logits/τ) of these and, at τ = 0, the likeliest value. The noise does not
depend on what is kept.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


class Choice(NamedTuple):
    """The rule by which codes are chosen.

    What is None is no part of the program; what is not is read when it runs, so that
    another value compiles nothing.
    """

    temperature: Float[Array, ""]
    top_k: Int[Array, ""] | None = None
    """How many of the likeliest values are kept, of equal ones the lower."""
    top_p: Float[Array, ""] | None = None
    """Of these, the fewest likeliest whose probability reaches this are kept."""

    @classmethod
    def of(
        cls, temperature: float, top_k: int | None = None, top_p: float | None = None
    ) -> "Choice":
        """The rule from plain numbers: temperature ≥ 0, top_k ≥ 1, 0 < top_p ≤ 1."""
        return cls(
            jnp.asarray(temperature, jnp.float32),
            None if top_k is None else jnp.asarray(top_k, jnp.int32),
            None if top_p is None else jnp.asarray(top_p, jnp.float32),
        )


def choose(
    logits: Float[Array, "*any V"], noise: Float[Array, "*any V"], choice: Choice
) -> Int[Array, "*any"]:
    """A draw from softmax(logits / temperature), of the values that are kept.

    In at least the noise's precision, whatever that of the logits.
    """
    logits = logits.astype(jnp.promote_types(logits.dtype, noise.dtype))
    drawn = logits + (choice.temperature * noise).astype(logits.dtype)
    if choice.top_k is not None or choice.top_p is not None:
        drawn = jnp.where(_kept(logits, choice), drawn, -jnp.inf)
    return jnp.argmax(drawn, axis=-1)


def _kept(logits: Float[Array, "*any V"], choice: Choice) -> Bool[Array, "*any V"]:
    """Which values may be drawn: temperature first, then top-k, then top-p.

    Each value is compared with all others: V is small, and sorting slow.
    """
    V = logits.shape[-1]
    this, other = logits[..., :, None], logits[..., None, :]
    lower = np.tri(V, k=-1, dtype=bool)  # the other one's number is the lower
    likelier = (other > this) | ((other == this) & lower)
    kept = jnp.ones(logits.shape, bool)
    if choice.top_k is not None:
        kept = likelier.sum(axis=-1) < choice.top_k
    if choice.top_p is not None:
        # At temperature 0 the likeliest has all of the probability.
        tiny = jnp.finfo(jnp.float32).tiny
        below = logits - logits.max(axis=-1, keepdims=True)
        scaled = below / jnp.maximum(choice.temperature, tiny)
        share = jax.nn.softmax(jnp.where(kept, scaled, -jnp.inf))
        before = jnp.where(likelier, share[..., None, :], 0).sum(axis=-1)
        # Rounded, shares may sum up to 1 too early.
        kept &= (before < choice.top_p) | (choice.top_p >= 1)
    return kept
