"""What a result depends on, and what not: the fingerprints of samples and scores."""

from dataclasses import replace

import pytest

from svtcli.failure import Refused
from svtcli.recipe.schema import Sample
from svtcli.run.directory import RunFolder
from svtcli.run.fingerprint import fingerprint
from svtcli.stages.sample import plan_samples
from svtcli.stages.trained import open_checkpoint
from tests.trained_place import RUN

ONCE = {
    "split": "test",
    "subset": None,
    "match": "",
    "prime": 1,
    "frames": 4,
    "overlap": 1,
    "count": 8,
    "per_prime": 1,
    "batch": 1,
    "temperature": 0.9,
    "seed": 0,
}
"""All that samples once depended on, as it is when nothing is said."""


def test_samples_made_before_a_setting_was_there_keep_their_fingerprint(place):
    checkpoint = open_checkpoint(RunFolder(RUN))
    plan = plan_samples(checkpoint, Sample())
    parts = ("Sample", checkpoint.fingerprint, plan.clips.fingerprint)
    assert plan.fingerprint == fingerprint(*parts, ONCE)
    newer = {"top_k": 5, "top_p": 0.5, "precision": "bfloat16"}
    for name, value in newer.items():
        other = plan_samples(checkpoint, replace(Sample(), **{name: value}))
        assert other.fingerprint == fingerprint(*parts, {**ONCE, name: value})


@pytest.mark.parametrize(("name", "value"), [("top_k", 1), ("top_p", 1.0)])
def test_no_choice_is_taken_for_a_model_that_draws_no_codes(place, name, value):
    checkpoint = open_checkpoint(RunFolder(RUN))
    model = replace(checkpoint.recipe.model, channels=1, loss="deterministic")
    recipe = replace(checkpoint.recipe)
    object.__setattr__(recipe, "model", model)  # its clips would have other channels
    with pytest.raises(Refused, match=rf"sample.{name}: mine@3 draws no codes"):
        plan_samples(replace(checkpoint, recipe=recipe), Sample(**{name: value}))
