"""Dependencies between the pixels of a slice (appendix C); the shortest exact schedule.

A decoder state after l layers has seen the pixels of R_l: R_0 is the neighbourhood of
the masked convolution, and R_l = A_l R_{l−1} with A_l "same block, not later". A pixel
depends on the last R; earlier pixels outside of it are **blind spots**.

    Level(i) = 1 + the highest level of the pixels that i depends on

Pixels of one level do not depend on each other, so one step computes them all, and no
exact schedule has fewer steps. NumPy only; a relation is held as bits.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8

from svtcli.model.blocks import Blocks
from svtcli.recipe.model import Model, Triple

LARGEST = 2**15
"""Most pixels of a slice whose relation is computed: 128 MB, some ten seconds."""


@dataclass(frozen=True, eq=False)
class Connectivity:
    """Dependencies of a slice's pixels, in raster order, within the slice."""

    levels: Int32[np.ndarray, " P"]
    """Step of the shortest schedule that computes it, from 1; 0 for prime pixels."""
    reached: Int32[np.ndarray, " P"]
    """Number of earlier pixels of the slice that a pixel depends on, prime ones too."""

    @property
    def steps(self) -> int:
        """Steps of the shortest schedule; 0 if all pixels are prime."""
        return int(self.levels.max())

    @property
    def widest(self) -> int:
        """Pixels of the widest step."""
        return int(np.bincount(self.levels)[1:].max(initial=0))

    @property
    def blind(self) -> Int[np.ndarray, " P"]:
        """Number of blind spots of each pixel."""
        return np.arange(len(self.reached)) - self.reached

    @property
    def share(self) -> float:
        """Share of the pairs of a pixel and an earlier one that are connected; 1 for a
        slice of one pixel."""
        pairs = len(self.reached) * (len(self.reached) - 1) // 2
        return int(self.reached.sum()) / pairs if pairs else 1.0


class _Joins(NamedTuple):
    """Parts of a decoder that decide about dependencies."""

    shape: Triple
    kernel: Triple
    blocks: tuple[Blocks, ...]


def connectivity(config: Model, known: int = 0, *, first: bool = False) -> Connectivity:
    """Return the connectivity of a slice whose first `known` pixels are prime.

    `first` takes the first-slice decoder (§4.3). The arrays are read-only: they are
    cached. Errors: ValueError without such a decoder.
    """
    return _connectivity(_joins(config, first), known)


def relation(config: Model, *, first: bool = False) -> UInt8[np.ndarray, "P bytes"]:
    """Bit j of row i, as `np.packbits` lays them: pixel i depends on pixel j.

    Never on itself or a later one. Read-only. Errors: as `connectivity`.
    """
    return _relation(_joins(config, first))


def schedule(
    config: Model, known: int = 0, *, first: bool = False
) -> Int32[np.ndarray, "steps width"]:
    """Return the positions that each step of the shortest schedule computes.

    Short rows repeat their last position, which changes nothing. Within a step, a layer
    writes all its keys before it reads any.

    A position is in the step of its level, where its pixel becomes final. It may be in
    earlier steps too, where a pixel of a lower level reads its keys in a layer that has
    seen less than the last one: these layers are right, and the rest is not read before
    it is overwritten. The paper's blocks never need it. Errors: as `connectivity`.
    """
    joins = _joins(config, first)
    levels = _connectivity(joins, known).levels
    P = len(levels)
    visits = np.unique(_wanted(joins, levels).astype(np.int64) * P + np.arange(P))
    step, position = np.divmod(visits[visits >= P], P)  # step 0 holds the given ones
    counts = np.bincount(step, minlength=1)[1:]
    column = np.minimum(np.arange(counts.max(initial=0)), counts[:, None] - 1)
    starts = np.cumsum(counts) - counts
    return position[starts[:, None] + column].astype(np.int32)


def chains(
    config: Model, window: int, *, first: bool = False
) -> Bool[np.ndarray, "P window"]:
    """Mask at (i, n): pixel i depends on pixel i − 1 − n, or on one that does.

    Only chains within a `window` are followed. Read-only. Errors: as `connectivity`.
    """
    return _chains(_joins(config, first), window)


