"""Every kind of bad or odd file that a lab has: right, or skipped with a reason."""

import os
import subprocess
from collections import Counter
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from svtcli.prepare.plan import Outcome
from svtcli.prepare.sources.source_folder import Video, list_videos
from svtcli.prepare.sources.video_file import Cutting, VideoTask
from svtcli.prepare.workers import outcomes
from tests.prepare.corruption import KINDS, corrupted, whole_files
from tests.video.test_resize import bitstream_filter
from tests.video.video_files import (
    moving_square,
    truncate,
    write_animation,
    write_sound,
    write_video,
)

ALL = Cutting(size=16)
WINDOW = Cutting(size=16, frames=4, window="random")


def run(path: Path) -> tuple[Outcome, np.ndarray]:
    """One clip of a whole video: the outcome, and uint8 [F, 16, 16, 3]."""
    out = path.with_suffix(".frames")
    out.unlink(missing_ok=True)
    outcome = VideoTask(Video(path.parent, path.name, 0), ALL, "train").run(out)
    frames = np.fromfile(out, np.uint8) if out.exists() else np.zeros(0, np.uint8)
    return outcome, frames.reshape(-1, 16, 16, 3)


def write_nothing(path: Path) -> Path:
    """A header and no frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.open()
    return path


def write_with_cover(path: Path) -> Path:
    """A song with a picture, which a player shows as if it were a video."""
    song, cover = write_sound(path.with_name("s.m4a")), path.with_name("c.png")
    picture = moving_square(1)
    with av.open(str(cover), "w") as container:
        stream = container.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "rgb24"
        frame = av.VideoFrame.from_ndarray(picture[0].copy(), "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    args = ["-i", song, "-i", cover, "-map", "0", "-map", "1", "-c", "copy"]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    args += ["-disposition:v:0", "attached_pic", path]
    subprocess.run([ffmpeg, "-v", "error", *args], check=True)
    return path


def write_playlist(path: Path, of: Path) -> Path:
    """Text that makes FFmpeg read another file, were it allowed to."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:3", "#EXTINF:3,", f"file:{of}"]
    path.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    return path


def test_invalid_videos_are_skipped_with_a_reason(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "w.mp4", moving_square(20))
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "page.mp4").write_text("<!doctype html><html>404</html>")
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile '{whole.name}'\n")
    noise = np.random.default_rng(0).bytes(5000)
    (tmp_path / "noise.mkv").write_bytes(noise)
    (tmp_path / "sealed.mp4").write_bytes(whole.read_bytes())
    (tmp_path / "sealed.mp4").chmod(0)
    reasons = {
        "zero.mp4": "open",
        "page.mp4": "open",
        "noise.mkv": "open",
        "concat.mp4": "open",
        write_playlist(tmp_path / "list.mp4", whole).name: "open",
        truncate(whole, tmp_path / "cut.mp4", 0.7).name: "decode",
        write_sound(tmp_path / "sound.mp4").name: "no-video",
        write_with_cover(tmp_path / "song.mp4").name: "no-video",
        write_nothing(tmp_path / "empty.avi").name: "open",
        write_animation(tmp_path / "a.webp", moving_square(3)).name: "open",
    }
    if os.geteuid():  # root reads everything
        reasons["sealed.mp4"] = "open"
    given = {}
    for name in reasons:
        outcome, _ = run(tmp_path / name)
        assert outcome.cuts == ()
        (failure,) = outcome.failures
        assert (failure.source, failure.unreadable, bool(failure.detail)) == (
            name,
            True,
            True,
        )
        given[name] = failure.reason
    assert given == reasons


