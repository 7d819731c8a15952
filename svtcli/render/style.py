"""How large everything is that is not video: one rule for all pictures."""

from dataclasses import dataclass

from svtcli.render.canvas import Extent
from svtcli.video.fonts import line_height


@dataclass(frozen=True)
class Style:
    """Sizes in pixels of the finished picture, from the size of one enlarged frame."""

    frame: Extent
    """One frame at the scale of the picture: height, width."""

    @property
    def font(self) -> int:
        """Legible at a glance, never louder than the video."""
        return min(max(round(0.14 * self.frame[0]), 12), 28)

    @property
    def line(self) -> int:
        return line_height(self.font)

    @property
    def gap(self) -> int:
        """Between two frames."""
        return max(4, self.frame[0] // 20)

    @property
    def mark(self) -> int:
        """Width of the amber around a frame; it never touches the next one."""
        return 2 * self.gap // 3

    @property
    def margin(self) -> int:
        return self.line
