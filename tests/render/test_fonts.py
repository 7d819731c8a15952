"""Letters of any script: drawn where there is a font, and told where there is none."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path

from svtcli.render import fonts
from svtcli.render.charts import draw_panels
from svtcli.render.curves import Curve, Panel
from svtcli.render.fonts import draw_text, drawable, missing_noted, text_width
from svtcli.run.progress import Silent

BROUGHT = Path(get_data_path(), "fonts", "ttf")
STRANGE = "ᶁ"
"""A letter that STIX has, and DejaVu Sans has not."""


class Notes(Silent):
    """The notes of a command."""

    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a second font, and with two files that are none."""
    (tmp_path / "a.ttf").write_bytes(b"no font")
    files = (
        *(BROUGHT / "DejaVuSans.ttf", tmp_path / "a.ttf", tmp_path / "b.ttf"),
        BROUGHT / "STIXGeneral.ttf",
    )
    monkeypatch.setattr(fonts, "_font_files", lambda: tuple(map(str, files)))
    fonts._font_of.cache_clear()
    yield
    fonts._font_of.cache_clear()


@pytest.mark.parametrize(
    "name", ["кот", "γάτα", "قطة", "חתול", "Łódź é", "nai\u0308ve", "😀"]
)
def test_many_scripts_need_no_font_of_the_machine(name):
    base = str(BROUGHT / "DejaVuSans.ttf")
    assert {file for file, _ in fonts._pieces(name)} == {base}
    assert "?" not in drawable(name)
    assert draw_text(name, 20).max() > 200


def test_a_letter_is_drawn_in_the_first_font_that_has_it(machine):
    text = f"a{STRANGE}b"
    assert drawable(text) == text
    names = [Path(file).stem for file, _ in fonts._pieces(text)]
    assert names == ["DejaVuSans", "STIXGeneral", "DejaVuSans"]
    ink = draw_text(text, 20)
    assert ink.shape == (fonts.line_height(20), text_width(text, 20))
    assert not np.array_equal(ink, draw_text("a?b", 20))
    assert fonts.families(text) == ["DejaVu Sans", "STIXGeneral"]
    panel = Panel("Training", "step", "loss", (Curve(text, (1.0,), (2.0,)),))
    plain = Panel("Training", "step", "loss", (Curve("a?b", (1.0,), (2.0,)),))
    assert not np.array_equal(draw_panels([panel]), draw_panels([plain]))


def test_letters_that_no_font_has_are_told_once(machine):
    notes = Notes()
    with missing_noted(notes):
        for _ in range(2):
            assert np.array_equal(draw_text("猫, a", 20), draw_text("?, a", 20))
    (line,) = notes.lines
    assert line.startswith("no font of this machine has 猫, drawn as question marks;")
    with missing_noted(notes):
        draw_text("a", 20)
    assert len(notes.lines) == 1


def test_what_is_not_seen_is_left_out():
    assert drawable("a\u200db\u202e") == "ab"
    assert drawable("a\nb\udcff\x1b") == "a?b??"