def test_a_playlist_is_not_followed(
    tmp_path: Path,
) -> None:
    """So the test above proves something."""
    write_video(tmp_path / "w.ts", moving_square(20))
    path = tmp_path / "list.m3u8"
    path.write_text("ffconcat version 1.0\nfile 'w.ts'\n")
    with av.open(str(path)) as container:
        assert container.format.name == "concat"
        assert len(list(container.decode(video=0))) == 20
    assert [failure.reason for failure in run(path)[0].failures] == ["open"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Expected frames of every odd file: the pictures without loss."""
    path = tmp_path_factory.mktemp("plain") / "a.mkv"
    return run(write_video(path, moving_square(12), "ffv1", "bgr0"))[1]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("ten.mp4", "libx264", "yuv420p10le"),
        ("full.mp4", "libx264", "yuv444p"),
        ("both.mkv", "libx264", "yuv444p10le"),
        ("old.avi", "mpeg4", "yuv420p"),
        ("web.webm", "libvpx-vp9", "yuv420p"),
        ("a.gif", "", ""),
        ("a.apng", "", ""),
    ],
)
def test_odd_formats_come_out_right(
    tmp_path: Path, plain: np.ndarray, name: str, codec: str, pix_fmt: str
) -> None:
    pictures = moving_square(12)
    if codec:
        write_video(tmp_path / name, pictures, codec, pix_fmt)
    else:
        write_animation(tmp_path / name, pictures)
    outcome, frames = run(tmp_path / name)
    assert (len(outcome.cuts), outcome.failures) == (1, ())
    assert np.abs(frames.astype(int) - plain).mean() < 6


def test_an_odd_size_comes_out_right(tmp_path: Path) -> None:
    pictures = moving_square(3, 639, 359)
    path = write_video(tmp_path / "a.mp4", pictures, pix_fmt="yuv444p")
    lossless = write_video(tmp_path / "b.mkv", pictures, "ffv1", "bgr0")
    (cut,) = run(path)[0].cuts
    assert (cut.facts.width, cut.facts.height) == (639, 359)
    assert np.abs(run(path)[1].astype(int) - run(lossless)[1]).mean() < 2


def test_an_uneven_rate_keeps_every_frame(tmp_path: Path, plain: np.ndarray) -> None:
    times = [0, 30, 40, 50, 400, 410, 900, 910, 920, 930, 1500, 1510]
    path = write_video(tmp_path / "a.mp4", moving_square(12), times=times)
    outcome, frames = run(path)
    assert outcome.frames == 12
    assert np.abs(frames.astype(int) - plain).mean() < 6


def test_a_turned_video_is_turned_back(tmp_path: Path, plain: np.ndarray) -> None:
    sideways = np.ascontiguousarray(np.rot90(moving_square(12), axes=(1, 2)))
    flat = write_video(tmp_path / "flat.mp4", sideways)
    turned = tmp_path / "turned.mp4"
    args = ["-display_rotation", "270", "-i", flat, "-c", "copy", turned]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-v", "error", *args], check=True)
    assert np.abs(run(turned)[1].astype(int) - plain).mean() < 4


def test_a_tagged_matrix_is_honoured(tmp_path: Path, plain: np.ndarray) -> None:
    """The same numbers mean other colours under BT.709."""
    path = write_video(tmp_path / "a.mp4", moving_square(12))
    tagged = tmp_path / "tagged.mp4"
    bitstream_filter(path, tagged, "h264_metadata=matrix_coefficients=1")
    red = plain[..., 0].astype(int) > 150
    difference = np.abs(run(tagged)[1].astype(int) - plain)
    assert difference[~red].mean() < 4 < difference[red & (plain[..., 2] < 90)].mean()


def test_a_title_in_another_encoding_is_no_damage(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", moving_square(12))
    titled = tmp_path / "titled.mkv"
    args = ["-i", path, "-c", "copy", "-metadata", "title=Mxnchen", titled]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-v", "error", *args], check=True)
    titled.write_bytes(titled.read_bytes().replace(b"Mxnchen", b"M\xfcnchen"))
    assert run(titled)[0].frames == 12


def test_a_still_webp_is_a_picture_and_no_video(tmp_path: Path) -> None:
    write_animation(tmp_path / "moving.webp", moving_square(3))
    write_animation(tmp_path / "still.webp", moving_square(1))
    (tmp_path / "empty.webp").touch()
    (tmp_path / "still.png").touch()
    found = [video.name for video in list_videos(tmp_path).videos]
    assert found == ["moving.webp"]


def check_corrupted(folder: Path, seeds: range) -> Counter[str]:
    """Run corrupted files in a worker that may crash; what became of them."""
    wholes = whole_files(folder / "whole")
    (folder / "work").mkdir()
    tasks = []
    for seed in seeds:
        path = corrupted(wholes, folder / "source", seed)
        video = Video(path.parent, path.name, path.stat().st_size)
        tasks.append(VideoTask(video, (ALL, WINDOW)[seed % 2], "train"))
    became = Counter[str]()
    for task, outcome, frames in outcomes(tasks, folder / "work", 1, 60.0):
        assert bool(outcome.cuts) != bool(outcome.failures), task.source
        if outcome.cuts:
            assert frames.stat().st_size == outcome.frames * 16 * 16 * 3
        became.update([m.reason for m in outcome.failures] or ["whole"])
    assert became.total() == len(seeds)
    return became


def test_corrupted_videos_crash_nothing_and_hang_nothing(tmp_path: Path) -> None:
    became = check_corrupted(tmp_path, range(40))
    assert became["decode"] and became["open"]  # noqa: PT018
    assert not became["crash"] and not became["timeout"]  # noqa: PT018


@pytest.mark.slow
def test_300_corrupted_videos_crash_nothing_and_hang_nothing(tmp_path: Path) -> None:
    became = check_corrupted(tmp_path, range(300))
    print(dict(became))
    assert not became["crash"] and not became["timeout"]  # noqa: PT018


def test_corruption_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    wholes = whole_files(tmp_path / "whole")
    one, two = (corrupted(wholes, tmp_path / name, 7) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    for kind in KINDS:
        content = wholes[0].read_bytes()
        other = wholes[1].read_bytes()
        assert kind(content, other, np.random.default_rng(1)) != content
