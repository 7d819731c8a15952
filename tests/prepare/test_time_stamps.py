"""Videos with wrong time stamps at a given frame rate: no frame is lost or repeated."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from svtcli.prepare.plan import Outcome
from svtcli.prepare.sources.source_folder import Video
from svtcli.prepare.sources.video_file import Cutting, Frames, VideoTask
from svtcli.recipe.data import Window
from tests.video.video_files import write_video

EVEN = [100 * n for n in range(40)]
"""Milliseconds of 40 frames at 10 frames per second."""
HOURS = 8 * 3_600_000
CLUSTER, DEFAULT_DURATION = bytes.fromhex("1f43b675"), bytes.fromhex("23e383")


def numbered(first: int, count: int) -> np.ndarray:
    """Flat frames whose brightness is 6 times their number plus 5."""
    levels = (6 * np.arange(first, first + count) + 5).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, 32, 32, 3))


def write_stamps(path: Path, stamps: Sequence[int], first: int = 0) -> Path:
    """Write a video that states 10 frames per second, with stamps in milliseconds."""
    live = {"live": "1", "avoid_negative_ts": "disabled"}
    with av.open(str(path), "w", options=live if path.suffix == ".mkv" else {}) as file:
        stream = file.add_stream("mjpeg", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for n, picture in enumerate(numbered(first, len(stamps))):
            frame = av.VideoFrame.from_ndarray(picture.copy(), "rgb24")
            frame.pts, frame.time_base = n * 100, Fraction(1, 1000)
            for packet in stream.encode(frame):
                # A muxer accepts any stamps, if the times of decoding rise.
                rise = all(a < b for a, b in pairwise(stamps))
                packet.pts, packet.dts = stamps[n], stamps[n] if rise else n - 100
                file.mux(packet)
    return path


def append(path: Path, other: Path) -> Path:
    """Join the clusters of two recordings, as browsers' are joined."""
    second = other.read_bytes()
    path.write_bytes(path.read_bytes() + second[second.index(CLUSTER) :])
    return path


def prepare(
    path: Path, fps: float | None, frames: Frames = "all", window: Window = "all"
) -> tuple[Outcome, list[int]]:
    """Outcome, and the numbers of the frames that were written."""
    cutting = Cutting(8, fps, frames, window)
    video = Video(path.parent, path.name, path.stat().st_size)
    out = path.with_suffix(".frames")
    outcome = VideoTask(video, cutting, "train").run(out)
    pixels = np.fromfile(out, np.uint8).reshape(-1, 8, 8, 3)
    return outcome, [round((int(each) - 5) / 6) for each in pixels[:, 4, 4, 1]]


WRONG = {
    "ahead": [*EVEN[:20], HOURS, HOURS + 1, *EVEN[22:]],
    "again": [*EVEN[:20], *EVEN[:20]],
    "paused": [*EVEN[:20], *(time + 3_600_000 for time in EVEN[20:])],
    "equal": [0] * 40,
    "shuffled": [EVEN[n ^ 1] for n in range(40)],
}


@pytest.mark.parametrize("kind", WRONG)
def test_frames_with_wrong_stamps_come_once_each_and_in_order(
    tmp_path: Path, kind: str
) -> None:
    outcome, numbers = prepare(write_stamps(tmp_path / "a.mkv", WRONG[kind]), 10.0)
    assert numbers == list(range(40))
    assert [(cut.frames, cut.facts.fps) for cut in outcome.cuts] == [(40, 10.0)]


def test_recordings_that_were_joined_keep_both_halves(tmp_path: Path) -> None:
    first = write_stamps(tmp_path / "a.mkv", EVEN[:20])
    append(first, write_stamps(tmp_path / "b.mkv", EVEN[:20], 20))
    assert prepare(first, 10.0)[1] == list(range(40))
    assert prepare(first, 5.0)[1] == list(range(0, 40, 2))


def test_a_window_is_placed_by_the_frames_that_are_there(tmp_path: Path) -> None:
    path = write_stamps(tmp_path / "a.mkv", WRONG["ahead"])
    assert prepare(path, 10.0, 6, "center")[1] == list(range(17, 23))


def test_b_frames_in_avi_keep_the_decoder_s_order(tmp_path: Path) -> None:
    """AVI has no stamps: FFmpeg guesses those of H.264 with B-frames, wrongly."""
    path = write_video(
        tmp_path / "a.avi", numbered(0, 40), x264="b-adapt=0:bframes=3:scenecut=0"
    )
    with av.open(str(path)) as container:
        stamps = [frame.pts or 0 for frame in container.decode(video=0)]
    assert sorted(stamps) != stamps
    assert prepare(path, 10.0)[1] == list(range(40))


def test_a_raw_stream_without_stamps_is_at_its_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.h264", numbered(0, 40), fps=25)
    assert prepare(path, 12.5)[1] == list(range(0, 40, 2))


def test_a_slide_show_keeps_its_times(tmp_path: Path) -> None:
    path = write_stamps(tmp_path / "a.mkv", [5000 * n for n in range(5)])
    counts = np.bincount(prepare(path, 2.0)[1])
    assert counts.tolist() == [6, 10, 10, 10, 5]


def test_a_picture_is_repeated_for_ten_seconds_at_most(tmp_path: Path) -> None:
    path = write_stamps(tmp_path / "a.mp4", [60_000 * n for n in range(5)])
    numbers = prepare(path, 2.0)[1]
    assert np.bincount(numbers).tolist() == [11, 20, 20, 20, 10]
    video = Video(tmp_path, path.name, 1)
    assert VideoTask(video, Cutting(8, 2.0), "train").promise().frames == len(numbers)


def test_wrong_stamps_without_a_rate_are_refused_by_name(tmp_path: Path) -> None:
    uneven = [0, 16, 49, 66, 99, 149, 182, 199, 249, 265]
    path = write_stamps(tmp_path / "a.mkv", uneven * 4)
    content = path.read_bytes()
    assert content.count(DEFAULT_DURATION) == 1
    path.write_bytes(content.replace(DEFAULT_DURATION, bytes.fromhex("23e38f")))
    outcome, _ = prepare(path, 10.0)
    (failure,) = outcome.failures
    assert (failure.reason, failure.unreadable) == ("time-stamps", True)
    assert outcome.cuts == ()
    # Its frames are all there where no rate is asked for.
    assert prepare(path, None)[1] == list(range(40))
