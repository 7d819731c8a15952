"""Block-local self-attention (§3.1, eq. 2–6): whole slices, one position, and runs.

    [q, k, v] = layernorm(z) W_qkv                 (2)
    A = softmax(q kᵀ / √da + B)                    (3, 4)
    z ← z + concat(A v) W_p                        (5)
    z ← z + relu(layernorm(z) T_1) T_2             (6)

The forms are equal: `step` and `steps` extend the `LayerCache` that `__call__` leaves.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from svtcli.model.blocks import Blocks
from svtcli.model.kernels import (
    LayerNorm,
    apply_remat,
    attend,
    biased_softmax,
    put_boxes,
)
from svtcli.model.parameters import Keys, fan_in_normal, zero_bias
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
        depth: int,
        causal: bool,
        rngs: Keys,
    ) -> None:
        """Each of `depth` layers adds little to the residual stream at first."""
        self.blocks = blocks
        self.causal = causal
        width = heads * head_size
        self.attention_norm = LayerNorm(d, rngs)
        self.query_key_value = fan_in_normal(rngs, (d, 3, heads, head_size), d)
        self.relative_bias = nnx.Dict(
            {
                axis: zero_bias(heads, 2 * extent - 1)
                for axis, extent in zip("thw", blocks.extent, strict=True)
            }
        )
        self.projection = fan_in_normal(rngs, (heads, head_size, d), 2 * depth * width)
        self.map_norm = LayerNorm(d, rngs)
        self.map_in = fan_in_normal(rngs, (d, d), d)
        self.map_out = fan_in_normal(rngs, (d, d), 2 * depth * d)

    def __call__(
        self, z: Float[Array, "B t h w D"]
    ) -> tuple[Float[Array, "B t h w D"], LayerCache]:
        """Apply the layer to a whole slice; also return the cache for sampling.

        Only heads are moved to blocks and back, each by one transpose. The rest works
        on one tall matrix of positions in raster order, the best layout for products.
        """
        shape, z = z.shape, z.reshape(-1, z.shape[-1])
        heads = self._query_key_value(z)
        heads = heads.reshape(*shape[:4], *heads.shape[1:])
        q, k, v = jnp.unstack(self.blocks.split(heads))
        # Without the barrier XLA's GPU compiler writes the bias once for every block.
        bias = jax.lax.optimization_barrier(self.bias())
        scores = jnp.einsum("BNKia,BNKja->BNKij", q, k)
        attended = jnp.einsum("BNKij,BNKja->BNKia", self._softmax(scores, bias), v)
        attended = self.blocks.merge(attended)
        z = self._rest(z, attended.reshape(-1, *attended.shape[4:]))
        return z.reshape(shape), LayerCache(jnp.stack([k, v], axis=2), bias)

    def step(
        self,
        z: Float[Array, "B D"],
        cache: LayerCache,
        block: Int[Array, ""],
        place: Int[Array, ""],
    ) -> tuple[Float[Array, "B D"], LayerCache]:
        """Apply the layer to the position at `place` of `block`."""
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
        return self._rest(z, attended), LayerCache(keys_values, cache.bias)

    def steps(
        self, z: Float[Array, "B M U D"], cache: LayerCache, runs: Int[Array, "B M"]
    ) -> tuple[Float[Array, "B M U D"], LayerCache]:
        """Apply the layer to M runs of U positions of each row at once.

        Row b's runs begin at the positions `runs[b]`, multiples of U. All positions
        before a run are in the cache or in a run: keys and values enter the cache
        first, so runs attend to one another as far as the mask allows.
        """
        shape, z = z.shape, z.reshape(-1, z.shape[-1])
        heads = self._query_key_value(z)
        heads = heads.reshape(*shape[:3], *heads.shape[1:])
        q, k, v = jnp.unstack(self.blocks.split_runs(heads))
        block, place = (jnp.asarray(each)[runs] for each in self.blocks.places())
        boxes = jnp.stack([k, v], axis=3)
        keys_values = put_boxes(cache.keys_values, boxes, block, place)
        attended = attend(q, keys_values, cache.bias, block, place)
        attended = self.blocks.merge_runs(attended)
        z = self._rest(z, attended.reshape(-1, *attended.shape[3:]))
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
        """Bias of the distance i − j at (i, j).

        By reshapes, since the gradient of a look-up is a scatter: the reversed biases
        with one number more, repeated, and cut in rows of one number less, so that each
        row begins one later.
        """
        extent = self.blocks.extent["thw".index(axis)]
        biases = self.relative_bias[axis][...]
        backwards = jnp.pad(biases[:, ::-1], ((0, 0), (0, 1)))
        repeated = jnp.tile(backwards, extent)[:, :-extent]
        return repeated.reshape(-1, extent, 2 * extent - 1)[:, :, extent - 1 :]

    def _query_key_value(self, z: Float[Array, "R D"]) -> Float[Array, "R 3 K a"]:
        """Queries, keys and values of any rows by one product (eq. 2)."""
        maps = self.query_key_value[...]
        normed = self.attention_norm(z)
        return (normed @ maps.reshape(len(maps), -1)).reshape(-1, *maps.shape[1:])

    def _softmax(
        self, scores: Float[Array, "*any L"], bias: Float[Array, "*some L"]
    ) -> Float[Array, "*any L"]:
        """Weights of eq. 3 and 4 from products of queries and keys."""
        _, _, _, da = self.query_key_value.shape
        return biased_softmax(scores, bias, da**-0.5)

    def _rest(
        self, z: Float[Array, "R D"], attended: Float[Array, "R K a"]
    ) -> Float[Array, "R D"]:
        """Join the heads, then map, each with its residual (eq. 5, 6)."""
        z = z + jnp.einsum("RKa,KaD->RD", attended, self.projection[...])
        normed = self.map_norm(z)
        return z + jax.nn.relu(normed @ self.map_in[...]) @ self.map_out[...]


def layer_stack(config: Model, depth: int, *, causal: bool, rngs: Keys) -> nnx.Dict:
    """`depth` layers with the recipe's blocks and numbers of heads."""
    blocks, heads = config.layer_blocks(depth), config.layer_heads(depth)
    return nnx.Dict(
        {
            f"layer_{i + 1}": Layer(
                Blocks.of(block, config.slice_shape),
                config.d,
                na,
                config.da,
                depth=depth,
                causal=causal,
                rngs=rngs,
            )
            for i, (block, na) in enumerate(zip(blocks, heads, strict=True))
        }
    )


def apply_layers(
    layers: nnx.Dict, z: Float[Array, "B t h w D"], *, remat: bool
) -> Float[Array, "B t h w D"]:
    """Apply the layers in turn; `remat` keeps only their inputs going backward."""
    for layer in layers.values():
        z = apply_remat(layer, z) if remat else layer(z)[0]
    return z
