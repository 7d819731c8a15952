"""Slice decoder (§3.2): logits of a slice's pixels, each from the pixels before it.

`states` runs a whole slice and leaves a `DecoderCache`; `step` runs one position and
`steps` runs of positions, with that cache, and give the same states. The input is a
masked 3×3×3 convolution.
"""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Integer

from svtcli.model.attention import Layer, LayerCache, apply_layers, layer_stack
from svtcli.model.heads import Weights, head_class
from svtcli.model.kernels import linear, sum_of_rows
from svtcli.model.parameters import (
    Keys,
    PositionEmbedding,
    fan_in_normal,
)
from svtcli.recipe.model import Model, Triple


class DecoderCache(NamedTuple):
    """Seen positions in every layer, and weights that are cut once before a loop."""

    embedded: Float[Array, "B tt hh ww E"]
    layers: tuple[LayerCache, ...]
    taps: Float[Array, "nE D"]
    """`MaskedConv.earlier_taps`."""
    head: Weights
    """`Head.loop_weights`."""


class Decoder(nnx.Module):
    """A slice's own codes, and the encoder's context if there is one → logits."""

    def __init__(self, config: Model, depth: int, *, context: bool, rngs: Keys) -> None:
        self.config = config
        tables = (config.codes, config.values, config.de)
        self.code_embedding = fan_in_normal(rngs, tables, config.codes)
        self.masked_conv = MaskedConv(config.masked_kernel, config.de, config.d, rngs)
        self.positions = PositionEmbedding(config.slice_shape, config.d, rngs)
        if context:
            self.context_map = fan_in_normal(rngs, (config.d, config.d), config.d)
        self.layers = layer_stack(config, depth, causal=True, rngs=rngs)
        self.head = head_class(config)(config, rngs)

    def __call__(
        self,
        codes: Integer[Array, "B t h w C"],
        context: Float[Array, "B t h w D"] | None,
        *,
        remat: bool = False,
    ) -> Float[Array, "B t h w *logits"]:
        """Logits of all pixels, teacher-forced."""
        embedded = sum_of_rows(codes, self.code_embedding[...])
        y = self._input(self.masked_conv(embedded), self.position_and_context(context))
        y = apply_layers(self.layers, y, remat=remat)
        return self.head.logits(y, codes)

    def position_and_context(
        self, context: Float[Array, "B t h w D"] | None
    ) -> Float[Array, "#B t h w D"]:
        """Input of the first layer besides the codes."""
        positions = self.positions()[None]
        if context is None:
            return positions
        return positions + linear(context, self.context_map[...])

    def states(
        self,
        codes: Integer[Array, "B t h w C"],
        position_and_context: Float[Array, "#B t h w D"],
    ) -> tuple[Float[Array, "B t h w D"], DecoderCache]:
        """Last state of every position, and the cache."""
        embedded = sum_of_rows(codes, self.code_embedding[...])
        y = self._input(self.masked_conv(embedded), position_and_context)
        caches = []
        for layer in self.layers.values():
            y, cache = layer(y)
            caches.append(cache)
        return y, DecoderCache(
            self.masked_conv.pad(embedded),
            tuple(caches),
            self.masked_conv.earlier_taps(),
            self.head.loop_weights(),
        )

    def step(
        self,
        cache: DecoderCache,
        position_and_context: Float[Array, "B D"],
        position: Int[Array, ""],
    ) -> tuple[Float[Array, "B D"], DecoderCache]:
        """Last state at `position`; the cache holds all positions before it."""
        near = self.masked_conv.step(cache.embedded, self._thw(position), cache.taps)

        def apply(layer: Layer, y: Array, own: LayerCache) -> tuple[Array, LayerCache]:
            block, place = (jnp.asarray(each) for each in layer.blocks.places())
            return layer.step(y, own, block[position], place[position])

        return self._through_layers(
            cache, self._input(near, position_and_context), apply
        )

    def steps(
        self,
        cache: DecoderCache,
        position_and_context: Float[Array, "B M U D"],
        runs: Int[Array, "B M"],
    ) -> tuple[Float[Array, "B M U D"], DecoderCache]:
        """Last states of M runs of U positions of each row at once.

        Row b's runs begin at the positions `runs[b]`, multiples of U. The cache holds
        the codes before each position (`remember_runs`), and the keys and values of all
        positions before the last run that are in no run.
        """
        length = position_and_context.shape[2]
        near = self.masked_conv.steps(
            cache.embedded, self._thw(runs), length, cache.taps
        )
        return self._through_layers(
            cache,
            self._input(near, position_and_context),
            lambda layer, y, layer_cache: layer.steps(y, layer_cache, runs),
        )

    def remember(
        self,
        cache: DecoderCache,
        codes: Integer[Array, "B C"],
        position: Int[Array, ""],
    ) -> DecoderCache:
        """Return the cache with the codes of the pixel at `position` known."""
        embedded = self.masked_conv.put(
            cache.embedded, self._embed(codes), self._thw(position)
        )
        return cache._replace(embedded=embedded)

    def remember_runs(
        self,
        cache: DecoderCache,
        codes: Integer[Array, "B M U C"],
        runs: Int[Array, "B M"],
    ) -> DecoderCache:
        """Return the cache with the codes of runs of positions known."""
        embedded = self.masked_conv.put_runs(
            cache.embedded, self._embed(codes), self._thw(runs)
        )
        return cache._replace(embedded=embedded)

    def run_length(self, most: int) -> int:
        """Longest run of at most `most` positions that every layer can take."""
        width = self.config.slice_shape[2]
        blocks = [layer.blocks for layer in self.layers.values()]
        return max(
            length
            for length in range(1, min(most, width) + 1)
            if width % length == 0 and all(each.run(length) for each in blocks)
        )

    def _input(
        self,
        near: Float[Array, "*any D"],
        position_and_context: Float[Array, "*some D"],
    ) -> Float[Array, "*any D"]:
        """Input of the first layer; positions may be more precise than products."""
        return (near + position_and_context).astype(near.dtype)

    def _through_layers(
        self,
        cache: DecoderCache,
        y: Float[Array, "*any D"],
        apply: Callable[[Layer, Array, LayerCache], tuple[Array, LayerCache]],
    ) -> tuple[Float[Array, "*any D"], DecoderCache]:
        """Apply each layer in the form of `apply`, and extend its cache."""
        caches = []
        for layer, layer_cache in zip(self.layers.values(), cache.layers, strict=True):
            y, extended = apply(layer, y, layer_cache)
            caches.append(extended)
        return y, cache._replace(layers=tuple(caches))

    def _embed(self, codes: Integer[Array, "*any C"]) -> Float[Array, "*any E"]:
        """Embedding of few pixels, by look-up."""
        rows = self.code_embedding[...][np.arange(self.config.codes), codes]
        return rows.sum(axis=-2)

    def _thw(self, positions: Int[Array, "*any"]) -> Int[Array, "*any 3"]:
        """(t, h, w) of positions."""
        places = jnp.unravel_index(positions, self.config.slice_shape)
        return jnp.stack(places, axis=-1)


