"""Whatever videos lie in, `open_videos` gives the same pixels."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from svtcli.clips.format import Split, read_manifest, write_manifest
from svtcli.evaluate.foreign import open_videos
from svtcli.evaluate.foreign.videos import Videos
from svtcli.failure import BadData, Refused
from svtcli.video.array_layout import ArrayForm
from tests.evaluate.video_kinds import (
    EVERY_KIND,
    ONLY_RGB,
    WITH_CONTINUATIONS,
    clips,
    noise,
    npy,
    samples,
)


def every(videos: Videos, continuation: int = 0) -> np.ndarray:
    return videos.read(np.arange(videos.count), continuation)


@settings(max_examples=25)
@given(
    st.tuples(*map(st.integers, (1, 1, 1), (4, 3, 5))),
    st.sampled_from([1, 3]),
    st.data(),
)
def test_every_kind_of_source_gives_the_same_pixels(
    sizes: tuple[int, int, int], c: int, data: st.DataObject
) -> None:
    n, m, f = sizes
    videos = noise(n, m, f, 4, 6, c)
    rows = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=4)), int)
    frames = data.draw(st.none() | st.integers(0, f))
    with TemporaryDirectory() as place:
        for kind, write in EVERY_KIND.items():
            if kind in ONLY_RGB and c == 1:
                continue
            several = m > 1 and kind in WITH_CONTINUATIONS
            given = videos if several else videos[:, m - 1]
            source = write(Path(place) / kind, given)
            opened = open_videos(source)
            assert (opened.name, opened.count, opened.frames) == (source, n, f), kind
            assert opened.shape == (4, 6, c), kind
            assert opened.continuations == (m if several else 1), kind
            assert not opened.lossy, kind
            read = opened.read(rows, m - 1 if several else 0, frames)
            np.testing.assert_array_equal(read, videos[rows, m - 1, :frames], kind)
            assert type(read) is np.ndarray, kind
            assert read.flags.c_contiguous, kind


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_first_frames_are_read(kind: str, tmp_path: Path) -> None:
    videos = noise(3, 5, 4, 6, 3)
    source = EVERY_KIND[kind](tmp_path / "videos", videos)
    opened = open_videos(source, frames=4)
    assert opened.frames == 4
    np.testing.assert_array_equal(every(opened), videos[:, :4])
    with pytest.raises(Refused, match=r"6 of each|has 6 frames; the longest has 5"):
        open_videos(source, frames=6)
    for rows, continuation, wanted in ((3, 0, 1), (-1, 0, 1), (0, 1, 1), (0, 0, 5)):
        with pytest.raises(IndexError):
            opened.read(np.array([rows]), continuation, wanted)


def test_samples_have_ground_truth_and_facts(tmp_path: Path) -> None:
    videos, truth = noise(3, 2, 4, 4, 4, 3), noise(3, 4, 4, 4, 3)
    source = samples(tmp_path / "a", videos, truth)
    made, true = open_videos(source), open_videos(source, truth=True)
    np.testing.assert_array_equal(every(made, 1), videos[:, 1])
    np.testing.assert_array_equal(every(true), truth)
    assert (made.continuations, true.continuations) == (2, 1)
    for opened in (made, true):
        assert opened.facts is not None
        assert opened.facts.run == "walk"
        assert opened.prime == opened.facts.prime == 2
    np.save(tmp_path / "a" / "truth.npy", truth[:, 1:])
    with pytest.raises(BadData, match="has changed since it was written"):
        open_videos(source)
    with pytest.raises(Refused, match="only a folder of samples holds"):
        open_videos(clips(tmp_path / "b", truth), truth=True)


def test_clips_that_are_too_short_are_passed_over(tmp_path: Path) -> None:
    video = noise(9, 4, 4, 3)
    source = clips(tmp_path / "a", [video[:5], video[:2], video, video[:4]])
    shortest, long = open_videos(source), open_videos(source, frames=4)
    assert (shortest.count, shortest.frames) == (4, 2)
    assert (long.count, long.frames) == (3, 4)
    np.testing.assert_array_equal(every(long), np.stack([video[:4]] * 3))
    with pytest.raises(Refused, match="no clip of its split test has 10 frames; the"):
        open_videos(source, frames=10)


def test_the_test_split_is_the_default_else_the_only_one(tmp_path: Path) -> None:
    videos = noise(2, 3, 4, 4, 3)
    several = Path(clips(tmp_path / "a", videos, "train", "test"))
    assert open_videos(str(several)).clips.split == "test"
    assert open_videos(f"{several}:train").clips.split == "train"
    only = clips(tmp_path / "b", videos, "val")
    assert open_videos(only).clips.split == "val"
    robots = clips(tmp_path / "c", videos, "test-seen", "test-novel")
    with pytest.raises(Refused, match=r"which split\? It has test-seen, t") as c:
        open_videos(robots)
    assert c.value.hint == f"name one: {robots}:test-seen"
    manifest = read_manifest(several)
    splits = manifest.splits | {"test": Split(0, 0, ())}
    write_manifest(several, replace(manifest, splits=splits))
    with pytest.raises(Refused, match="no clips in its split test"):
        open_videos(str(several))


def test_clips_are_found_by_name_and_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    videos = noise(2, 3, 4, 4, 3)
    clips(Path("clips/walk"), videos, "val")
    for source in ("walk", "walk:val", "clips/walk", "clips/walk:val", "walk:"):
        np.testing.assert_array_equal(every(open_videos(source)), videos)
    with pytest.raises(Refused, match="no split 'test'; it has val"):
        open_videos("walk:test")
    # What lies there under that very name is not looked for elsewhere.
    EVERY_KIND[".png"](Path("walk"), videos[::-1])
    np.testing.assert_array_equal(every(open_videos("walk")), videos[::-1])


@settings(max_examples=40)
@given(
    st.permutations("NMTHWC"),
    st.sampled_from(["0..1", "-1..1", "0..255"]),
    st.sampled_from(["f2", "f4", "f8", ">f4"]),
)
def test_any_order_of_axes_and_range_is_read_back(
    axes: list[str], range_: str, dtype: str
) -> None:
    pixels = np.arange(2 * 2 * 3 * 4 * 4 * 3).astype(np.uint8).reshape(2, 2, 3, 4, 4, 3)
    pixels.flat[:256] = np.arange(256)
    low, high = {"0..1": (0, 1), "-1..1": (-1, 1), "0..255": (0, 255)}[range_]
    numbers = (pixels / 255 * (high - low) + low).astype(dtype)
    stated = numbers.transpose(["NMTHWC".index(axis) for axis in axes])
    with TemporaryDirectory() as folder:
        source = npy(Path(folder) / "x", stated)
        opened = open_videos(source, stated=ArrayForm("".join(axes), range_))
        assert (opened.count, opened.continuations, opened.frames) == (2, 2, 3)
        for sample in range(2):
            np.testing.assert_array_equal(every(opened, sample), pixels[:, sample])


def test_an_array_without_clips_or_channels_is_one_gray_clip(tmp_path: Path) -> None:
    pixels = noise(3, 4, 5)
    opened = open_videos(npy(tmp_path / "x", pixels), stated=ArrayForm("THW"))
    assert (opened.count, opened.shape) == (1, (4, 5, 1))
    np.testing.assert_array_equal(every(opened)[0, ..., 0], pixels)
