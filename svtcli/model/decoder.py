"""The slice decoder (§3.2): logits of a slice's pixels, each from what came before.

`states` runs a whole slice at once and leaves a `DecoderCache`; `step` runs one
position, `steps` some runs of positions, reading and extending that cache, and give the
same states.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Integer

from svtcli.model import initializers as initial
from svtcli.model.attention import LayerCache, layer_stack, through
from svtcli.model.heads import ChannelHead, IntensityHead
from svtcli.model.linear import linear, sum_of_rows
from svtcli.model.masked_conv import MaskedConv
from svtcli.model.positions import PositionEmbedding
from svtcli.recipe.model import Model


class DecoderCache(NamedTuple):
    """What the decoder remembers of the positions it has seen, and what of its weights
    every step would have to cut anew: XLA moves no cut out of a loop."""

    embedded: Float[Array, "B tt hh ww E"]
    layers: tuple[LayerCache, ...]
    taps: Float[Array, "nE D"]
    """`MaskedConv.earlier_taps`."""
    code_maps: tuple[Float[Array, "D V"], ...]
    """`ChannelHead.code_maps`; none with the deterministic loss."""


class Decoder(nnx.Module):
    """A slice's own codes, and the encoder's context if there is one → logits."""

    def __init__(
        self, config: Model, depth: int, *, context: bool, rngs: nnx.Rngs
    ) -> None:
        self.config = config
        self.code_embedding = initial.embedding(
            rngs, config.codes, config.values, config.de
        )
        self.masked_conv = MaskedConv(config.masked_kernel, config.de, config.d, rngs)
        self.positions = PositionEmbedding(config.slice_shape, config.d, rngs)
        if context:
            self.context_map = initial.fan_in_normal(
                rngs, (config.d, config.d), config.d
            )
        self.layers = layer_stack(config, depth, causal=True, rngs=rngs)
        if config.loss == "deterministic":
            self.head: ChannelHead | IntensityHead = IntensityHead(config.d, rngs)
        else:
            self.head = ChannelHead(config.codes, config.values, config.d, rngs)

    def __call__(
        self,
        codes: Integer[Array, "B t h w C"],
        context: Float[Array, "B t h w D"] | None,
        *,
        remat: bool = False,
    ) -> Float[Array, "B t h w *logits"]:
        """Logits `[B, t, h, w, C, V]`, or one per pixel with the deterministic loss."""
        embedded = sum_of_rows(codes, self.code_embedding[...])
        y = self._entering(embedded, self.place_context(context))
        y = through(self.layers, y, remat=remat)
        if isinstance(self.head, IntensityHead):
            return self.head(y)
        return self.head(y, codes)

    def place_context(
        self, context: Float[Array, "B t h w D"] | None
    ) -> Float[Array, "#B t h w D"]:
        """All that a state gets besides the codes: positions and mapped context."""
        places = self.positions()[None]
        if context is None:
            return places
        return places + linear(context, self.context_map[...])

    def states(
        self,
        codes: Integer[Array, "B t h w C"],
        placed: Float[Array, "#B t h w D"],
    ) -> tuple[Float[Array, "B t h w D"], DecoderCache]:
        """The last state of every position, and what sampling needs of it."""
        embedded = sum_of_rows(codes, self.code_embedding[...])
        y = self._entering(embedded, placed)
        caches = []
        for layer in self.layers.values():
            y, cache = layer(y)
            caches.append(cache)
        return y, DecoderCache(
            self.masked_conv.pad(embedded),
            tuple(caches),
            self.masked_conv.earlier_taps(),
            () if isinstance(self.head, IntensityHead) else self.head.code_maps(),
        )

    def _entering(
        self, embedded: Float[Array, "B t h w E"], placed: Float[Array, "#B t h w D"]
    ) -> Float[Array, "B t h w D"]:
        """What the first layer gets. Positions may be more precise than products."""
        near = self.masked_conv(embedded)
        return (near + placed).astype(near.dtype)

    def step(
        self,
        cache: DecoderCache,
        placed: Float[Array, "B D"],
        position: Int[Array, ""],
    ) -> tuple[Float[Array, "B D"], DecoderCache]:
        """The last state at `position` (raster order), all before it being known."""
        where = jnp.stack(jnp.unravel_index(position, self.config.slice_shape))
        near = self.masked_conv.step(cache.embedded, where, cache.taps)
        y = (near + placed).astype(near.dtype)
        caches = []
        for layer, layer_cache in zip(self.layers.values(), cache.layers, strict=True):
            blocks, places = (jnp.asarray(of) for of in layer.blocks.places())
            y, extended = layer.step(y, layer_cache, blocks[position], places[position])
            caches.append(extended)
        return y, cache._replace(layers=tuple(caches))

    def remember(
        self,
        cache: DecoderCache,
        codes: Integer[Array, "B C"],
        position: Int[Array, ""],
    ) -> DecoderCache:
        """The cache once the pixel at `position` is known to have these codes."""
        embedding = self.code_embedding[...]
        embedded = embedding[np.arange(self.config.codes), codes].sum(axis=1)
        where = jnp.stack(jnp.unravel_index(position, self.config.slice_shape))
        return cache._replace(
            embedded=self.masked_conv.put(cache.embedded, embedded, where)
        )

    def steps(
        self,
        cache: DecoderCache,
        placed: Float[Array, "B M U D"],
        runs: Int[Array, "B M"],
    ) -> tuple[Float[Array, "B M U D"], DecoderCache]:
        """The last states of M runs of U positions of each row, at once.

        Row b's runs begin at the positions `runs[b]`, multiples of U. The cache must
        hold the codes of all that comes before a position (`remember_runs`), and the
        keys and values of what comes before it and is in no run.
        """
        near = self.masked_conv.steps(
            cache.embedded, self._where(runs), placed.shape[2], cache.taps
        )
        y = (near + placed).astype(near.dtype)
        caches = []
        for layer, layer_cache in zip(self.layers.values(), cache.layers, strict=True):
            y, extended = layer.steps(y, layer_cache, runs)
            caches.append(extended)
        return y, cache._replace(layers=tuple(caches))

    def remember_runs(
        self,
        cache: DecoderCache,
        codes: Integer[Array, "B M U C"],
        runs: Int[Array, "B M"],
    ) -> DecoderCache:
        """As `remember`, for the pixels of runs of positions."""
        embedding = self.code_embedding[...]
        embedded = embedding[np.arange(self.config.codes), codes].sum(axis=-2)
        return cache._replace(
            embedded=self.masked_conv.put_runs(
                cache.embedded, embedded, self._where(runs)
            )
        )

    def run_length(self, most: int) -> int:
        """The longest run of at most `most` positions that every layer can take."""
        width = self.config.slice_shape[2]
        blocks = [layer.blocks for layer in self.layers.values()]
        return max(
            length
            for length in range(1, min(most, width) + 1)
            if width % length == 0 and all(each.run(length) for each in blocks)
        )

    def _where(self, runs: Int[Array, "B M"]) -> Int[Array, "B M 3"]:
        return jnp.stack(jnp.unravel_index(runs, self.config.slice_shape), axis=-1)