class MaskedConv(nnx.Module):
    """`de → d` over the neighbours before a pixel in raster order, never itself.

    All taps are stored, as the paper's parameter counts need; only the first half,
    which comes before the centre in raster order, is used.
    """

    def __init__(self, kernel: Triple, de: int, d: int, rngs: Keys) -> None:
        self.extent = kernel
        taps = prod(kernel)
        self.kernel = fan_in_normal(rngs, (taps, de, d), max(1, self.earlier) * de)

    @property
    def earlier(self) -> int:
        """Number of taps before the centre."""
        return prod(self.extent) // 2

    def __call__(
        self, embedded: Float[Array, "B t h w E"]
    ) -> Float[Array, "B t h w D"]:
        """Apply to a whole slice, zero-padded."""
        _, t, h, w, _ = embedded.shape
        padded = self.pad(embedded)
        places = list(np.ndindex(*self.extent))[: self.earlier]
        neighbours = jnp.concatenate(
            [padded[:, i : i + t, j : j + h, m : m + w] for i, j, m in places], axis=-1
        )
        return linear(neighbours, self.earlier_taps())

    def pad(self, embedded: Float[Array, "B t h w E"]) -> Float[Array, "B tt hh ww E"]:
        """Pad a slice for the kernel; no later frame is needed."""
        pt, ph, pw = (extent // 2 for extent in self.extent)
        return jnp.pad(embedded, ((0, 0), (pt, 0), (ph, ph), (pw, pw), (0, 0)))

    def put(
        self,
        padded: Float[Array, "B tt hh ww E"],
        embedded: Float[Array, "B E"],
        position: Int[Array, "3"],
    ) -> Float[Array, "B tt hh ww E"]:
        """Return `padded` with the pixel at `position` (t, h, w) written."""
        centre = position + np.array(self.extent) // 2
        return jax.lax.dynamic_update_slice(
            padded, embedded[:, None, None, None], (0, *centre, 0)
        )

    def step(
        self,
        padded: Float[Array, "B tt hh ww E"],
        position: Int[Array, "3"],
        taps: Float[Array, "nE D"],
    ) -> Float[Array, "B D"]:
        """Apply at one `position` (t, h, w)."""
        B, _, _, _, E = padded.shape
        kt, kh, kw = self.extent
        zone = jax.lax.dynamic_slice(
            padded, (0, *position, 0), (B, kt // 2 + 1, kh, kw, E)
        )
        return zone.reshape(B, -1)[:, : self.earlier * E] @ taps

    def put_runs(
        self,
        padded: Float[Array, "B tt hh ww E"],
        embedded: Float[Array, "B M U E"],
        runs: Int[Array, "B M 3"],
    ) -> Float[Array, "B tt hh ww E"]:
        """Return `padded` with runs of U pixels of a line, from `runs` (t, h, w) on."""
        B, M, _ = runs.shape
        rows = jnp.broadcast_to(jnp.arange(B)[:, None, None], (B, M, 1))
        centre = runs + np.array(self.extent) // 2
        return jax.lax.scatter(
            padded,
            jnp.concatenate([rows, centre], axis=-1),
            embedded,
            jax.lax.ScatterDimensionNumbers(
                update_window_dims=(2, 3),
                inserted_window_dims=(0, 1, 2),
                scatter_dims_to_operand_dims=(0, 1, 2, 3),
            ),
            mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
        )

    def steps(
        self,
        padded: Float[Array, "B tt hh ww E"],
        runs: Int[Array, "B M 3"],
        length: int,
        taps: Float[Array, "nE D"],
    ) -> Float[Array, "B M U D"]:
        """Apply to runs of `length` pixels of a line."""
        kt, kh, kw = self.extent
        zone = (kt // 2 + 1, kh, length + kw - 1, padded.shape[-1])

        def of_run(row: Float[Array, "tt hh ww E"], at: Int[Array, "3"]) -> Array:
            return jax.lax.dynamic_slice(row, (*at, 0), zone)

        zones = jax.vmap(jax.vmap(of_run, (None, 0)))(padded, runs)
        places = list(np.ndindex(*self.extent))[: self.earlier]
        neighbours = jnp.concatenate(
            [zones[:, :, i, j, m : m + length] for i, j, m in places], axis=-1
        )
        return linear(neighbours, taps)

    def earlier_taps(self) -> Float[Array, "nE D"]:
        """Taps before the centre as one matrix."""
        kernel = self.kernel[...]
        return kernel[: self.earlier].reshape(-1, kernel.shape[-1])
