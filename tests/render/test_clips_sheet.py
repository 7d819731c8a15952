"""The stage: random clips by seed, all splits or one, whole pictures or none."""

import shutil
from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image

from svtcli.clips.reader import open_clips
from svtcli.failure import BadData, Failure, Refused
from svtcli.render import clips_sheet as stage
from svtcli.render.clips_sheet import (
    Part,
    SheetSettings,
    choose_at_random,
    render_sheet,
    still_times,
)
from svtcli.run.progress import Silent
from tests.written_clips import write_clips

ALL = SheetSettings(formats=("png", "gif", "mp4"), rows=1, scale=1)


@pytest.fixture
def clips(tmp_path):
    lengths = {"train": [9, 1, 5] * 10, "val": [3], "test": [200, 7]}
    return write_clips(tmp_path / "cooking", lengths)


@pytest.fixture
def shown(monkeypatch):
    """The parts and facts of each picture that is drawn."""
    seen: list[tuple[list[Part], tuple[str, ...]]] = []

    def spy(draw):
        def drawn(parts, facts, scale):
            seen.append((parts, facts))
            return draw(parts, facts, scale)

        return drawn

    monkeypatch.setattr(stage, "sheet", spy(stage.sheet))
    monkeypatch.setattr(stage, "sheet_film", spy(stage.sheet_film))
    return seen


def test_every_format_is_a_picture(clips, tmp_path):
    still, gif, mp4 = render_sheet(clips, tmp_path / "out", "test", ALL, 5, Silent())
    assert [p.name for p in (still, gif, mp4)] == [
        "sheet.png",
        "sheet.gif",
        "sheet.mp4",
    ]
    with Image.open(still) as picture:
        assert picture.format == "PNG"
    with Image.open(gif) as picture:
        assert picture.n_frames == stage.LONGEST
    with av.open(mp4) as container:
        assert len(list(container.decode(video=0))) == stage.LONGEST
    assert len(list((tmp_path / "out").iterdir())) == 4, "with the record"


def test_all_splits_are_shown_or_the_one_that_is_named(clips, tmp_path, shown):
    settings = SheetSettings(rows=2)
    render_sheet(clips, tmp_path / "a", None, settings, 0, Silent())
    render_sheet(clips, tmp_path / "b", "test", settings, 0, Silent())
    titles = [[(p.title, len(p.clips)) for p in parts] for parts, _ in shown]
    assert titles == [[("train", 2), ("val", 1), ("test", 2)], [("test", 2)]]
    assert shown[1][0][0].about == "2 clips, 207 frames"
    assert shown[0][0][1].about == "1 clip, 3 frames"


def test_a_cell_shows_frames_of_its_clip_and_says_what_it_is(clips, tmp_path, shown):
    render_sheet(clips, tmp_path / "a", "test", SheetSettings(), 0, Silent())
    long, short = shown[0][0][0].clips
    assert (long.label, long.note, long.length) == (
        "baking cookies",
        "test 0",
        "200 frames",
    )
    assert (short.label, short.note, short.length) == ("test 1", "", "7 frames")
    videos = open_clips(clips, "test")
    np.testing.assert_array_equal(long.video, videos.read(0)[[0, 66, 132, 199]])
    np.testing.assert_array_equal(short.video, videos.read(1)[[0, 2, 4, 6]])


def test_clips_of_one_length_say_it_once(tmp_path, shown):
    clips = write_clips(tmp_path / "even", {"train": [6, 6]})
    render_sheet(clips, tmp_path / "a", None, SheetSettings(), 3, Silent())
    ((part,), facts), *_ = shown
    assert [cell.length for cell in part.clips] == ["", ""]
    assert facts == (
        "even",
        "12 by 12, RGB",
        "clips of 6 frames",
        "random choice, seed 3",
        "frames spread over each clip",
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (SheetSettings(), ("frames spread over each clip",)),
        (SheetSettings(every=1), ("the first 4 frames of each clip",)),
        (SheetSettings(every=5), ("frames 5 apart",)),
        (SheetSettings(("mp4",)), ("the first 150 frames",)),
        (SheetSettings(("mp4",), every=2), ("frames 2 apart",)),
    ],
)
def test_the_caption_says_which_frames_are_shown(
    clips, tmp_path, shown, settings, said
):
    render_sheet(clips, tmp_path / "a", "test", settings, 0, Silent())
    ((_, facts),) = shown
    assert facts[:4] == (
        "cooking",
        "12 by 12, RGB",
        "clips of 7 to 200 frames",
        "random choice, seed 0",
    )
    assert facts[4:] == said


