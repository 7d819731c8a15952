"""Which files a rendering makes, and which frames they show."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from svtcli.failure import Refused
from svtcli.recipe.schema import Render
from svtcli.render.stage import draw, plan_drawings, shown_times
from svtcli.video.image import enlarge_smoothly
from tests.render.made_up import made_up_samples

PNG = Render(("png",))


def planned(settings, **samples):
    return plan_drawings({"walk": made_up_samples(**samples)}, settings)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (Render(("png", "gif")), ["strip.png", "samples.gif"]),
        (replace(PNG, diversity=True), ["diversity.png"]),
        (replace(PNG, each="clip"), ["strip-1.png", "strip-2.png"]),
        (replace(PNG, each="clip", rows=1), ["strip-1.png"]),
        (
            Render(("mp4",), each="video", per_prime=1),
            [
                f"samples-{clip}-{row}.mp4"
                for clip in (1, 2)
                for row in ("ground-truth", "sample")
            ],
        ),
    ],
)
def test_a_file_is_called_by_what_it_shows(settings, names):
    assert [drawing.name for drawing in planned(settings)] == names


def test_every_file_of_a_clip_or_a_video_shows_it_alone():
    samples = made_up_samples(clips=11, each=2)
    clips = planned(replace(PNG, each="clip", rows=20), clips=11, each=2)
    assert [drawing.name for drawing in clips][:2] == ["strip-01.png", "strip-02.png"]
    assert [drawing.groups[0].title for drawing in clips] == list(samples.facts.clips)
    videos = planned(replace(PNG, each="video", rows=20), clips=11, each=2)
    assert len({drawing.name for drawing in videos}) == 11 * 3
    shown = [drawing.groups[0].rows for drawing in videos]
    assert all(len(rows) == 1 for rows in shown)
    np.testing.assert_array_equal(shown[-1][0].video, samples.video[10, 1])


def test_samples_shown_are_the_first_of_each_clip():
    (strip,) = planned(replace(PNG, per_prime=2))
    labels = [row.label for row in strip.groups[0].rows]
    assert labels == ["ground truth", "sample 1", "sample 2"]


@pytest.mark.parametrize(
    ("settings", "times"),
    [
        (Render(every=5), (0, 5, 10, 15)),
        (Render(frames=(15, 0, 5, 5)), (0, 5, 15)),
        (Render(frames=(3,), every=2), (3,)),
        (Render(diversity=True, every=2), (4, 8, 12, 15)),
        (Render(diversity=True, frames=(7,)), (7,)),
    ],
)
def test_frames_are_chosen_by_number_or_every_so_many(settings, times):
    assert shown_times(settings, 5, 16) == times


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (replace(PNG, frames=(0, 7)), "frame 7: these videos have frames 0 to 6"),
        (replace(PNG, frames=()), "no frames to show"),
        (replace(PNG, diversity=True, each="video"), "samples of a clip together"),
    ],
)
def test_what_cannot_be_shown_is_refused(settings, sentence):
    with pytest.raises(Refused, match=sentence):
        planned(settings)


def test_a_diversity_sheet_of_two_models_is_refused():
    models = {"walk": made_up_samples(), "jog": made_up_samples()}
    with pytest.raises(Refused, match="the samples of one model"):
        plan_drawings(models, replace(PNG, diversity=True))


def test_smooth_pictures_have_the_size_of_the_others(tmp_path):
    pictures = []
    for smooth in (False, True):
        settings = replace(PNG, smooth=smooth, scale=3)
        draw(planned(settings)[0], tmp_path / "a.png", settings)
        with Image.open(tmp_path / "a.png") as picture:
            pictures.append(np.asarray(picture))
    sharp, smooth = pictures
    assert sharp.shape == smooth.shape
    assert not np.array_equal(sharp, smooth)


@pytest.mark.parametrize("channels", [1, 3])
def test_enlarging_smoothly_keeps_flat_frames_flat_and_means_about(channels):
    flat = np.full((2, 4, 6, channels), 90, np.uint8)
    assert (enlarge_smoothly(flat, 3) == 90).all()
    ramp = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None] * 40, (2, 4, 6, 1))
    grown = enlarge_smoothly(np.repeat(ramp, channels, -1), 4)
    assert grown.shape == (2, 16, 24, channels)
    assert (np.diff(grown.astype(int), axis=2) >= 0).all()
    assert abs(grown.mean() - ramp.mean()) < 1
