"""Fonts of pictures: DejaVu Sans, which matplotlib brings, then those of the machine.

DejaVu Sans has Latin, Greek, Cyrillic, Hebrew, Arabic and more, and pictures in these
look the same everywhere. Every other letter is drawn in the first font of the machine
that has it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category, normalize

import numpy as np
from jaxtyping import UInt8

from svtcli.run.progress import Progress
from svtcli.video import image
from svtcli.video.image import Piece

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

UNUSUAL = (
    *("bold", "italic", "oblique", "light", "thin", "medium", "black", "condensed"),
    *("serif", "mono"),
)
"""Parts of names of fonts that are taken last."""
_missing: set[str] = set()
"""Letters of texts drawn that no font has."""


@cache
def _font_files() -> tuple[str, ...]:
    """Files of fonts; upright sans-serif ones of usual weight before others."""
    from matplotlib import get_data_path  # takes its time
    from matplotlib.font_manager import findSystemFonts

    base = Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")

    def order(file: str) -> tuple[int, str]:
        name = Path(file).stem.lower()
        return sum(word in name for word in UNUSUAL), file

    return (str(base), *sorted(findSystemFonts(), key=order))


@lru_cache(maxsize=64)
def _face(file: str) -> "FT2Font | None":
    """The font of a file; None if it cannot be drawn at every size."""
    from matplotlib.ft2font import FT2Font

    try:
        face = FT2Font(file)
    except (OSError, RuntimeError):
        return None
    return face if face.scalable else None


@cache
def _font_of(letter: str) -> str | None:
    """File of the first font that has the letter; None if there is none."""
    for file in _font_files():
        if (face := _face(file)) and face.get_char_index(ord(letter)):
            return file
    return None


def drawable(text: str) -> str:
    """`text` with a question mark for each letter that cannot be drawn.

    Accents that no font has are left out, as are letters that only steer others.
    """
    letters = []
    for letter in normalize("NFC", text):
        kind = category(letter)
        if kind == "Cf" or (kind[0] == "M" and not _font_of(letter)):
            continue
        if not letter.isprintable():
            letter = "?"
        elif not _font_of(letter):
            _missing.add(letter)
            letter = "?"
        letters.append(letter)
    return "".join(letters)


def _pieces(text: str) -> tuple[Piece, ...]:
    """The text cut where the font changes."""
    runs = groupby(drawable(text), key=_font_of)
    return tuple((file or _font_files()[0], "".join(letters)) for file, letters in runs)


def text_width(text: str, size: int) -> int:
    """Width of `text` in pixels, at a font size of `size` pixels."""
    return image.text_width(_pieces(text), size)


def line_height(size: int) -> int:
    """Height of any line of text in pixels."""
    return sum(image.ascent_and_descent(_font_files()[0], size))


def draw_text(text: str, size: int) -> UInt8[np.ndarray, "height width"]:
    """Opacity of every pixel of one line of `text`, 0 to 255."""
    return image.draw_text(_pieces(text), size, _font_files()[0])


def families(text: str) -> list[str]:
    """Names of the fonts that matplotlib needs to draw `text`."""
    from matplotlib.font_manager import fontManager

    files = dict.fromkeys((_font_files()[0], *(file for file, _ in _pieces(text))))
    for file in files:
        fontManager.addfont(file)
    return [face.family_name for file in files if (face := _face(file))]


@contextmanager
def missing_noted(progress: Progress) -> Iterator[None]:
    """Tell at the end which letters were drawn as question marks, if any."""
    _missing.clear()
    yield
    if _missing:
        some = "".join(sorted(_missing)[:8])
        progress.note(
            f"no font of this machine has {some}, drawn as question marks; install one "
            "(Debian: fonts-noto-cjk, fonts-noto-core, fonts-symbola), then svt render "
            "--force"
        )
