"""The contact sheet: every frame unaltered in its place, and its words below it."""

import numpy as np
import pytest

from svtcli.render.clips_sheet import Clip, Part, sheet, sheet_film, sheet_layout

FACTS = ("cooking", "12 by 20, RGB")


def made_up(*counts: int, frames=(3,), channels=3, size=(12, 20), label="clip") -> list:
    """Parts with so many cells; clips take turns with the lengths `frames`."""
    rng = np.random.default_rng(sum(counts))

    def cell(i: int) -> Clip:
        shape = (frames[i % len(frames)], *size, channels)
        video = rng.integers(0, 200, shape, np.uint8)
        return Clip(f"{label} {i}", f"{shape[0]} frames", f"id {i}", video)

    return [
        Part(f"part {n}", f"{count} clips", tuple(cell(i) for i in range(count)))
        for n, count in enumerate(counts)
    ]


def enlarged(frame, scale):
    rgb = np.repeat(frame, 3 // frame.shape[-1], -1)
    return np.kron(rgb, np.ones((scale, scale, 1), np.uint8))


def boxes(parts, layout, beside):
    """Corner and frame of everything that is shown."""
    for n, part in enumerate(parts):
        for i, cell in enumerate(part.clips):
            for column, frame in enumerate(cell.video[:beside]):
                yield *layout.cell(n, i * beside + column), frame


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
            for i, cell in enumerate(part.clips):
                top, left = layout.cell(n, i)
                wanted = enlarged(cell.video[time % len(cell.video)], 2)
                shown = canvas[top : top + 24, left : left + 40]
                np.testing.assert_array_equal(shown, wanted)


def test_words_stand_below_their_clip_and_nowhere_else():
    parts = made_up(6, 3, label="a label that is far too long for the frames above it")
    canvas, layout = sheet(parts, FACTS, 2), sheet_layout(parts, FACTS, 3, 2)
    sizes, inked = layout.sizes, (canvas != 255).any(-1)
    height, width = sizes.frame
    near = layout.cell(0, 1)[1] - layout.cell(0, 0)[1] - width
    clip_width = max(3 * (width + near) - near, 9 * sizes.font)
    for n, part in enumerate(parts):
        top, _ = layout.corner(n)
        assert inked[top : top + sizes.line].any()
        for i in range(len(part.clips)):
            top, left = layout.cell(n, 3 * i)
            top, right = top + height + near, left + clip_width
            below = slice(top, top + 2 * sizes.line)
            assert inked[below, left:right].any()
            assert not inked[below, right : right + sizes.margin].any()
    assert inked[layout.foot :].any()


@pytest.mark.parametrize("counts", [(1,), (2, 1), (40,)])
@pytest.mark.parametrize("size", [(4, 4), (64, 64), (30, 200)])
def test_margins_are_white_and_even(counts, size):
    canvas = sheet(made_up(*counts, size=size), FACTS, 1)
    inked = (canvas != 255).any(-1)
    rows, columns = (np.nonzero(inked.any(axis))[0] for axis in (1, 0))
    margin = sheet_layout(made_up(*counts, size=size), FACTS, 3, 1).sizes.margin
    for free in (rows[0], columns[0], canvas.shape[0] - 1 - rows[-1]):
        assert margin <= free <= 2 * margin
    assert canvas.shape[1] - 1 - columns[-1] >= margin


def test_a_page_of_many_clips_is_a_little_wider_than_high():
    for counts in ((40,), (12, 12, 12), (12, 3)):
        layout = sheet_layout(made_up(*counts, size=(64, 64)), FACTS, 4, 2)
        height, width = layout.extent
        assert 0.9 < width / height < 2.4


def test_a_second_line_of_words_is_there_only_where_it_is_needed():
    parts = made_up(1)
    bare = [Part("a", "", tuple(Clip("x", "", "", c.video) for c in parts[0].clips))]
    layouts = [sheet_layout(p, FACTS, 3, 1) for p in (parts, bare)]
    heights = [layout.blocks[0].extent[0] for layout in layouts]
    assert heights[0] - heights[1] == layouts[0].sizes.line


@pytest.mark.parametrize("field", ["label", "length", "note"])
def test_each_word_changes_the_picture(field):
    def drawn(**words):
        told = {"label": "l", "length": "s", "note": "n", **words}
        cell = Clip(video=np.zeros((2, 12, 20, 3), np.uint8), **told)
        return sheet([Part("train", "1 clip", (cell,))], FACTS, 2)

    assert not np.array_equal(drawn(), drawn(**{field: "other"}))
