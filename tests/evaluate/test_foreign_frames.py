"""Folders of frames and of video files: their order, and what is wrong with one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svtcli.evaluate.foreign import open_videos
from svtcli.failure import BadData, Refused
from tests.evaluate.video_kinds import containers, frame_folders, noise, save
from tests.video.video_files import probe, write_video

VIDEOS = noise(3, 4, 6, 8, 3)
IN_ORDER = (
    *("a", "frame", "frame01", "frame1", "frame2", "frame2b", "frame010", "frame10"),
    *("frame10²", "frame٣", "walk"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three folders of four PNG, `v0/frame8.png` to `v2/frame11.png`."""
    return Path(frame_folders(".png")(tmp_path / "videos", VIDEOS))


def test_videos_and_frames_are_in_natural_order(tmp_path: Path) -> None:
    pictures = noise(len(IN_ORDER), 4, 4, 1)
    for name, picture in reversed([*zip(IN_ORDER, pictures, strict=True)]):
        (tmp_path / "folders" / name).mkdir(parents=True)
        save(tmp_path / "folders" / name / "1.png", picture)
        (tmp_path / "frames" / "one").mkdir(parents=True, exist_ok=True)
        save(tmp_path / "frames" / "one" / f"{name}.pgm", picture)
    folders = open_videos(str(tmp_path / "folders"))
    read = folders.read(np.arange(folders.count))
    np.testing.assert_array_equal(read[:, 0], pictures)
    frames = open_videos(str(tmp_path / "frames")).read(np.array([0]))
    np.testing.assert_array_equal(frames[0], pictures)


def test_files_that_are_no_pictures_and_hidden_ones_are_left_out(folder: Path) -> None:
    for name in ("v0/frame8.csv", "v1/.DS_Store", "notes.txt", "v2/._frame8.png"):
        (folder / name).write_bytes(b"?")
    (folder / ".git").mkdir()
    (folder / ".x.mp4").touch()
    opened = open_videos(str(folder))
    np.testing.assert_array_equal(opened.read(np.arange(3)), VIDEOS)


def test_the_shortest_video_decides_where_nothing_is_asked_for(folder: Path) -> None:
    (folder / "v1" / "frame11.png").unlink()
    opened = open_videos(str(folder))
    assert opened.frames == 3
    np.testing.assert_array_equal(opened.read(np.arange(3)), VIDEOS[:, :3])
    with pytest.raises(Refused, match=r"v1: 3 frames; 4 of each"):
        open_videos(str(folder), frames=4)


def transparent(picture: np.ndarray) -> Image.Image:
    image = Image.fromarray(picture).convert("RGBA")
    image.putpixel((2, 1), (0, 0, 0, 254))
    return image


@pytest.mark.parametrize(
    ("frame", "wrong", "sentence"),
    [
        ("v1/frame9.png", VIDEOS[0, 0, :5], "8 x 5 RGB, where FIRST is 8 x 6 RGB"),
        (
            "v2/frame11.png",
            VIDEOS[0, 0, ..., 0],
            "8 x 6 gray, where FIRST is 8 x 6 RGB",
        ),
        ("v0/frame9.png", VIDEOS[0, 0, ..., 0].astype(np.uint16), "more than 8 bits"),
        ("v0/frame8.png", transparent(VIDEOS[0, 0]), "some of its pixels are transpar"),
    ],
)
def test_a_frame_that_does_not_fit_is_named_when_the_folder_is_opened(
    folder: Path, frame: str, wrong: np.ndarray | Image.Image, sentence: str
) -> None:
    image = wrong if isinstance(wrong, Image.Image) else Image.fromarray(wrong)
    image.save(folder / frame)
    with pytest.raises(Refused) as caught:
        open_videos(str(folder))
    assert caught.value.sentence.startswith(f"{folder / frame}: ")
    first = str(folder / "v0" / "frame8.png")
    assert sentence.replace("FIRST", first) in caught.value.sentence
    assert caught.value.hint


def test_damage_of_a_later_frame_is_reported_when_it_is_read(folder: Path) -> None:
    transparent(VIDEOS[0, 0]).save(folder / "v1" / "frame9.png")
    whole = (folder / "v2" / "frame9.png").read_bytes()
    (folder / "v2" / "frame9.png").write_bytes(whole[: len(whole) - 40])
    opened = open_videos(str(folder))
    assert opened.read(np.arange(3), frames=1).shape == (3, 1, 6, 8, 3)
    with pytest.raises(Refused, match=r"v1.frame9\.png: some of its pixels are trans"):
        opened.read(np.array([1]))
    with pytest.raises(BadData, match=r"v2.frame9\.png: not a whole picture"):
        opened.read(np.array([2]))
    save(folder / "v0" / "frame9.png", VIDEOS[0, 0, :5])
    with pytest.raises(BadData, match=r"frame9\.png: has changed since"):
        opened.read(np.array([0]))


def test_a_folder_without_pictures_is_named(folder: Path) -> None:
    (folder / "v10").mkdir()
    with pytest.raises(Refused, match=r"v10: no pictures in this folder"):
        open_videos(str(folder))


