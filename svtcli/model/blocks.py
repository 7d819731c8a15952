"""How a layer cuts a slice in blocks (§3.1), and the dilated dual (appendix C)."""

from dataclasses import dataclass
from math import prod

import numpy as np
from einops import rearrange
from jaxtyping import Array, Int, Shaped

from svtcli.recipe.model import Block, Dilated, Triple


@dataclass(frozen=True)
class Blocks:
    """The groups of positions that attend to each other in one layer.

    A group has `extent` (bt, bh, bw); its positions lie side by side in a local block
    and `shape / extent` apart in a dilated one. Within a group the raster order is the
    slice's own, so one triangular mask serves both.
    """

    shape: Triple
    extent: Triple
    dilated: bool

    @classmethod
    def of(cls, block: Block, shape: Triple) -> "Blocks":
        """The blocks that a recipe names, clipped to the slice."""
        size = block.dilated if isinstance(block, Dilated) else block
        bt, bh, bw = (min(part, whole) for part, whole in zip(size, shape, strict=True))
        if not isinstance(block, Dilated):
            return cls(shape, (bt, bh, bw), dilated=False)
        t, h, w = shape
        return cls(shape, (t // bt, h // bh, w // bw), dilated=True)

    @property
    def length(self) -> int:
        """L: positions of a block."""
        return prod(self.extent)

    def split(
        self, heads: Shaped[Array, "B t h w n K a"]
    ) -> Shaped[Array, "n B N K L a"]:
        """Numbers of a slice's positions, by heads, as blocks of `n` kinds."""
        pattern = f"B {self._axes} n K a -> n B (nt nh nw) K (bt bh bw) a"
        return rearrange(heads, pattern, **self._sizes)

    def merge(self, blocks: Shaped[Array, "B N K L a"]) -> Shaped[Array, "B t h w K a"]:
        """The slice that has these blocks; inverse of `split` for one kind."""
        pattern = f"B (nt nh nw) K (bt bh bw) a -> B {self._axes} K a"
        return rearrange(blocks, pattern, **self._sizes)

    def places(self) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
        """Of each position in raster order: its block, and its place therein."""
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