@pytest.mark.parametrize(
    ("length", "every", "times"),
    [
        (1, None, [0]),
        (2, None, [0, 1]),
        (20, None, [0, 6, 12, 19]),
        (20, 2, [0, 2, 4, 6]),
        (3, 2, [0, 2]),
    ],
)
def test_a_clip_is_shown_from_its_first_to_its_last_frame(length, every, times):
    assert still_times(length, every) == times


def test_the_seed_chooses_the_clips(clips):
    train = open_clips(clips, "train")
    chosen = [choose_at_random(train, 12, seed) for seed in range(20)]
    assert chosen == [choose_at_random(train, 12, seed) for seed in range(20)]
    assert all(sorted(set(each)) == each and len(each) == 12 for each in chosen)
    assert len({tuple(each) for each in chosen}) == 20
    assert {number for each in chosen for number in each} == set(range(30))
    assert choose_at_random(train, 99, 0) == list(range(30))


def test_a_film_of_every_second_frame_goes_twice_as_far(clips, tmp_path, shown):
    for every in (1, 2):
        settings = SheetSettings(("mp4",), every=every, scale=1)
        render_sheet(clips, tmp_path / str(every), "test", settings, 1, Silent())
    videos = open_clips(clips, "test")
    for every, (parts, _) in enumerate(shown, start=1):
        for number, cell in enumerate(parts[0].clips):
            wanted = videos.read(number)[::every][: stage.LONGEST]
            np.testing.assert_array_equal(cell.video, wanted)
    assert [len(parts[0].clips[0].video) for parts, _ in shown] == [150, 100]


@pytest.mark.parametrize(("size", "height"), [(64, 128), (256, 256), (30, 120)])
def test_frames_are_enlarged_until_they_can_be_seen(tmp_path, size, height):
    clips = write_clips(tmp_path / "a", {"train": [1]}, (size, size, 1), [None])
    (path,) = render_sheet(clips, tmp_path / "b", None, SheetSettings(), 0, Silent())
    with Image.open(path) as picture:
        inked = "".join(
            "x" if row[40, 0] != 255 else " " for row in np.asarray(picture)
        )
    assert max(map(len, inked.split())) == height


def test_a_sheet_is_drawn_again_where_clips_or_settings_changed(clips, tmp_path):
    out, png = tmp_path / "out", SheetSettings()

    def stale(settings, split=None, seed=0):
        paths = render_sheet(clips, out, split, settings, seed, Silent(), dry_run=True)
        return [path.name for path in paths]

    (path,) = render_sheet(clips, out, None, png, 0, Silent())
    before = path.read_bytes()
    assert stale(png) == stale(replace(png, fps=3.0)) == []
    assert stale(replace(png, formats=ALL.formats)) == ["sheet.gif", "sheet.mp4"]
    assert stale(png, "test") == stale(png, seed=1) == ["sheet.png"]
    render_sheet(clips, out, None, png, 0, Silent(), force=True)
    assert path.read_bytes() == before, "the same seed gives the same picture"
    render_sheet(clips, out, None, png, 1, Silent())
    assert path.read_bytes() != before
    other = write_clips(tmp_path / "other", {"train": [7, 3, 5], "test": [4]})
    shutil.rmtree(clips)
    shutil.move(other, clips)
    assert stale(png, seed=1) == ["sheet.png"]
    path.write_bytes(b"mine")
    with pytest.raises(Refused, match=r"sheet\.png: changed since svt drew it"):
        stale(png, seed=1)


def test_an_error_half_way_leaves_everything_as_it_was(clips, tmp_path, monkeypatch):
    def fail(*_):
        raise Failure("in the middle")

    monkeypatch.setattr(stage, "write_film", fail)
    with pytest.raises(Failure):
        render_sheet(clips, tmp_path / "new" / "out", None, ALL, 0, Silent())
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_drawn_is_refused(clips, tmp_path):
    out, settings = tmp_path / "out", replace(ALL, formats=("png",))
    depth = write_clips(tmp_path / "depth", {"train": [2]}, (4, 4, 2))
    for attempt in (
        lambda *a: render_sheet(*a, settings, 0, Silent(), dry_run=True),
        lambda *a: render_sheet(*a, settings, 0, Silent()),
    ):
        with pytest.raises(Refused, match="no split 'dev'; it has train, val, test"):
            attempt(clips, out, "dev")
        with pytest.raises(Refused, match="no such folder"):
            attempt(tmp_path / "absent", out, None)
        with pytest.raises(BadData, match="2 image channels"):
            attempt(depth, out, None)
        with pytest.raises(Refused, match="not a folder"):
            attempt(clips, clips / "manifest.json", None)
    assert not out.exists()
