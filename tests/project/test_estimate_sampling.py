"""The steps of sampling against what the sampler goes through."""

from dataclasses import asdict, replace

import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.failure import Refused
from svtcli.model.connectivity import connectivity
from svtcli.model.subscale import scored_frames
from svtcli.model.windows import scored_slices, windows
from svtcli.project import estimate
from svtcli.project.estimate import estimate_sampling
from tests.train.tiny_run import loaded, write_recipe

SINGLE_FRAME = ("model.s=[4,1,1]", "model.blocks=[[1,4,2]]")
DEEP_FIRST = ("model.first_slice_layers=3", "model.blocks=[[2,2,1],[1,4,4]]")


@pytest.fixture
def mine(tmp_path):
    return write_recipe(tmp_path, tmp_path / "no clips needed")


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("sample.prime=3",),
        ("sample.prime=2", "sample.frames=9", "sample.overlap=3"),
        ("sample.prime=5", "sample.frames=6", *SINGLE_FRAME),
        ("sample.frames=3", *SINGLE_FRAME),
        ("sample.frames=7", "model.video=[4,8,8]", "data.size=8", *DEEP_FIRST),
    ],
)
def test_the_steps_are_the_pixels_that_the_sampler_makes(mine, changes) -> None:
    recipe = loaded(mine, *changes).recipe
    model, sample = recipe.model, recipe.sample
    frames, prime = sample.frames or 4, sample.prime or 1
    t, h, w = model.slice_shape
    slices = pixels = steps = widest = 0
    for window in windows(model, frames, prime, sample.overlap or 1):
        for index in scored_slices(model, window.prime, window.stop):
            made = scored_frames(model, jnp.array([index]), window.prime)
            known = (t - int(np.sum(made))) * h * w
            first = index == 0 and model.first_slice_layers is not None
            slices += 1
            pixels += t * h * w - known
            own = connectivity(model, known, first=first)
            steps, widest = steps + own.steps, max(widest, own.widest)
    found = estimate_sampling(recipe)
    assert (found.frames, found.slices) == (frames, slices)
    assert (found.sequential_steps, found.parallel_steps) == (pixels, steps)
    assert found.widest_step == widest
    assert 0 < steps <= pixels


def test_each_decoder_has_its_own_blind_spots(mine) -> None:
    changes = ("model.video=[4,8,8]", "data.size=8")
    recipe = loaded(mine, *changes, *DEEP_FIRST).recipe
    found = estimate_sampling(recipe).decoders
    assert set(found) == {"decoder", "first_decoder"}
    for name, reach in found.items():
        own = connectivity(recipe.model, first=name == "first_decoder")
        assert asdict(reach) == {
            "steps": own.steps,
            "widest_step": own.widest,
            "reachable_share": own.share,
            "mean_blind_spots": own.blind.mean(),
            "most_blind_spots": own.blind.max(),
        }
    assert found["decoder"] != found["first_decoder"]


def test_slices_that_are_too_large_to_tell_have_their_pixels_counted(
    mine, monkeypatch
) -> None:
    recipe = loaded(mine).recipe
    monkeypatch.setattr(estimate, "LARGEST", 7)
    assert estimate_sampling(recipe) == replace(
        estimate_sampling(recipe), sequential_steps=48, parallel_steps=None,
        widest_step=None, decoders={},
    )  # fmt: skip


def test_frames_that_cannot_be_laid_out_are_refused(mine) -> None:
    with pytest.raises(Refused, match="frames: 3 is shorter than the model's window"):
        estimate_sampling(loaded(mine, "sample.frames=3").recipe)
