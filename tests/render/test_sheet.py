"""The contact sheet: every frame unaltered in its place, and its words below it."""

import numpy as np
import pytest

from svtcli.render.sheet import Cell, Part, sheet, sheet_film, sheet_layout

FACTS = ("cooking", "12 by 20, RGB")


def made_up(*counts: int, frames=(3,), channels=3, size=(12, 20), label="clip") -> list:
    """Parts with so many cells; clips take turns with the lengths `frames`."""
    rng = np.random.default_rng(sum(counts))

    def cell(i: int) -> Cell:
        shape = (frames[i % len(frames)], *size, channels)
        video = rng.integers(0, 200, shape, np.uint8)
        return Cell(f"{label} {i}", f"{shape[0]} frames", f"id {i}", video)

    return [
        Part(f"part {n}", f"{count} clips", tuple(cell(i) for i in range(count)))
        for n, count in enumerate(counts)
    ]


def enlarged(frame, scale):
    rgb = np.repeat(frame, 3 // frame.shape[-1], -1)
    return np.kron(rgb, np.ones((scale, scale, 1), np.uint8))


def boxes(parts, layout, beside):
    """Corner and frame of everything that is shown."""
    step = layout.style.frame[1] + layout.gap
    for n, part in enumerate(parts):
        for i, cell in enumerate(part.cells):
            top, left = layout.corner(n, i)
            for column, frame in enumerate(cell.video[:beside]):
                yield top, left + column * step, frame


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("counts", [(1,), (7,), (5, 1, 12)])
def test_every_frame_lies_unaltered_at_its_place(scale, channels, counts):
    parts = made_up(*counts, frames=(4, 1, 3), channels=channels)
    canvas, layout = sheet(parts, FACTS, scale), sheet_layout(parts, FACTS, 4, scale)
    assert canvas.shape == (*layout.extent, 3)
    taken = np.zeros(canvas.shape[:2], int)
    for top, left, frame in boxes(parts, layout, 4):
        here = slice(top, top + 12 * scale), slice(left, left + 20 * scale)
        np.testing.assert_array_equal(canvas[here], enlarged(frame, scale))
        taken[here] += 1
    assert taken.max() == 1, "frames lie over each other"


def test_a_film_plays_every_cell_and_begins_short_ones_again():
    parts = made_up(2, 1, frames=(5, 2))
    film, layout = list(sheet_film(parts, FACTS, 2)), sheet_layout(parts, FACTS, 1, 2)
    assert len(film) == 5
    for time, canvas in enumerate(film):
        for n, part in enumerate(parts):
            for i, cell in enumerate(part.cells):
                top, left = layout.corner(n, i)
                wanted = enlarged(cell.video[time % len(cell.video)], 2)
                shown = canvas[top : top + 24, left : left + 40]
                np.testing.assert_array_equal(shown, wanted)


def test_words_stand_below_their_clip_and_nowhere_else():
    parts = made_up(6, 3, label="a label that is far too long for the frames above it")
    canvas, layout = sheet(parts, FACTS, 2), sheet_layout(parts, FACTS, 3, 2)
    style, inked = layout.style, (canvas != 255).any(-1)
    for n, part in enumerate(parts):
        head = inked[layout.top(n) : layout.top(n) + style.line]
        assert head.any()
        for i in range(len(part.cells)):
            top, left = layout.corner(n, i)
            below = slice(top + style.frame[0] + layout.gap, top + layout.cell[0])
            right = left + layout.cell[1]
            assert inked[below, left:right].any()
            assert not inked[below, right : right + style.margin].any()
    assert inked[layout.foot :].any()


@pytest.mark.parametrize("counts", [(1,), (2, 1), (40,)])
@pytest.mark.parametrize("size", [(4, 4), (64, 64), (30, 200)])
def test_margins_are_white_and_even(counts, size):
    canvas = sheet(made_up(*counts, size=size), FACTS, 1)
    inked = (canvas != 255).any(-1)
    rows, columns = (np.nonzero(inked.any(axis))[0] for axis in (1, 0))
    margin = sheet_layout(made_up(*counts, size=size), FACTS, 3, 1).style.margin
    for free in (rows[0], columns[0], canvas.shape[0] - 1 - rows[-1]):
        assert margin <= free <= 2 * margin
    assert canvas.shape[1] - 1 - columns[-1] >= margin


def test_a_page_of_many_clips_is_a_little_wider_than_high():
    for counts in ((40,), (12, 12, 12), (12, 3)):
        layout = sheet_layout(made_up(*counts, size=(64, 64)), FACTS, 4, 2)
        height, width = layout.extent
        assert 0.9 < width / height < 2.4


def test_a_second_line_of_words_is_there_only_where_it_is_needed():
    parts = made_up(2)
    bare = [Part("a", "", tuple(Cell("x", "", "", c.video) for c in parts[0].cells))]
    heights = [sheet_layout(p, FACTS, 3, 1).cell[0] for p in (parts, bare)]
    assert heights[0] - heights[1] == sheet_layout(parts, FACTS, 3, 1).style.line


@pytest.mark.parametrize("field", ["label", "length", "note"])
def test_each_word_changes_the_picture(field):
    def drawn(**words):
        told = {"label": "l", "length": "s", "note": "n", **words}
        cell = Cell(video=np.zeros((2, 12, 20, 3), np.uint8), **told)
        return sheet([Part("train", "1 clip", (cell,))], FACTS, 2)

    assert not np.array_equal(drawn(), drawn(**{field: "other"}))