def test_two_pictures_of_one_frame_are_refused(folder: Path) -> None:
    save(folder / "v1" / "frame9.bmp", VIDEOS[1, 1])
    with pytest.raises(Refused, match=r"v1: two pictures of one frame, frame9\.bmp"):
        open_videos(str(folder))


@pytest.mark.parametrize("allowed", [False, True])
def test_video_files_in_folders_are_named(folder: Path, allowed: bool) -> None:
    write = containers(".avi", "huffyuv", "rgb24")
    write(folder / "w", VIDEOS)
    with pytest.raises(Refused) as caught:
        open_videos(str(folder), allow_lossy=allowed)
    said = f"{folder / 'w' / '8.avi'}: a video file among folders of frames"
    assert caught.value.sentence == said


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".webp"])
def test_lossy_stills_are_refused_unless_they_are_allowed(
    folder: Path, ending: str
) -> None:
    lossy = [folder / "v1" / f"frame{n}{ending}" for n in (9, 11)]
    for path in lossy:
        path.with_suffix(".png").unlink()
        save(path, VIDEOS[1, 0])
    with pytest.raises(Refused, match="lossy; FVD") as caught:
        open_videos(str(folder))
    assert caught.value.sentence.startswith(f"{lossy[0]}: ")
    assert "--allow-lossy" in (caught.value.hint or "")
    opened = open_videos(str(folder), allow_lossy=True)
    assert opened.lossy
    with Image.open(lossy[0]) as image:
        decoded = np.asarray(image.convert("RGB"))
    read = opened.read(np.array([1, 0]))
    np.testing.assert_array_equal(read[0, 1], decoded)
    np.testing.assert_array_equal(read[1], VIDEOS[0])


@pytest.mark.parametrize(
    ("ending", "codec", "pix_fmt"),
    [
        (".mkv", "ffv1", "yuv420p"),
        (".avi", "mjpeg", "yuvj444p"),
        (".mkv", "ffv1", "bgra"),
        (".gif", "gif", "rgb8"),
    ],
)
def test_a_codec_that_may_change_pixels_is_lossy(
    tmp_path: Path, ending: str, codec: str, pix_fmt: str
) -> None:
    source = containers(ending, codec, pix_fmt)(tmp_path / "videos", VIDEOS)
    with pytest.raises(Refused, match=rf"8\{ending}: lossy"):
        open_videos(source)
    opened = open_videos(source, allow_lossy=True)
    assert opened.lossy
    assert opened.read(np.array([2, 0])).shape == (2, 4, 6, 8, 3)


def test_video_files_must_have_one_size_and_enough_frames(tmp_path: Path) -> None:
    write = containers(".mkv", "ffv1", "bgr0")
    folder = Path(write(tmp_path / "videos", VIDEOS))
    with pytest.raises(Refused, match=r"8\.mkv: 4 frames; 5 of each"):
        open_videos(str(folder), frames=5)
    other = Path(write(tmp_path / "other", VIDEOS[:1, :3]))
    (other / "8.mkv").rename(folder / "11.mkv")
    assert open_videos(str(folder)).frames == 3
    with pytest.raises(Refused, match=r"11\.mkv: 3 frames; 4 of each"):
        open_videos(str(folder), frames=4)
    other = Path(write(tmp_path / "small", VIDEOS[:1, :, :4]))
    (other / "8.mkv").rename(folder / "12.mkv")
    with pytest.raises(Refused, match=r"12\.mkv: 8 x 4, where .*8\.mkv is 8 x 6"):
        open_videos(str(folder))


def test_frames_are_counted_where_a_header_promises_too_few(tmp_path: Path) -> None:
    path = tmp_path / "videos" / "1.mpg"
    write_video(path, noise(4, 32, 48, 3), "mpeg1video", fps=25)
    assert probe(path).frames < 3
    folder = str(path.parent)
    assert open_videos(folder, frames=3, allow_lossy=True).frames == 3
    assert open_videos(folder, allow_lossy=True).frames == 4
    with pytest.raises(Refused, match=r"1\.mpg: 4 frames; 5 of each"):
        open_videos(folder, frames=5, allow_lossy=True)


def test_a_video_file_that_breaks_or_changes_is_named_when_it_is_read(
    tmp_path: Path,
) -> None:
    write = containers(".mkv", "ffv1", "bgr0")
    folder = Path(write(tmp_path / "videos", VIDEOS))
    opened = open_videos(str(folder))
    write(tmp_path / "short", VIDEOS[:1, :3])
    write(tmp_path / "small", VIDEOS[:1, :, :4])
    (tmp_path / "short" / "8.mkv").replace(folder / "8.mkv")
    (tmp_path / "small" / "8.mkv").replace(folder / "9.mkv")
    (folder / "10.mkv").write_bytes(b"")
    for row, sentence in enumerate(
        (r"8.mkv: ends after 3", "9.mkv: its size", "10.mkv")
    ):
        with pytest.raises(BadData, match=sentence):
            opened.read(np.array([row]))
