"""Resize decoded frames to small square RGB: centre crop, antialiased Lanczos (§4.3).

One libavfilter graph crops, converts and resizes, once, whatever the shape of a pixel.
Without the three accurate flags the result is biased by −1.5 levels. GBRP has a faster
vertical pass than packed RGB, and gives the same pixels.
"""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter.context import FilterContext
from av.filter.graph import Graph
from jaxtyping import UInt8

SQUARE = Fraction(1)
FILTER = "lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"
"""Flags of swscale, whose `lanczos` has radius 3."""
PLANES = (2, 0, 1)
"""Positions of R, G, B among the planes of GBRP."""


class Resizer:
    """Convert frames of one video to uint8 [size, size, 3], as players show them.

    Without a size they keep their own. What is transparent is composited on black.
    """

    def __init__(self, size: int | None, opaque: bool = False) -> None:
        self.size = size
        self.sideways = False
        """The last frame was turned by a right angle: its sides are exchanged."""
        self._rotation: int | None = None
        self._matrix: tuple[int, int, int, int] | None = None
        self._opaque = opaque  # Alpha in the frames has no meaning.
        self._format: tuple[object, ...] | None = None
        # The graph must stay referenced: its contexts alone do not keep it alive.
        self._graph: Graph | None = None
        self._source: FilterContext | None = None
        self._sink: FilterContext | None = None

    def __call__(
        self, frame: av.VideoFrame, aspect: Fraction = SQUARE
    ) -> UInt8[np.ndarray, "H W 3"]:
        """Crop to the centre square, resize, and turn upright.

        `aspect` is the width of a pixel over its height.
        """
        size = frame.width, frame.height, aspect
        form = *size, frame.format.name, frame.colorspace, frame.color_range
        if form != self._format:
            self._build(frame, aspect)
            self._format = form
        assert self._source is not None
        assert self._sink is not None
        self._source.push(frame)
        small = self._sink.pull()
        assert isinstance(small, av.VideoFrame)
        height, width = small.height, small.width
        picture = np.empty((height, width, 3), np.uint8)
        for channel, plane in enumerate(PLANES):
            stride = small.planes[plane].line_size
            rows = np.frombuffer(memoryview(small.planes[plane]), np.uint8)
            picture[..., channel] = rows.reshape(-1, stride)[:height, :width]
        # Side data and their frame hold each other: not one is looked at needlessly, as
        # frames would fill the memory until Python's garbage collection.
        if frame.rotation != self._rotation:
            self._rotation, self._matrix = frame.rotation, display_matrix(frame)
        if self._matrix is None:
            return picture
        self.sideways = is_sideways(*self._matrix)
        return upright(picture, *self._matrix)

    def array(self, frame: UInt8[np.ndarray, "H W C"]) -> UInt8[np.ndarray, "h w C"]:
        """Crop and resize RGB or gray; a frame of the right size stays as it is."""
        if self.size is None or frame.shape[:2] == (self.size, self.size):
            return frame
        colours = np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))
        small = self(av.VideoFrame.from_ndarray(colours, "rgb24"))
        return small[..., : frame.shape[-1]]

    def _build(self, frame: av.VideoFrame, aspect: Fraction) -> None:
        """Build a new graph; a video may change its format midway."""
        (width, height), (wide, high) = self._sizes(frame, aspect)
        left, top = (frame.width - width) // 2, (frame.height - height) // 2
        graph = Graph()
        graph.threads = 1
        nodes = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base or Fraction(1, 1000),
            ),
            graph.add("crop", f"{width}:{height}:{left}:{top}:exact=1"),
        ]
        blend = ""
        if has_alpha(frame) and not self._opaque:
            # swscale blends before it resizes, but not YUV of a limited range.
            nodes += graph.add("scale", f"flags={FILTER}"), graph.add("format", "gbrap")
            blend = ":alphablend=uniform_color"
        nodes += (
            graph.add("scale", f"{wide}:{high}:flags={FILTER}{blend}"),
            graph.add("format", "gbrp"),
            graph.add("buffersink"),
        )
        graph.link_nodes(*nodes).configure()
        self._graph, self._source, self._sink = graph, nodes[0], nodes[-1]

    def _sizes(
        self, frame: av.VideoFrame, aspect: Fraction
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Sizes of the crop, in pixels as they are stored, and of the result."""
        if self.size is None:
            whole = frame.width, frame.height
            return whole, shown_size(*whole, aspect)
        width = min(frame.width, max(1, round(frame.height / aspect)))
        height = min(frame.height, max(1, round(frame.width * aspect)))
        return (width, height), (self.size, self.size)


def shown_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Size in square pixels: the height is kept."""
    return max(1, round(width * aspect)), height


def has_alpha(frame: av.VideoFrame) -> bool:
    """Tell if a frame has an alpha channel, or a palette with one."""
    parts = frame.format.components
    return frame.format.name == "pal8" or any(part.is_alpha for part in parts)


def display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """Matrix (a, b, c, d) of a frame: it is shown at x′ = ax + cy, y′ = bx + dy."""
    data: Any = frame.side_data  # PyAV's types know motion vectors only
    try:
        a, b, _, c, d, *_ = np.frombuffer(data["DISPLAYMATRIX"], np.int32).tolist()
    except KeyError:
        return None
    return a, b, c, d


def is_sideways(a: int, b: int, c: int, d: int) -> bool:
    """Tell if a display matrix exchanges width and height."""
    return abs(b) + abs(c) > abs(a) + abs(d)


def upright(
    picture: UInt8[np.ndarray, "H W 3"], a: int, b: int, c: int, d: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Turn and mirror a picture by the nearest of the eight right-angled matrices."""
    across, down = a, d
    if is_sideways(a, b, c, d):
        picture = picture.transpose(1, 0, 2)
        across, down = c, b
    return picture[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
