"""Block-local self-attention (§3.1, eq. 2–6), for a slice and for one position.

`LayerCache` is what one layer remembers of the positions it has seen; the one-position
form `step` reads and extends it and gives what the parallel form gives there.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from svtcli.model import initializers as initial
from svtcli.model.blocks import Blocks
from svtcli.model.kernels.cache_attention import attend, put_boxes
from svtcli.model.kernels.norm import layer_norm, norm
from svtcli.model.kernels.softmax import biased_softmax
from svtcli.recipe.model import Model


class LayerCache(NamedTuple):
    """Keys and values of a slice in one layer, by block, and the layer's bias."""

    keys_values: Float[Array, "B N 2 K L a"]
    """Side by side, so that a position is written, and a block read, at once."""
    bias: Float[Array, "K L L"]


class Layer(nnx.Module):
    """Attention within blocks, then a two-layer map, each with its residual."""

    def __init__(
        self,
        blocks: Blocks,
        d: int,
        heads: int,
        head_size: int,
        *,
        causal: bool,
        rngs: nnx.Rngs,
    ) -> None:
        self.blocks = blocks
        self.causal = causal
        width = heads * head_size
        self.attention_norm = layer_norm(d, rngs)
        self.query_key_value = initial.fan_in_normal(rngs, (d, 3, heads, head_size), d)
        self.relative_bias = nnx.Dict(
            {
                axis: initial.zeros(heads, 2 * extent - 1)
                for axis, extent in zip("thw", blocks.extent, strict=True)
            }
        )
        self.projection = initial.fan_in_normal(rngs, (heads, head_size, d), width)
        self.map_norm = layer_norm(d, rngs)
        self.map_in = initial.fan_in_normal(rngs, (d, d), d)
        self.map_out = initial.fan_in_normal(rngs, (d, d), d)

    def __call__(
        self, z: Float[Array, "B t h w D"]
    ) -> tuple[Float[Array, "B t h w D"], LayerCache]:
        """The layer applied to a whole slice, and what sampling needs of it.

        Only heads are put in blocks and back, each by one transpose. All else works on
        the positions as one tall matrix, in raster order: what products like best.
        """
        shape, z = z.shape, z.reshape(-1, z.shape[-1])
        heads = self._query_key_value(z)
        heads = heads.reshape(*shape[:4], *heads.shape[1:])
        q, k, v = jnp.unstack(self.blocks.split(heads))
        # Else XLA's GPU compiler writes it down once for every block.
        bias = jax.lax.optimization_barrier(self.bias())
        scores = jnp.einsum("BNKia,BNKja->BNKij", q, k)
        attended = jnp.einsum("BNKij,BNKja->BNKia", self._softmax(scores, bias), v)
        attended = self.blocks.merge(attended)
        z = z + self._project(attended.reshape(-1, *attended.shape[4:]))
        z = z + self._map(z)
        return z.reshape(shape), LayerCache(jnp.stack([k, v], axis=2), bias)

    def step(
        self,
        z: Float[Array, "B D"],
        cache: LayerCache,
        block: Int[Array, ""],
        place: Int[Array, ""],
    ) -> tuple[Float[Array, "B D"], LayerCache]:
        """The layer applied to the position at `place` of `block`, after the others."""
        heads = self._query_key_value(z)
        here = (0, block, 0, 0, place, 0)
        keys_values = jax.lax.dynamic_update_slice(
            cache.keys_values, heads[:, None, 1:, :, None], here
        )
        keys, values = jnp.unstack(
            jax.lax.dynamic_index_in_dim(keys_values, block, 1, keepdims=False), axis=1
        )
        bias = jax.lax.dynamic_index_in_dim(cache.bias, place, 1, keepdims=False)
        scores = jnp.einsum("BKa,BKLa->BKL", heads[:, 0], keys)
        attended = jnp.einsum("BKL,BKLa->BKa", self._softmax(scores, bias), values)
        z = z + self._project(attended)
        z = z + self._map(z)
        return z, LayerCache(keys_values, cache.bias)

    def steps(
        self,
        z: Float[Array, "B M U D"],
        cache: LayerCache,
        runs: Int[Array, "B M"],
    ) -> tuple[Float[Array, "B M U D"], LayerCache]:
        """The layer applied to M runs of U positions of each row, at once.

        Row b's runs begin at the positions `runs[b]`, multiples of U; what comes before
        each must be in the cache or in a run. Keys and values enter the cache first, so
        the runs attend to one another as the mask of their block says.
        """
        shape, z = z.shape, z.reshape(-1, z.shape[-1])
        heads = self._query_key_value(z)
        heads = heads.reshape(*shape[:3], *heads.shape[1:])
        q, k, v = jnp.unstack(self.blocks.split_runs(heads))
        block, place = (jnp.asarray(of)[runs] for of in self.blocks.places())
        boxes = jnp.stack([k, v], axis=3)
        keys_values = put_boxes(cache.keys_values, boxes, block, place)
        attended = attend(q, keys_values, cache.bias, block, place)
        attended = self.blocks.merge_runs(attended)
        z = z + self._project(attended.reshape(-1, *attended.shape[3:]))
        z = z + self._map(z)
        return z.reshape(shape), LayerCache(keys_values, cache.bias)

    def bias(self) -> Float[Array, "K L L"]:
        """B of eq. 3: a sum over the axes of a bias of the relative distance.

        In a causal layer, −∞ where the second position comes after the first.
        """
        t, h, w = (self._axis_bias(axis) for axis in "thw")  # each [K, e, e]
        total = (
            t[:, :, None, None, :, None, None]
            + h[:, None, :, None, None, :, None]
            + w[:, None, None, :, None, None, :]
        )
        length = self.blocks.length
        bias = total.reshape(-1, length, length)
        if not self.causal:
            return bias
        return jnp.where(np.tri(length, dtype=bool), bias, -jnp.inf)

    def _axis_bias(self, axis: str) -> Float[Array, "K e e"]:
        """At (i, j) the bias of the distance i − j.

        By reshapes, for the gradient of a look-up is a scatter: the biases backwards,
        with one number more, repeated, and cut in rows of one number less. So each row
        begins one later.
        """
        extent = self.blocks.extent["thw".index(axis)]
        biases = self.relative_bias[axis][...]
        backwards = jnp.pad(biases[:, ::-1], ((0, 0), (0, 1)))
        repeated = jnp.tile(backwards, extent)[:, :-extent]
        return repeated.reshape(-1, extent, 2 * extent - 1)[:, :, extent - 1 :]

    def _query_key_value(self, z: Float[Array, "R D"]) -> Float[Array, "R 3 K a"]:
        """Eq. 2 for any rows: queries, keys and values by one product."""
        maps = self.query_key_value[...]
        normed = norm(self.attention_norm, z)
        return (normed @ maps.reshape(len(maps), -1)).reshape(-1, *maps.shape[1:])

    def _softmax(
        self, scores: Float[Array, "*any L"], bias: Float[Array, "*some L"]
    ) -> Float[Array, "*any L"]:
        """Eq. 3 and 4 of products of queries and keys, in at least float32."""
        _, _, _, da = self.query_key_value.shape
        return biased_softmax(scores, bias, da**-0.5)

    def _project(self, attended: Float[Array, "R K a"]) -> Float[Array, "R D"]:
        """The heads joined and mapped back to the hidden width (eq. 5)."""
        return jnp.einsum("RKa,KaD->RD", attended, self.projection[...])

    def _map(self, z: Float[Array, "*any D"]) -> Float[Array, "*any D"]:
        """relu(layernorm(z) T1) T2 of eq. 6."""
        normed = norm(self.map_norm, z)
        return jax.nn.relu(normed @ self.map_in[...]) @ self.map_out[...]


