"""Several models' samples of the same clips: names, rows, and honest refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svtcli.failure import Refused
from svtcli.render.groups import (
    caption,
    file_name,
    groups_of,
    model_names,
    side_by_side,
)
from tests.render.made_up import made_up_samples

A, B = Path("runs/a/samples/1"), Path("runs/b/samples/2")


def another(samples, **facts):
    """Of another model: the same clips, continued otherwise."""
    video = samples.video.copy()
    video[:, :, samples.facts.prime :] ^= 1
    return replace(samples, video=video, facts=replace(samples.facts, **facts))


def test_each_clip_has_its_truth_and_a_row_for_each_model():
    one = made_up_samples()
    two = another(one, run="jog")
    models = side_by_side((A, B), (one, two))
    groups = groups_of(models, 8)
    assert [group.title for group in groups] == ["clip-0", "clip-1"]
    for n, group in enumerate(groups):
        assert [row.label for row in group.rows] == ["ground truth", "walk", "jog"]
        expected = (one.truth[n], one.video[n, 0], two.video[n, 0])
        for row, video in zip(group.rows, expected, strict=True):
            np.testing.assert_array_equal(row.video, video)
    labels = [row.label for row in groups_of(models, 1, 2)[0].rows]
    assert labels == ["ground truth", "walk 1", "walk 2", "jog 1", "jog 2"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"run": "jog"}, ["walk", "jog"]),
        ({"step": 500}, ["step 300", "step 500"]),
        ({"temperature": 1.0}, ["temp 0.9", "temp 1"]),
        ({"seed": 1}, ["1: 1", "2: 2"]),
    ],
)
def test_a_name_is_what_tells_models_apart(change, names):
    one = made_up_samples()
    assert model_names((A, B), (one, another(one, **change))) == names


def test_three_models_of_two_runs_have_three_names():
    one = made_up_samples()
    read = (one, another(one, step=500), another(one, run="jog"))
    assert model_names((A, B, B), read) == ["walk@300", "walk@500", "jog@300"]


def test_the_caption_says_what_all_share_once_and_what_sets_each_apart():
    one = made_up_samples()
    models = {"walk": one, "jog": another(one, run="jog", step=500)}
    assert caption(models) == (
        "temperature 0.9",
        "walk: step 300",
        "jog: step 500",
        "2 prime frames, 5 sampled",
    )


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (made_up_samples(clips=3), "2 clips and 3"),
        (made_up_samples(frames=8), "videos have 7 frames and 8"),
        (made_up_samples(size=(12, 16)), "frames are 20x12 RGB and 16x12 RGB"),
        (made_up_samples(channels=1), "frames are 20x12 RGB and 20x12 gray"),
        (made_up_samples(prime=3), "2 prime frames and 3"),
        (
            another(made_up_samples(), clips=("clip-0", "clip-9")),
            "clip 2 is clip-1 and clip-9",
        ),
    ],
)
def test_what_does_not_continue_the_same_frames_is_refused(other, why):
    with pytest.raises(Refused) as caught:
        side_by_side((A, B), (made_up_samples(), other))
    said = f"{A} and {B} cannot be compared: {why}"
    assert caught.value.sentence == said
    assert "svt sample" in (caught.value.hint or "")


def test_other_frames_under_the_same_names_are_refused():
    one, truth = made_up_samples(), made_up_samples().truth
    truth[1, 6, 0, 0, 0] ^= 1
    with pytest.raises(Refused, match="show other frames"):
        side_by_side((A, B), (one, replace(one, truth=truth)))


def test_a_label_becomes_a_name_of_a_file_that_any_system_takes():
    assert file_name("sample 1") == "sample-1"
    assert file_name("../../a b:c") == "a-b-c"
    assert file_name("..") == "-"
