"""Folders of numbered pictures: their order, what is shown of each, and damage."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svtcli.video.decode import EndsEarly, Undecodable, decode
from svtcli.video.image import read_shown
from svtcli.video.numbered_frames import are_numbered, open_frames
from tests.video.video_files import moving_square, write_video

Y, X = np.mgrid[0:6, 0:8]
RGB = np.stack([X * 30, Y * 40, X * Y * 7], -1).astype(np.uint8)


def write(folder: Path, numbers, name: str = "f{}.png", size=(8, 6)) -> Path:
    """Pictures whose gray level is their number."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.new("L", size, number).save(folder / name.format(number))
    return folder


def levels(folder: Path, *arguments, rate: float | None = None) -> list[int]:
    with open_frames(folder, rate) as video:
        return [int(frame[0, 0, 0]) for frame in video.decode(*arguments)]


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", range(7, 19))
    (folder / "notes.txt").touch()
    assert levels(folder, None) == list(range(7, 19))
    with open_frames(folder, 10.0) as video:
        assert video.facts.frames == 12
        assert (video.facts.width, video.facts.height) == (8, 6)
        assert video.facts.frames_at(5.0) == video.count_frames(5.0) == 6
    assert levels(folder, 4, None, 3, 2) == [10, 11]
    assert levels(folder, 4, 5.0, rate=10.0) == list(range(7, 19, 2))
    with pytest.raises(EndsEarly, match="after 12 frames"):
        levels(folder, 4, None, 3, 10)


def test_numbers_may_be_padded_and_regularly_spaced(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", range(0, 250, 25), "scene2_{:05d}_left.jpg")
    assert levels(folder, None) == list(range(0, 250, 25))


@pytest.mark.parametrize(
    ("names", "numbered"),
    [
        (("a1.png", "a2.png"), True),
        (("0001.JPG", "0002.jpg", "3.jpg"), True),
        (("1.png",), False),
        ((), False),
        (("a1.png", "b2.png"), False),
        (("a1.png", "a2.jpg"), False),
        (("a.png", "b.png"), False),
        (("a1.png", "a2.txt"), False),
    ],
)
def test_only_names_that_differ_in_one_number_are_frames(names, numbered) -> None:
    assert are_numbered(names) == numbered


def test_gaps_twins_sizes_and_damage_are_named(tmp_path: Path) -> None:
    gap = write(tmp_path / "gap", (1, 2, 3, 5))
    with pytest.raises(Undecodable, match=r"missing: from f3.png to f5.png"):
        levels(gap, None)
    twins = write(write(tmp_path / "twins", (1, 2)), (2,), "f0{}.png")
    with pytest.raises(Undecodable, match=r"f02.png and f2.png have the same number"):
        levels(twins, None)
    mixed = write(write(tmp_path / "mixed", (1, 2)), (3,), size=(8, 7))
    with pytest.raises(Undecodable, match=r"f3.png: 8 x 7 pixels, the first has 8 x 6"):
        levels(mixed, None)
    cut = write(tmp_path / "cut", (1, 2))
    (cut / "f2.png").write_bytes((cut / "f2.png").read_bytes()[:40])
    with pytest.raises(Undecodable, match=r"f2.png: not a whole picture"):
        levels(cut, None)


def test_pictures_give_the_bytes_of_the_lossless_video_they_were(
    tmp_path: Path,
) -> None:
    frames = moving_square(5)
    write_video(tmp_path / "x.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    (tmp_path / "in").mkdir()
    for number, frame in enumerate(decode(tmp_path / "x.mkv", None)):
        Image.fromarray(frame).save(tmp_path / f"in/{number}.png")
    with open_frames(tmp_path / "in", None) as video:
        shown = np.stack(list(video.decode(16)))
    np.testing.assert_array_equal(shown, np.stack(list(decode(tmp_path / "x.mkv", 16))))


def stored(picture: Image.Image, path: Path, **settings) -> np.ndarray:
    picture.save(path, **settings)
    return read_shown(path)


def test_pictures_are_shown_as_viewers_show_them(tmp_path: Path) -> None:
    png = tmp_path / "x.png"
    np.testing.assert_array_equal(stored(Image.fromarray(RGB), png), RGB)
    gray = Image.fromarray(RGB[..., 0])
    wanted = np.repeat(RGB[..., :1], 3, -1)
    np.testing.assert_array_equal(stored(gray, png), wanted)
    deep = Image.fromarray(RGB[..., 0].astype(np.uint16) * 257)
    np.testing.assert_array_equal(stored(deep, png), wanted)
    palette = Image.fromarray(RGB).quantize(64)
    np.testing.assert_array_equal(stored(palette, png), palette.convert("RGB"))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        shown = stored(Image.fromarray(RGB), png, exif=exif)
        turned = RGB.swapaxes(0, 1) if orientation > 4 else RGB
        flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
        np.testing.assert_array_equal(
            shown, np.flip(turned, flips.get(orientation, ()))
        )


def test_transparent_pixels_are_black(tmp_path: Path) -> None:
    alpha = np.full((6, 8, 1), 255, np.uint8)
    alpha[0], alpha[1] = 0, 128
    rgba = Image.fromarray(np.concatenate([RGB, alpha], -1))
    shown = stored(rgba, tmp_path / "x.png")
    assert not shown[0].any()
    np.testing.assert_array_equal(shown[2:], RGB[2:])
    assert abs(shown[1].astype(int) - RGB[1] // 2).max() <= 1
    keyed = stored(Image.fromarray(RGB), tmp_path / "y.png", transparency=(30, 0, 0))
    assert not keyed[0, 1].any()
    np.testing.assert_array_equal(keyed[1:], RGB[1:])


def test_cmyk_and_several_pictures_in_a_file(tmp_path: Path) -> None:
    cmyk = stored(Image.fromarray(RGB).convert("CMYK"), tmp_path / "x.jpg", quality=100)
    assert abs(cmyk.astype(int) - RGB).mean() < 8
    first = Image.fromarray(RGB)
    first.save(tmp_path / "x.tiff", save_all=True, append_images=[first])
    with pytest.raises(Exception, match="holds several pictures"):
        read_shown(tmp_path / "x.tiff")
    floats = BytesIO()
    Image.fromarray(RGB[..., 0].astype(np.float32)).save(floats, "TIFF")
    (tmp_path / "y.tiff").write_bytes(floats.getvalue())
    with pytest.raises(Exception, match="has 32 bits a channel"):
        read_shown(tmp_path / "y.tiff")
