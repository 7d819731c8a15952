"""Slice encoder (§3.2): the context of a slice, from the slices before it."""

from math import prod

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float, Int, UInt8

from svtcli.model.attention import apply_layers, layer_stack
from svtcli.model.kernels import linear, rows_at, sum_of_rows
from svtcli.model.parameters import (
    Float32Param,
    PositionEmbedding,
    embedding,
    fan_in_normal,
)
from svtcli.model.subscale import context_patches
from svtcli.recipe.model import Model


class Encoder(nnx.Module):
    """Earlier slices → a state for each pixel of the next slice."""

    def __init__(self, config: Model, rngs: nnx.Rngs) -> None:
        self.config = config
        taps = prod(config.context_kernel)
        one_hot = config.codes * config.values
        self.context_kernel = fan_in_normal(
            rngs, (taps, config.codes, config.values, config.de), taps * one_hot
        )
        self.positions = PositionEmbedding(config.slice_shape, config.de, rngs)
        self.slice_embedding = embedding(
            rngs, config.slices, config.de, kind=Float32Param
        )
        width = config.de + config.s[0] * config.actions
        self.projection = fan_in_normal(rngs, (width, config.d), width)
        self.layers = layer_stack(
            config, config.encoder_layers, causal=False, rngs=rngs
        )

    def __call__(
        self,
        codes: UInt8[Array, "B T H W C"],
        index: Int[Array, " B"],
        actions: Float[Array, "B T A"] | None = None,
        *,
        remat: bool = False,
    ) -> Float[Array, "B t h w D"]:
        """Context of slice `index`; only the slices before it are read."""
        patches = context_patches(codes, index, self.config)
        patches = rearrange(patches, "B t h w taps C -> B t h w (taps C)")
        kernel = rearrange(self.context_kernel[...], "taps C V E -> (taps C) V E")
        z = sum_of_rows(patches, kernel) + self.positions()
        z = z + rows_at(index, self.slice_embedding[...])[:, None, None, None]
        if self.config.actions:
            if actions is None:
                raise ValueError("this model is conditioned on actions")
            z = jnp.concatenate([z, self._broadcast(actions.astype(z.dtype))], axis=-1)
        # Positions and slices are added in float32, products have their own precision.
        projection = self.projection[...]
        z = linear(z.astype(projection.dtype), projection)
        return apply_layers(self.layers, z, remat=remat)

    def _broadcast(self, actions: Float[Array, "B T A"]) -> Float[Array, "B t h w stA"]:
        """Position i of a slice gets the actions of frames i·st … i·st+st−1."""
        grouped = rearrange(
            actions, "B (t st) A -> B t 1 1 (st A)", st=self.config.s[0]
        )
        B, (t, h, w) = len(actions), self.config.slice_shape
        return jnp.broadcast_to(grouped, (B, t, h, w, grouped.shape[-1]))
