"""Videos that a person names, against the clips that `svt prepare` makes of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svtcli.failure import BadData, Refused
from svtcli.prepare.own_videos import open_own
from svtcli.prepare.sources import make_plan
from svtcli.recipe.data import ArraysData, Data, FolderData
from svtcli.recipe.load import recipe_from_text
from svtcli.recipe.resolve import Lengths
from svtcli.recipe.schema import Recipe
from tests.prepare.test_time_stamps import write_stamps
from tests.video.video_files import moving_square, write_animation, write_video

LENGTHS = Lengths(prime=2, frames=6, overlap=1)


def recipe(data: str = "kind: folder, size: 8", model: str = "") -> Recipe:
    text = f"data: {{{data}}}\nmodel: {{video: [4, 8, 8], blocks: [[4, 8, 8]]{model}}}"
    return recipe_from_text(text, "recipe.yaml")


def prepared(data: Data, frames: Path) -> np.ndarray:
    """Frames that the one task of a source writes for its clip."""
    (task,) = (task for group in make_plan(data).groups for task in group.tasks)
    outcome = task.run(frames)
    assert not outcome.failures
    return np.fromfile(frames, np.uint8).reshape(outcome.frames, 8, 8, -1)


def film(folder: Path) -> Path:
    return write_video(folder / "film.mp4", moving_square(12), fps=10)


def animation(folder: Path) -> Path:
    return write_animation(folder / "film.gif", moving_square(12))


def unstamped(folder: Path) -> Path:
    return write_stamps(folder / "film.mkv", [0, 100, 50, *range(300, 1200, 100)])


def pictures(folder: Path) -> Path:
    for number, frame in enumerate(moving_square(12)):
        Image.fromarray(frame).save(folder / f"{number:03}.png")
    return folder


@pytest.mark.parametrize("fps", [None, 4.0, 25.0])
@pytest.mark.parametrize("make", [film, animation, pictures, unstamped])
def test_a_video_becomes_the_clip_that_prepare_makes_of_it(
    tmp_path: Path, make: Callable[[Path], Path], fps: float | None
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    path, rate = make(source), 10.0 if make is pictures else None
    data = FolderData(
        kind="folder", source=str(source), size=8, fps=fps, source_fps=rate, test=0.0
    )
    stated = "".join(
        f", {key}: {value}"
        for key, value in (("fps", fps), ("source_fps", rate))
        if value
    )
    clips = open_own([path], recipe("kind: folder, size: 8" + stated), LENGTHS)
    whole = prepared(data, tmp_path / "frames")
    there = min(6, len(whole))
    assert clips.recorded(0) == there
    assert np.array_equal(clips.read(0)[:there], whole[:there])
    assert (clips.read(0)[there:] == 255).all()
    assert clips.actions(0) is None


def test_an_array_becomes_the_clip_that_prepare_makes_of_it(tmp_path: Path) -> None:
    np.save(tmp_path / "film.npy", moving_square(7))
    data = ArraysData(
        kind="arrays",
        source=str(tmp_path / "film.npy"),
        layout="THWC",
        size=8,
        test=0.0,
    )
    clips = open_own([tmp_path / "film.npy"], recipe("kind: arrays, size: 8"), LENGTHS)
    assert np.array_equal(clips.read(0), prepared(data, tmp_path / "frames")[:6])


def test_a_model_with_actions_gets_zeros_and_one_of_gray_videos_gray(
    tmp_path: Path,
) -> None:
    path = film(tmp_path)
    robot = recipe("kind: arrays, size: 8", ", actions: 2")
    clips = open_own([path], robot, LENGTHS)
    assert clips.action_size == 2
    assert np.array_equal(clips.actions(0, 1), np.zeros((5, 2), np.float32))
    gray = recipe("kind: arrays, gray: true, size: 8", ", channels: 1")
    with pytest.raises(Refused, match="has colours, and the model takes gray"):
        open_own([path], gray, LENGTHS)
    ramp = np.broadcast_to(moving_square(7)[..., :1], (7, 32, 48, 3))
    lossless = write_video(tmp_path / "gray.mkv", ramp, "ffv1", "bgr0")
    assert open_own([lossless], gray, LENGTHS).read(0).shape == (6, 8, 8, 1)
    np.save(tmp_path / "gray.npy", ramp[..., :1])
    assert open_own([tmp_path / "gray.npy"], recipe(), LENGTHS).shape == (8, 8, 3)


def test_two_videos_may_have_different_lengths(tmp_path: Path) -> None:
    long, short = film(tmp_path), tmp_path / "short.npy"
    np.save(short, moving_square(3))
    clips = open_own([long, short], recipe(), LENGTHS)
    assert [clips.recorded(n) for n in range(len(clips))] == [6, 3]
    assert list(clips.ids) == [str(long), str(short)]
    other = open_own([short, long], recipe(), LENGTHS)
    assert clips.fingerprint != other.fingerprint
    assert clips.fingerprint == open_own([long, short], recipe(), LENGTHS).fingerprint


def _text(folder: Path) -> Path:
    (folder / "notes.mp4").write_text("no video")
    return folder / "notes.mp4"


def _floats(folder: Path) -> Path:
    np.save(folder / "x.npy", moving_square(7) / 255)
    return folder / "x.npy"


def _many(folder: Path) -> Path:
    np.save(folder / "x.npy", moving_square(7)[None])
    return folder / "x.npy"


def _one_frame(folder: Path) -> Path:
    np.save(folder / "x.npy", moving_square(1))
    return folder / "x.npy"


@pytest.mark.parametrize(
    ("make", "fps", "kind", "why"),
    [
        (lambda folder: folder / "gone.mp4", "", Refused, "no such file"),
        (_text, "", BadData, "not a video"),
        (_floats, "", Refused, "its numbers are float64"),
        (_many, "", Refused, r"its shape is \[1, 7, 32, 48, 3\]"),
        (_one_frame, "", Refused, "1 frame, and 2 prime frames are continued"),
        (pictures, ", fps: 5", Refused, "state no frame rate"),
        (lambda folder: folder, "", BadData, "not numbered frames"),
    ],
)
def test_what_cannot_be_continued_is_one_line(
    tmp_path: Path, make: Callable[[Path], Path], fps: str, kind: type, why: str
) -> None:
    with pytest.raises(kind, match=why) as no:
        open_own([make(tmp_path)], recipe("kind: folder, size: 8" + fps), LENGTHS)
    assert "\n" not in str(no.value)


def test_a_video_named_twice_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path)
    with pytest.raises(Refused, match="named twice"):
        open_own([path, path], recipe(), LENGTHS)
