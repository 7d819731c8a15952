"""The Subscale Video Transformer (§3): encode the context, decode the slice.

p(x) = Π over slices Π over pixels Π over codes  p(code | all before it)     (eq. 1)
"""

from functools import lru_cache
from math import prod

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from svtcli.model.attention import apply_layers, layer_stack
from svtcli.model.decoder import Decoder
from svtcli.model.kernels import linear, rows_at, sum_of_rows
from svtcli.model.parameters import (
    Float32Param,
    Keys,
    Params,
    PositionEmbedding,
    embedding,
    fan_in_normal,
)
from svtcli.model.subscale import context_patches, context_taps, take_slice
from svtcli.recipe.model import Model


class Encoder(nnx.Module):
    """Slice encoder (§3.2): earlier slices → a state for each pixel of the next."""

    def __init__(self, config: Model, rngs: Keys) -> None:
        self.config = config
        taps = prod(config.context_kernel)
        tables = (taps, config.codes, config.values, config.de)
        self.context_kernel = fan_in_normal(rngs, tables, taps * config.codes)
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
        kernel = self.context_kernel[...][: context_taps(self.config)]
        kernel = rearrange(kernel, "taps C V E -> (taps C) V E")
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


class SVT(nnx.Module):
    """The whole network; with a first-slice decoder if the recipe has one (§4.3)."""

    def __init__(self, config: Model, rngs: Keys) -> None:
        self.config = config
        self.encoder = Encoder(config, rngs)
        self.decoder = Decoder(config, config.decoder_layers, context=True, rngs=rngs)
        if config.first_slice_layers:
            self.first_decoder = Decoder(
                config, config.first_slice_layers, context=False, rngs=rngs
            )

    def __call__(
        self,
        codes: UInt8[Array, "B T H W C"],
        index: Int[Array, " B"],
        actions: Float[Array, "B T A"] | None = None,
        *,
        first: bool = False,
        remat: bool = False,
    ) -> Float[Array, "B t h w *logits"]:
        """Logits of slice `index` of each video, teacher-forced.

        With `first`, every row is slice (0, 0, 0) and takes the first-slice decoder.
        `remat` saves memory in the backward pass (`kernels.apply_remat`).
        """
        slice_codes = take_slice(codes, index, self.config.s)
        context = None if first else self.encoder(codes, index, actions, remat=remat)
        return self.decoder_of(first=first)(slice_codes, context, remat=remat)

    def decoder_of(self, *, first: bool) -> Decoder:
        """Decoder of the first slice, or of all others."""
        return self.first_decoder if first else self.decoder


def create(config: Model, key: PRNGKeyArray) -> tuple[nnx.GraphDef, Params]:
    """Return the structure of a new network, and its initial parameters."""
    graphdef, state = nnx.split(SVT(config, Keys(key)))
    return graphdef, nnx.to_pure_dict(state)


def structure(config: Model) -> tuple[nnx.GraphDef, Params]:
    """Return the structure of a network, and the shapes of its parameters.

    Nothing is computed or allocated.
    """
    graphdef, params = _structure(config, jnp.result_type(float))
    return graphdef, jax.tree.map(lambda shape: shape, params)  # the caller's own tree


@lru_cache(maxsize=64)  # one command asks several times, and it is slow to trace
def _structure(config: Model, number: DTypeLike) -> tuple[nnx.GraphDef, Params]:
    """`number` is JAX's type of a float, which depends on `jax_enable_x64`."""
    graphdef, state = nnx.split(
        nnx.eval_shape(lambda: SVT(config, Keys(jax.random.key(0))))
    )
    return graphdef, nnx.to_pure_dict(state)


def abstract_params(config: Model) -> Params:
    """Shapes and types of all parameters."""
    return structure(config)[1]


def network(graphdef: nnx.GraphDef, params: Params) -> SVT:
    """Return the network with these parameters; it computes in their precision."""
    return nnx.merge(graphdef, params)


def parameter_count(config: Model) -> int:
    """Number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(abstract_params(config)))