def _joins(config: Model, first: bool) -> _Joins:
    depth = config.first_slice_layers if first else config.decoder_layers
    if depth is None:
        raise ValueError("this model has no decoder of its own for the first slice")
    shape = config.slice_shape
    blocks = tuple(Blocks.of(block, shape) for block in config.layer_blocks(depth))
    return _Joins(shape, config.masked_kernel, blocks)


@lru_cache(maxsize=64)
def _connectivity(joins: _Joins, known: int) -> Connectivity:
    depends = _relation(joins)
    reached = np.bitwise_count(depends).sum(axis=1, dtype=np.int32)
    return Connectivity(_kept(_levels(depends, known)), _kept(reached))


@lru_cache(maxsize=2)  # P² / 8 bytes each: 2 MB for the paper's slices
def _relation(joins: _Joins) -> UInt8[np.ndarray, "P bytes"]:
    """Return R after all layers."""
    seen = _convolved(joins)
    for blocks in joins.blocks:
        order = _by_block(blocks)
        within = seen[order].reshape(-1, blocks.length, seen.shape[1])
        # A_l R_{l−1}: of each block, all rows up to a place joined.
        np.bitwise_or.accumulate(within, axis=1, out=within)
        seen[order] = within.reshape(seen.shape)
    return _kept(seen)


@lru_cache(maxsize=8)
def _chains(joins: _Joins, window: int) -> Bool[np.ndarray, "P window"]:
    """One pixel after the other, as all that it depends on comes before it."""
    depends, found = _relation(joins), np.zeros((prod(joins.shape), window + 1), bool)
    for i in range(len(found)):
        first = max(0, i - window)
        seen = np.unpackbits(depends[i], count=i)[first:].view(bool)
        for j in np.flatnonzero(seen)[::-1] + first:
            back = i - j
            if not found[i, back - 1]:  # else what j depends on is known already
                found[i, back - 1] = True
                found[i, back:] |= found[j, : window + 1 - back]
    return _kept(found[:, :window])


def _convolved(joins: _Joins) -> UInt8[np.ndarray, "P bytes"]:
    """R_0: the neighbours before the centre of the masked convolution's kernel."""
    P = prod(joins.shape)
    place = np.indices(joins.shape).reshape(3, P).T
    half = np.array(joins.kernel) // 2
    seen = np.zeros((P, -(-P // 8)), np.uint8)
    for tap in list(np.ndindex(*joins.kernel))[: prod(joins.kernel) // 2]:
        neighbour = place + np.array(tap) - half
        inside = ((neighbour >= 0) & (neighbour < joins.shape)).all(axis=1)
        read = np.ravel_multi_index(tuple(neighbour[inside].T), joins.shape)
        seen[inside, read // 8] |= (128 >> read % 8).astype(np.uint8)
    return seen


def _levels(
    depends: UInt8[np.ndarray, "P bytes"], known: int
) -> Int32[np.ndarray, " P"]:
    """One pixel after the other, as all that it depends on comes before it."""
    levels = np.zeros(len(depends), np.int32)
    for i in range(known, len(levels)):
        before = levels[:i][np.unpackbits(depends[i], count=i).view(bool)]
        levels[i] = 1 + before.max(initial=0)
    return levels


def _wanted(
    joins: _Joins, levels: Int32[np.ndarray, " P"]
) -> Int32[np.ndarray, "layers P"]:
    """Step in which the state before each layer, and after all, is first read.

    The last state is read where its pixel is computed; the state before a layer where
    the first state of its block that is not earlier is wanted.
    """
    wanted = [levels]
    for blocks in reversed(joins.blocks):
        order = _by_block(blocks)
        within = wanted[-1][order].reshape(-1, blocks.length)
        earliest = np.minimum.accumulate(within[:, ::-1], axis=1)[:, ::-1]
        before = np.empty_like(levels)
        before[order] = earliest.ravel()
        wanted.append(before)
    return np.stack(wanted)


def _by_block(blocks: Blocks) -> Int[np.ndarray, " P"]:
    """Positions block by block, each in raster order."""
    block, place = blocks.places()
    return np.argsort(block * blocks.length + place)


def _kept(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
