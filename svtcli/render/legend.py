"""The small print under a picture: what made it, and what the amber means."""

from collections.abc import Sequence

from svtcli.render.canvas import MARK, QUIET, Canvas, Corner, fill, fit, write
from svtcli.render.style import Style
from svtcli.video.fonts import text_width

DOT = "  ·  "
KEYS = ("prime: given to the model", "prime: given", "prime")
"""What the mark means; the longest that there is room for."""


def legend_width(facts: Sequence[str], style: Style) -> int:
    """The least width at which no fact has to be cut."""
    return max((text_width(fact, style.font) for fact in facts), default=0)


def legend_height(facts: Sequence[str], width: int, style: Style) -> int:
    """How high the legend gets when it is `width` wide."""
    return facts_height(facts, width, style) + style.line


def facts_height(facts: Sequence[str], width: int, style: Style) -> int:
    """The same without the key."""
    return len(_lines(facts, width, style)) * style.line


def draw_legend(
    canvas: Canvas, facts: Sequence[str], corner: Corner, style: Style
) -> None:
    """Write the key of the marks, then the facts, as wide as the canvas allows."""
    top, left = corner
    width = canvas.shape[1] - left - style.margin
    swatch = style.font
    fill(canvas, (top + (style.line - swatch) // 2, left), (swatch, swatch), MARK)
    indent = swatch + style.font // 2
    room = width - indent
    fitting = (key for key in KEYS if text_width(key, style.font) <= room)
    write(canvas, next(fitting, ""), (top, left + indent), style.font, QUIET)
    draw_facts(canvas, facts, (top + style.line, left), style)


def draw_facts(
    canvas: Canvas, facts: Sequence[str], corner: Corner, style: Style
) -> None:
    """Write the facts alone, as wide as the canvas allows."""
    top, left = corner
    width = canvas.shape[1] - left - style.margin
    for line, text in enumerate(_lines(facts, width, style)):
        write(canvas, text, (top + line * style.line, left), style.font, QUIET)


def _lines(facts: Sequence[str], width: int, style: Style) -> list[str]:
    """The facts joined by dots, on as few lines as `width` allows."""
    lines: list[str] = []
    for fact in facts:
        longer = f"{lines[-1]}{DOT}{fact}" if lines else fact
        if lines and text_width(longer, style.font) <= width:
            lines[-1] = longer
        else:
            lines.append(fit(fact, width, style.font))
    return lines
