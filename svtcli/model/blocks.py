"""Blocks of a slice that a layer attends within (§3.1), and their dilated dual (C)."""

from dataclasses import dataclass
from math import prod

import numpy as np
from einops import rearrange
from jaxtyping import Array, Int, Shaped

from svtcli.recipe.model import Block, Dilated, Triple


@dataclass(frozen=True)
class Blocks:
    """Groups of positions that attend to each other in one layer.

    A group has `extent` (bt, bh, bw); its positions lie side by side in a local block
    and `shape / extent` apart in a dilated one. Within a group positions are in the
    slice's raster order, so one triangular mask serves both.
    """

    shape: Triple
    extent: Triple
    dilated: bool

    @classmethod
    def of(cls, block: Block, shape: Triple) -> "Blocks":
        """Blocks as a recipe names them, clipped to the slice."""
        size = block.dilated if isinstance(block, Dilated) else block
        bt, bh, bw = (min(part, whole) for part, whole in zip(size, shape, strict=True))
        if not isinstance(block, Dilated):
            return cls(shape, (bt, bh, bw), dilated=False)
        t, h, w = shape
        return cls(shape, (t // bt, h // bh, w // bw), dilated=True)

    @property
    def length(self) -> int:
        """Positions of a block, L."""
        return prod(self.extent)

    def split(
        self, heads: Shaped[Array, "B t h w n K a"]
    ) -> Shaped[Array, "n B N K L a"]:
        """Split arrays of n kinds over a slice into blocks."""
        pattern = f"B {self._axes} n K a -> n B (nt nh nw) K (bt bh bw) a"
        return rearrange(heads, pattern, **self._sizes)

    def merge(self, blocks: Shaped[Array, "B N K L a"]) -> Shaped[Array, "B t h w K a"]:
        """Merge blocks into a slice; inverse of `split` for one kind."""
        pattern = f"B (nt nh nw) K (bt bh bw) a -> B {self._axes} K a"
        return rearrange(blocks, pattern, **self._sizes)

    def places(self) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
        """Block of each position in raster order, and its place in the block."""
        P = prod(self.shape)
        position = rearrange(
            np.arange(P).reshape(self.shape),
            f"{self._axes} -> (nt nh nw) (bt bh bw)",
            **self._sizes,
        )
        flat = np.empty(P, int)
        flat[position.ravel()] = np.arange(P)
        block, place = np.divmod(flat, self.length)
        return block, place

    def run(self, length: int) -> tuple[int, int] | None:
        """Extents (Nr, Lr) of the box of the cache that a run of positions fills.

        Runs begin at multiples of their length, which divides the slice's width. A run
        fills Lr neighbouring places of each of Nr neighbouring blocks; None where runs
        of this length are no such box.
        """
        each = self.extent[2]  # positions that stay in a block before the next begins
        cycle = self.shape[2] // each if self.dilated else each
        if length % cycle == 0:
            outer, inner = length // cycle, cycle
        elif cycle % length == 0:
            outer, inner = 1, length
        else:
            return None
        return (inner, outer) if self.dilated else (outer, inner)

    def split_runs(
        self, heads: Shaped[Array, "B M U n K a"]
    ) -> Shaped[Array, "n B M Nr K Lr a"]:
        """Split arrays of n kinds over runs into their boxes."""
        box = self._box(heads.shape[2])
        return rearrange(
            heads, f"B M {self._run} n K a -> n B M blocks K places a", **box
        )

    def merge_runs(
        self, boxes: Shaped[Array, "B M Nr K Lr a"]
    ) -> Shaped[Array, "B M U K a"]:
        """Merge boxes into runs; inverse of `split_runs` for one kind."""
        box = self._box(boxes.shape[2] * boxes.shape[4])
        return rearrange(boxes, f"B M blocks K places a -> B M {self._run} K a", **box)

    @property
    def _run(self) -> str:
        return "(places blocks)" if self.dilated else "(blocks places)"

    def _box(self, length: int) -> dict[str, int]:
        box = self.run(length)
        if box is None:
            raise ValueError(f"runs of {length} are no boxes of {self}")
        return {"blocks": box[0], "places": box[1]}

    @property
    def _axes(self) -> str:
        outer, inner = ("b", "n") if self.dilated else ("n", "b")
        return " ".join(f"({outer}{axis} {inner}{axis})" for axis in "thw")

    @property
    def _sizes(self) -> dict[str, int]:
        bt, bh, bw = self.extent
        t, h, w = self.shape
        return {
            "bt": bt, "bh": bh, "bw": bw, "nt": t // bt, "nh": h // bh, "nw": w // bw
        }  # fmt: skip
