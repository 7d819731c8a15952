"""Section `model` of a recipe: sizes, and those that follow from them.

Letters are the paper's (§3, §4.1): `s` subscale factor, `k` context kernel, `de`
embedding size, `d` hidden size, `na` heads, `da` head size.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

from svtcli.recipe.setting import Misfit, Natural, PositiveInt

Triple = tuple[PositiveInt, PositiveInt, PositiveInt]
"""Extents along time, height and width."""


@dataclass(frozen=True)
class Dilated:
    """The dual of a block (appendix C): pixels at the same place of every block."""

    dilated: Triple


Block = Triple | Dilated


Layers = Annotated[int, Gt(0), Le(64)]
"""Layers of one stack: more than twice the paper's most, and traced in seconds."""
MOST_PARAMETERS, MOST_PIXELS, MOST_SLICES, MOST_TAPS = 10**12, 2**28, 2**14, 2**14
"""Sizes of a model that no machine holds, or that take minutes to lay out."""


SPATIOTEMPORAL_BLOCKS: tuple[Triple, ...] = (
    (4, 8, 4),
    (4, 4, 8),
    (1, 32, 4),
    (1, 4, 32),
)


@dataclass(frozen=True)
class Model:
    """A Subscale Video Transformer; the defaults are the base spatiotemporal model."""

    video: Triple = (16, 64, 64)
    """Frames, height and width of the model's window: T, H, W."""
    channels: Literal[1, 3] = 3
    """Image channels: RGB or gray."""
    pixel_bits: Annotated[int, Ge(1), Le(8)] = 8
    """Bits of one image channel."""
    code_bits: Annotated[int, Ge(1), Le(8)] = 4
    """Bits of one code; an image channel is split in `pixel_bits / code_bits` codes,
    the coarse codes of all channels first (§3.3)."""
    s: Triple = (4, 2, 2)
    """Subscale factor along time, height, width (§3.2)."""
    k: Triple | None = None
    """Kernel of the slice encoder's convolution; `null` takes `s`."""
    de: PositiveInt = 128
    """Embedding size of a code."""
    d: PositiveInt = 512
    """Hidden size."""
    na: PositiveInt | Annotated[tuple[PositiveInt, ...], MinLen(1)] = 8
    """Attention heads: one number, or a list that is stretched over the layers."""
    da: PositiveInt = 128
    """Size of a head."""
    encoder_layers: Layers = 8
    """Layers of the slice encoder."""
    decoder_layers: Layers = 8
    """Layers of the slice decoder."""
    blocks: Annotated[tuple[Block, ...], MinLen(1)] = SPATIOTEMPORAL_BLOCKS
    """Attention blocks of the first layers; they cycle, every second time reversed."""
    masked_kernel: Triple = (3, 3, 3)
    """Masked convolution of the decoder (§3.2); odd."""
    first_slice_layers: Layers | None = None
    """Layers of a separate decoder for slice (0, 0, 0), without encoder (§4.3)."""
    actions: Natural = 0
    """Size of the auxiliary input per frame, such as robot actions (§3.2)."""
    loss: Literal["codes", "deterministic"] = "codes"
    """Loss: of codes, or per pixel (`deterministic`), as for Moving MNIST (A.1)."""

    def __post_init__(self) -> None:
        if problems := dict(self.problems()):
            raise Misfit(problems)

    @property
    def context_kernel(self) -> Triple:
        return self.k or self.s

    @property
    def slice_shape(self) -> Triple:
        """(t, h, w): extents of one slice."""
        (T, H, W), (st, sh, sw) = self.video, self.s
        return T // st, H // sh, W // sw

    @property
    def slices(self) -> int:
        """S: number of slices of a video."""
        return prod(self.s)

    @property
    def codes(self) -> int:
        """Nc: codes per pixel."""
        return self.channels * self.pixel_bits // self.code_bits

    @property
    def values(self) -> int:
        """Nv: values of one code."""
        return 2**self.code_bits

    @property
    def draws_codes(self) -> bool:
        """Codes are drawn, so temperature, top-k and top-p matter."""
        return self.loss == "codes"

    @property
    def single_frame(self) -> bool:
        """Every slice is one frame: the window can move frame by frame (§4.1)."""
        return self.slice_shape[0] == 1

    def first_rows(self, batch: int) -> int:
        """Number of first slices with their own decoder in a training batch.

        round(batch / S) of them, but at least one; none without such a decoder.
        """
        if self.first_slice_layers is None:
            return 0
        return max(1, round(batch / self.slices))

    def layer_blocks(self, layers: int) -> tuple[Block, ...]:
        """Block of each of `layers` layers: the cycle, then the cycle reversed."""
        cycle = self.blocks
        both_ways = cycle + cycle[::-1]
        return tuple(both_ways[i % len(both_ways)] for i in range(layers))

    def layer_heads(self, layers: int) -> tuple[int, ...]:
        """Heads of each of `layers` layers; a list is stretched over them."""
        heads = (self.na,) if isinstance(self.na, int) else self.na
        return tuple(heads[i * len(heads) // layers] for i in range(layers))

    @property
    def factors(self) -> int:
        """Parameters of products with `d` or `de`: nearly all of the network's."""
        depths = (self.encoder_layers, self.decoder_layers, self.first_slice_layers)
        heads = [na for depth in depths if depth for na in self.layer_heads(depth)]
        layers = sum(2 * self.d * (2 * na * self.da + self.d) for na in heads)
        one_hot = prod(self.context_kernel) * self.codes * self.values
        taps = prod(self.masked_kernel) * self.d
        head = self.codes * self.d * (self.d + self.values)
        return layers + (one_hot + taps) * self.de + head

    def problems(self) -> Iterator[tuple[str, str]]:
        """Conflicts between settings: (key, sentence) each."""
        yield from self._too_large()
        axes = ("time", "height", "width")
        t, h, w = self.slice_shape
        for axis, extent, factor in zip(axes, self.video, self.s, strict=True):
            if extent % factor:
                yield "s", f"{factor} does not divide the video's {axis}, {extent}"
        if self.pixel_bits % self.code_bits:
            yield "code_bits", f"{self.code_bits} does not divide {self.pixel_bits}"
        if any(extent % 2 == 0 for extent in self.masked_kernel):
            yield "masked_kernel", f"{list(self.masked_kernel)} must be odd"
        # Blocks cut slices, so they are judged once there are whole slices.
        uneven = any(
            whole % part for whole, part in zip(self.video, self.s, strict=True)
        )
        for block in () if uneven else self.blocks:
            size = block.dilated if isinstance(block, Dilated) else block
            for axis, part, whole in zip(axes, size, (t, h, w), strict=True):
                if part < whole and whole % part:
                    cut = f"a slice of {[t, h, w]} along {axis}"
                    yield "blocks", f"{list(size)} does not divide {cut}"
        if self.first_slice_layers and self.actions:
            yield "first_slice_layers", "cannot be combined with actions"
        if self.first_slice_layers and self.single_frame:
            yield "first_slice_layers", "the first slice of this model is all prime"
        if self.loss == "deterministic" and self.channels != 1:
            yield "loss", "deterministic is for gray videos (channels: 1)"

    def _too_large(self) -> Iterator[tuple[str, str]]:
        """Sizes beyond those that any device holds: (key, sentence) each."""
        for key, count, most, what in (
            ("video", prod(self.video), MOST_PIXELS, "pixels"),
            ("s", self.slices, MOST_SLICES, "slices"),
            ("masked_kernel", prod(self.masked_kernel), MOST_TAPS, "taps"),
            ("d", self.factors, MOST_PARAMETERS, "parameters"),
        ):
            if count > most:
                sizes = f"{count:.3g} {what}; at most {most:,} are possible"
                yield key, f"makes {sizes}"
