"""The stage: whole pictures or none, a record of them, and clear refusals."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from svtcli.failure import BadData, Failure, Refused
from svtcli.recipe.schema import Render
from svtcli.render import pictures
from svtcli.render.stage import render
from svtcli.run.durable import write_record
from svtcli.run.progress import Silent
from svtcli.run.samples import Samples, write_samples
from tests.render.made_up import made_up_samples

ALL = Render(formats=("png", "gif", "mp4"))


@pytest.fixture
def samples(tmp_path):
    folder = tmp_path / "samples"
    write_samples(folder, made_up_samples())
    return folder


def stale(samples, out, settings):
    """Names of the pictures that would be drawn."""
    paths = render(samples, out, settings, Silent(), dry_run=True)
    return [path.name for path in paths]


def rewrite(folder, **changes):
    samples = made_up_samples()
    write_samples(folder, replace(samples, **changes))


def test_every_format_is_a_picture_of_all_frames(samples, tmp_path):
    strip, gif, mp4 = render(samples, tmp_path / "deep" / "out", ALL, Silent())
    with Image.open(strip) as picture:
        assert picture.format == "PNG"
    with Image.open(gif) as picture:
        assert picture.n_frames == 7
    with av.open(mp4) as container:
        assert len(list(container.decode(video=0))) == 7


def test_nothing_is_left_beside_the_pictures_and_their_record(samples, tmp_path):
    pictures = render(samples, tmp_path / "out", ALL, Silent())
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {picture.name for picture in pictures} | {"figures.json"}


def test_settings_reach_the_strip(samples, tmp_path):
    def size(**settings):
        out = tmp_path / "-".join(map(str, settings.values()))
        (strip,) = render(samples, out, Render(("png",), **settings), Silent())
        with Image.open(strip) as picture:
            return picture.size

    width, height = size()
    assert size(every=3)[0] < width
    assert size(rows=1)[1] < height
    assert size(scale=4)[0] > width


def test_fps_sets_the_speed(samples, tmp_path):
    settings = Render(("gif", "mp4"), fps=4.0)
    gif, mp4 = render(samples, tmp_path / "out", settings, Silent())
    with Image.open(gif) as picture:
        assert picture.info["duration"] == 250
    with av.open(mp4) as container:
        assert container.streams.video[0].average_rate == 4


def test_pictures_of_other_settings_are_drawn_again(samples, tmp_path):
    out = tmp_path / "out"
    (strip,) = render(samples, out, Render(("png",)), Silent())
    before = strip.read_bytes()
    render(samples, out, Render(("gif", "png"), scale=4), Silent())
    assert strip.read_bytes() != before
    render(samples, out, Render(("png",)), Silent())
    assert strip.read_bytes() == before


@pytest.mark.parametrize("changed", [False, True])
def test_a_file_that_svt_did_not_draw_is_replaced_only_by_force(
    samples, tmp_path, changed
):
    out = tmp_path / "out"
    if changed:
        render(samples, out, Render(("png",)), Silent())
    out.mkdir(exist_ok=True)
    (strip := out / "strip.png").write_bytes(b"mine")
    why = "changed since svt drew it" if changed else "svt did not draw it"
    for dry_run in (True, False):
        with pytest.raises(Refused, match=rf"strip\.png: .*{why}") as caught:
            render(samples, out, ALL, Silent(), dry_run=dry_run)
        assert "--force" in (caught.value.hint or "")
    assert strip.read_bytes() == b"mine"
    assert not (out / "samples.gif").exists()
    render(samples, out, ALL, Silent(), force=True)
    assert strip.read_bytes() != b"mine"
    assert stale(samples, out, ALL) == []


def test_pictures_are_drawn_again_where_samples_settings_or_files_changed(
    samples, tmp_path
):
    out, every = tmp_path / "out", ["strip.png", "samples.gif", "samples.mp4"]
    assert stale(samples, out, ALL) == every
    pictures = render(samples, out, ALL, Silent())
    assert stale(samples, out, ALL) == []
    record = json.loads((out / "figures.json").read_text())
    assert list(record["pictures"]) == every
    video = made_up_samples().video
    video[0, 0, 0, 0, 0, 0] ^= 1
    rewrite(samples, video=video)
    assert stale(samples, out, ALL) == every, "one bit of one pixel has changed"
    rewrite(samples)
    assert stale(samples, out, ALL) == []
    pictures[1].unlink()
    assert stale(samples, out, ALL) == ["samples.gif"]


@pytest.mark.parametrize(
    ("changes", "drawn"),
    [
        ({"frames": (0, 3)}, ["strip.png"]),
        ({"every": 2}, ["strip.png"]),
        ({"diversity": True}, ["diversity.png"]),
        ({"fps": 4.0}, ["samples.gif", "samples.mp4"]),
        ({"scale": 3}, ["strip.png", "samples.gif", "samples.mp4"]),
        ({"formats": ("gif",)}, []),
    ],
)
def test_only_the_pictures_that_a_setting_concerns_are_drawn_again(
    samples, tmp_path, changes, drawn
):
    out = tmp_path / "out"
    before = {p: p.stat().st_mtime_ns for p in render(samples, out, ALL, Silent())}
    changed = replace(ALL, **changes)
    assert stale(samples, out, changed) == drawn
    named = render(samples, out, changed, Silent())
    assert len(named) == len(changed.formats), "all are named, drawn or not"
    now = {p: p.stat().st_mtime_ns for p in named}
    assert [p.name for p in named if before.get(p) != now[p]] == drawn
    assert stale(samples, out, changed) == []
    assert {p.name for p in before} <= {p.name for p in out.iterdir()}


def test_pictures_of_an_older_svt_are_drawn_again(samples, tmp_path):
    out = tmp_path / "out"
    render(samples, out, ALL, Silent())
    names = ["strip.png", "samples.gif", "samples.mp4"]
    write_record(out / "figures.json", {"fingerprint": "0", "files": names})
    assert stale(samples, out, ALL) == names


def test_a_kill_between_the_pictures_and_after_the_record_does_no_harm(
    samples, tmp_path, monkeypatch
):
    out, small = tmp_path / "out", replace(ALL, scale=1)
    render(samples, out, ALL, Silent())
    real, left = Path.replace, [3]  # the record, the strip

    def killed(self, target):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        render(samples, out, small, Silent())
    monkeypatch.undo()
    assert stale(samples, out, small) == ["samples.gif", "samples.mp4"]


@pytest.mark.parametrize("text", ["", "[]", '{"pictures": 3}'])
def test_a_torn_record_tells_nothing(samples, tmp_path, text):
    (tmp_path / "figures.json").write_text(text)
    assert len(stale(samples, tmp_path, ALL)) == 3


def test_a_format_named_twice_is_drawn_once(samples, tmp_path):
    settings = Render(("png", "png"))
    assert len(render(samples, tmp_path / "out", settings, Silent())) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, Failure])
def test_an_error_half_way_leaves_everything_as_it_was(
    samples, tmp_path, monkeypatch, error
):
    def fail(*_):
        raise error("in the middle")

    monkeypatch.setattr(pictures, "write_mp4", fail)
    with pytest.raises(error):
        render(samples, tmp_path / "new" / "out", ALL, Silent())
    assert not (tmp_path / "new").exists()
    out = tmp_path / "kept"
    render(samples, out, Render(("png",)), Silent())
    (out / "mine.txt").write_text("a user's")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(error):
        render(samples, out, replace(ALL, scale=4), Silent())
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_gif_faster_than_possible_is_said(samples, tmp_path):
    class Notes(Silent):
        def note(self, line):
            notes.append(line)

    notes = []
    render(samples, tmp_path / "a", Render(("gif",), fps=50.0), Notes())
    assert notes == []
    render(samples, tmp_path / "b", Render(("gif",), fps=51.0), Notes())
    assert notes == ["the GIF plays 50 frames/s, the fastest possible"]


def test_unfinished_and_missing_samples_are_refused(samples, tmp_path):
    (samples / "samples.json").unlink()
    for folder in (samples, tmp_path / "absent"):
        for dry_run in (True, False):
            with pytest.raises(Refused, match="no finished samples here"):
                render(folder, tmp_path / "out", ALL, Silent(), dry_run=dry_run)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(samples, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(Refused, match="not a folder"):
        render(samples, tmp_path / "out", ALL, Silent())


@pytest.mark.parametrize(
    ("video", "complaint"),
    [
        (np.zeros((2, 3, 7, 4, 4, 2), np.uint8), "2 image channels"),
        (np.zeros((2, 0, 7, 12, 20, 3), np.uint8), "hold no video"),
        (np.zeros((5, 3, 7, 12, 20, 3), np.uint8), "names 2 clips"),
    ],
)
def test_arrays_that_cannot_be_drawn_are_bad_data(samples, tmp_path, video, complaint):
    truth = np.zeros(video.shape[:1] + video.shape[2:], np.uint8)
    log_prob = np.zeros(video.shape[:3], np.float32)
    facts = made_up_samples().facts
    write_samples(samples, Samples(video, truth, log_prob, facts))
    for dry_run in (True, False):
        with pytest.raises(BadData, match=complaint):
            render(samples, tmp_path / "out", ALL, Silent(), dry_run=dry_run)
    assert not (tmp_path / "out").exists()


def test_a_torn_array_is_bad_data(samples, tmp_path):
    whole = (samples / "samples.npy").read_bytes()
    (samples / "samples.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadData, match="has changed since it was written"):
        render(samples, tmp_path / "out", ALL, Silent())
