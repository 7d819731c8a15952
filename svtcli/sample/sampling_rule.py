"""Drawing a code: noise addressed by its pixel, and the rule (§4.2: temperature).

A code is argmax(logits + τ·g) with Gumbel noise g, over the values that top-k and top-p
keep: a draw from softmax(logits / τ) of these and, at τ = 0, the likeliest value.

The noise of a pixel depends on the seed, the clip, the continuation and the pixel's
absolute frame, row and column; not on the rule, the batch, the slice, the window, the
schedule or the device.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from svtcli.model.subscale import slice_offsets
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Sample
from svtcli.train.backend import key_of


class SamplingRule(NamedTuple):
    """Temperature, top-k and top-p.

    None is left out of the compiled program; any other value is an input of it, so that
    another value compiles nothing.
    """

    temperature: Float[Array, ""]
    top_k: Int[Array, ""] | None = None
    """Number of the likeliest values kept; ties go to the lower value."""
    top_p: Float[Array, ""] | None = None
    """Probability that the fewest likeliest of these reach, which are kept."""

    @classmethod
    def of(
        cls, temperature: float, top_k: int | None = None, top_p: float | None = None
    ) -> "SamplingRule":
        """Rule from plain numbers: temperature ≥ 0, top_k ≥ 1, 0 < top_p ≤ 1."""
        return cls(
            jnp.asarray(temperature, jnp.float32),
            None if top_k is None else jnp.asarray(top_k, jnp.int32),
            None if top_p is None else jnp.asarray(top_p, jnp.float32),
        )

    @classmethod
    def from_settings(cls, settings: Sample) -> "SamplingRule":
        """Rule of a recipe's section `sample`, whose keys have the fields' names."""
        return cls.of(*(getattr(settings, name) for name in cls._fields))


def choose(
    logits: Float[Array, "*any V"], noise: Float[Array, "*any V"], rule: SamplingRule
) -> Int[Array, "*any"]:
    """Draw from softmax(logits / temperature) of the kept values.

    In at least the noise's precision, whatever that of the logits.
    """
    logits = logits.astype(jnp.promote_types(logits.dtype, noise.dtype))
    drawn = logits + (rule.temperature * noise).astype(logits.dtype)
    if rule.top_k is not None or rule.top_p is not None:
        drawn = jnp.where(_kept(logits, rule), drawn, -jnp.inf)
    return jnp.argmax(drawn, axis=-1)


def _kept(logits: Float[Array, "*any V"], rule: SamplingRule) -> Bool[Array, "*any V"]:
    """Mask of the values that may be drawn: temperature, then top-k, then top-p.

    Each value is compared with all others: V is small, and sorting slow.
    """
    V = logits.shape[-1]
    this, other = logits[..., :, None], logits[..., None, :]
    lower = np.tri(V, k=-1, dtype=bool)  # the other value is lower
    likelier = (other > this) | ((other == this) & lower)
    kept = jnp.ones(logits.shape, bool)
    if rule.top_k is not None:
        kept = likelier.sum(axis=-1) < rule.top_k
    if rule.top_p is not None:
        # At temperature 0 the likeliest value has all of the probability.
        tiny = jnp.finfo(jnp.float32).tiny
        below = logits - logits.max(axis=-1, keepdims=True)
        scaled = below / jnp.maximum(rule.temperature, tiny)
        share = jax.nn.softmax(jnp.where(kept, scaled, -jnp.inf))
        before = jnp.where(likelier, share[..., None, :], 0).sum(axis=-1)
        # Rounded shares may sum up to 1 too early.
        kept &= (before < rule.top_p) | (rule.top_p >= 1)
    return kept


def row_keys(
    seed: int, clips: Int[np.ndarray, " B"], continuations: Int[np.ndarray, " B"]
) -> Key[Array, " B"]:
    """One key for each sampled video."""
    root = key_of(seed)
    return jax.vmap(
        lambda clip, m: jax.random.fold_in(jax.random.fold_in(root, clip), m)
    )(clips, continuations)


def slice_noise(
    keys: Key[Array, " B"],
    config: Model,
    index: Int[Array, ""],
    first_frame: Int[Array, ""],
) -> Float[Array, "B P C V"]:
    """Gumbel noise for every code of slice `index` of a window at `first_frame`."""
    t, h, w = config.slice_shape
    _, H, W = config.video
    place = np.indices((t, h, w)).reshape(3, -1).T * np.array(config.s)
    frame, row, column = (place + jnp.asarray(slice_offsets(config.s))[index]).T
    pixel = ((first_frame + frame) * H + row) * W + column  # [P]
    shape = (config.codes, config.values)

    def of_pixel(key: Key[Array, ""], number: Int[Array, ""]) -> Float[Array, "C V"]:
        return jax.random.gumbel(jax.random.fold_in(key, number), shape, jnp.float32)

    return jax.vmap(lambda key: jax.vmap(lambda p: of_pixel(key, p))(pixel))(keys)