def layer_stack(config: Model, depth: int, *, causal: bool, rngs: nnx.Rngs) -> nnx.Dict:
    """`depth` layers with the blocks and heads that the recipe gives them."""
    blocks, heads = config.layer_blocks(depth), config.layer_heads(depth)
    return nnx.Dict(
        {
            f"layer_{i + 1}": Layer(
                Blocks.of(block, config.slice_shape),
                config.d,
                na,
                config.da,
                causal=causal,
                rngs=rngs,
            )
            for i, (block, na) in enumerate(zip(blocks, heads, strict=True))
        }
    )


def through(
    layers: nnx.Dict, z: Float[Array, "B t h w D"], *, remat: bool
) -> Float[Array, "B t h w D"]:
    """The layers one after the other; `remat` keeps only what goes into each for the
    backward pass, which then computes the rest once more."""
    for layer in layers.values():
        if remat:
            structure, params = nnx.split(layer)
            z = _forgetful(structure, params, z)
        else:
            z, _ = layer(z)
    return z


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _forgetful(
    structure: nnx.GraphDef, params: nnx.State, z: Float[Array, "B t h w D"]
) -> Float[Array, "B t h w D"]:
    """A layer of which only the input is kept for the backward pass.

    As `jax.checkpoint`, but that its second forward pass cannot start before the
    gradient is there: on CPUs XLA drops the barriers of `jax.checkpoint`, runs all the
    second passes early, and so keeps every activation after all.
    """
    return _forward(structure, params, z)


def _forward(structure: nnx.GraphDef, params: nnx.State, z: Array) -> Array:
    after, _ = nnx.merge(structure, params)(z)
    return after


def _keep_input(structure: nnx.GraphDef, params: nnx.State, z: Array) -> Any:
    return _forgetful(structure, params, z), (params, z)


def _compute_again(structure: nnx.GraphDef, kept: Any, gradient: Array) -> Any:
    params, z = kept
    waits = 0 * gradient[:, :1, :1, :1, :1]
    _, back = jax.vjp(partial(_forward, structure), params, z + waits)
    return back(gradient)


_forgetful.defvjp(_keep_input, _compute_again)
