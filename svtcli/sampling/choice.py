"""How a code is chosen from its distribution (§4.2: temperature).

A code is argmax(logits + τ·g) with Gumbel noise g: a draw from softmax(logits/τ) and,
at τ = 0, the likeliest value.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Choice(NamedTuple):
    """The rule by which codes are chosen."""

    temperature: Float[Array, ""]

    @classmethod
    def of(cls, temperature: float) -> "Choice":
        """The rule from plain numbers."""
        return cls(jnp.asarray(temperature, jnp.float32))


def choose(
    logits: Float[Array, "*any V"], noise: Float[Array, "*any V"], choice: Choice
) -> Int[Array, "*any"]:
    """A draw from softmax(logits / temperature)."""
    scaled = (choice.temperature * noise).astype(logits.dtype)
    return jnp.argmax(logits + scaled, axis=-1)
