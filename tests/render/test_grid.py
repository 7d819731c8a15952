"""The layout of blocks and cells, and the words on it."""

import numpy as np
import pytest

from svtcli.render.fonts import draw_text, line_height, text_width
from svtcli.render.grid import INK, Block, Layout, Sizes, fit, grid, paint, write


def test_enlarging_repeats_pixels_and_nothing_else():
    gray = np.array([[[1], [2]]], np.uint8)
    expected = [[1, 1, 2, 2]] * 2
    canvas = np.zeros((2, 4, 3), np.uint8)
    paint(canvas, gray, (0, 0), 2)
    np.testing.assert_array_equal(canvas, np.dstack([expected] * 3))


def test_text_that_fits_is_left_alone_and_other_text_loses_its_middle():
    whole = text_width("carphone_pristine.mp4", 14)
    assert fit("carphone_pristine.mp4", whole, 14) == "carphone_pristine.mp4"
    shorter = fit("carphone_pristine.mp4", whole - 1, 14)
    assert text_width(shorter, 14) < whole
    assert shorter.startswith("carphone")
    assert shorter.endswith("ne.mp4")
    assert fit("carphone", 1, 14) == ""


def test_words_are_written_in_ink_and_stop_at_the_edge():
    canvas = np.full((40, 30, 3), 255, np.uint8)
    write(canvas, "ground truth", (10, 5), 14)
    assert tuple(canvas.min((0, 1))) == pytest.approx(INK, abs=40)
    assert (canvas[:10] == 255).all()
    assert (canvas[:, :5] == 255).all()


@pytest.mark.parametrize("text", ["", "a\nb", "a\udcffb", "漢字", "é°…"])
def test_any_file_name_can_be_drawn(text):
    ink = draw_text(text, 14)
    assert ink.shape == (line_height(14), text_width(text, 14))


@pytest.mark.parametrize("size", [12, 18, 28])
def test_letters_keep_inside_their_line(size):
    ink = draw_text("Ágpqy|", size)
    assert ink.max() > 200
    assert ink.shape[0] == line_height(size)


def test_cells_fill_lines_from_left_to_right():
    assert grid(5, 2, (10, 7), (1, 3)) == ((1, 3), (1, 10), (11, 3), (11, 10), (21, 3))


@pytest.mark.parametrize("across", [1, 2, 3])
def test_blocks_of_a_grid_do_not_overlap_and_the_caption_stands_below(across):
    sizes = Sizes((20, 30))
    blocks = (Block((50, 80), ((5, 6),), ()),) * 5
    layout = Layout(sizes, blocks, ("a fact",) * 4, across)
    taken = np.zeros(layout.extent, int)
    for number in range(5):
        top, left = layout.corner(number)
        taken[top : top + 50, left : left + 80] += 1
        assert layout.cell(number, 0) == (top + 5, left + 6)
    assert taken.sum() == 5 * 50 * 80
    assert taken.max() == 1
    assert not taken[layout.foot :].any()
    inked = (layout.paper != 255).any(-1)
    assert not inked[: layout.foot].any()
    assert inked[layout.foot :].any()
