"""Files as a player sees them: decoded again with other libraries."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from svtcli.failure import Failure, StorageFailed
from svtcli.video.encode import write_gif, write_mp4, write_png


@pytest.fixture
def film():
    """9 frames of 33×47: a dark square that moves over white, beside flat colours."""
    frames = np.full((9, 33, 47, 3), 255, np.uint8)
    frames[:, 20:30, :10], frames[:, 20:30, 10:20] = (245, 166, 35), (20, 120, 60)
    for time, frame in enumerate(frames):
        frame[4:14, 2 + 4 * time : 12 + 4 * time] = (30, 20 + 10 * time, 90)
    return frames


def gif_frames(path):
    with Image.open(path) as gif:
        for index in range(gif.n_frames):
            gif.seek(index)
            yield np.asarray(gif.convert("RGB")), gif.info["duration"]


def test_a_png_is_lossless(tmp_path, film):
    write_png(tmp_path / "a.png", film[3])
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        np.testing.assert_array_equal(np.asarray(picture), film[3])


def test_a_gif_loops_for_ever_and_has_every_frame(tmp_path, film):
    write_gif(tmp_path / "a.gif", iter(film), fps=8.0)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.info["loop"] == 0
        assert gif.n_frames == 9
        assert gif.size == (47, 33)
    durations = [duration for _, duration in gif_frames(tmp_path / "a.gif")]
    assert sum(durations[:8]) == 1000


def test_a_gif_of_few_colours_is_exact_and_undithered(tmp_path, film):
    write_gif(tmp_path / "a.gif", iter(film), fps=8.0)
    for (shown, _), frame in zip(gif_frames(tmp_path / "a.gif"), film, strict=True):
        np.testing.assert_array_equal(shown, frame)


def test_a_gif_keeps_frames_that_do_not_change(tmp_path, film):
    film[4:7] = film[4]
    write_gif(tmp_path / "a.gif", iter(film), fps=10.0)
    durations = [duration for _, duration in gif_frames(tmp_path / "a.gif")]
    assert sum(durations) == 900


def test_a_gif_of_many_colours_stays_close(tmp_path):
    ramp = np.linspace(0, 255, 64 * 64).reshape(64, 64)
    colours = np.stack([ramp, ramp / 2, 90 - ramp / 3], -1)
    frames = [np.roll(colours, 8 * time, 0).astype(np.uint8) for time in range(4)]
    write_gif(tmp_path / "a.gif", frames, fps=8.0)
    for (shown, _), frame in zip(gif_frames(tmp_path / "a.gif"), frames, strict=True):
        assert np.abs(shown.astype(int) - frame).mean() < 1.5


def test_in_a_gif_of_many_colours_pixels_stay_pixels(tmp_path):
    """An enlarged pixel keeps one colour: no dither speckles it."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    write_gif(tmp_path / "a.gif", pixels.repeat(4, 1).repeat(4, 2), fps=8.0)
    for shown, _ in gif_frames(tmp_path / "a.gif"):
        first_of_block = shown[::4, ::4].repeat(4, 0).repeat(4, 1)
        np.testing.assert_array_equal(shown, first_of_block)


def test_a_gif_faster_than_players_can_is_played_at_their_fastest(tmp_path, film):
    write_gif(tmp_path / "a.gif", iter(film), fps=240.0)
    assert {duration for _, duration in gif_frames(tmp_path / "a.gif")} == {20}


def test_an_mp4_is_what_every_player_can_play(tmp_path, film):
    write_mp4(tmp_path / "a.mp4", iter(film), fps=7.5)
    with av.open(tmp_path / "a.mp4") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (48, 34)
        assert stream.average_rate == 7.5
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(shown) == 9
    for picture, frame in zip(shown, film, strict=True):
        assert np.abs(picture[:33, :47].astype(int) - frame).mean() < 4
        assert (picture[33:] > 240).all(), "the row that makes the size even is white"


def test_an_mp4_has_its_colours_and_says_how_they_are_coded(tmp_path):
    flat = np.full((3, 64, 64, 3), (245, 30, 35), np.uint8)
    write_mp4(tmp_path / "a.mp4", flat, fps=8.0)
    with av.open(tmp_path / "a.mp4") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.colorspace == 1, "BT.709"
        y, u, v = (
            int(np.frombuffer(plane, np.uint8)[plane.line_size * 16 + 16])
            for plane in next(container.decode(stream)).planes
        )
    # BT.709, limited range: ITU-R BT.709-6, section 3.
    light, cb, cr = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    red, blue = light + 1.5748 * cr, light + 1.8556 * cb
    green = (light - 0.2126 * red - 0.0722 * blue) / 0.7152
    rgb = [round(255 * part) for part in (red, green, blue)]
    assert rgb == pytest.approx([245, 30, 35], abs=4)


def test_an_mp4_starts_playing_before_it_is_all_there(tmp_path, film):
    write_mp4(tmp_path / "a.mp4", iter(film), fps=8.0)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_file_names_that_look_like_ffmpeg_syntax_work(tmp_path, film, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = Path("http:-a %03d 'b'.gif")
    write_gif(odd, iter(film), fps=8.0)
    assert len(list(gif_frames(odd))) == 9


@pytest.mark.parametrize("write", [write_gif, write_mp4])
def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path, film, write):
    with pytest.raises(Failure, match="ffmpeg could not write it") as caught:
        write(tmp_path / "absent" / "a", iter(film), 8.0)
    assert "\n" not in caught.value.sentence


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full disk")
@pytest.mark.parametrize("write", [write_gif, write_mp4])
def test_a_full_disk_is_reported(film, write):
    with pytest.raises(StorageFailed, match="No space left on device"):
        write(Path("/dev/full"), iter(film), 8.0)


def test_an_error_of_the_frame_iterator_is_raised(tmp_path, film):
    def frames():
        yield from film[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_gif(tmp_path / "a.gif", frames(), 8.0)
