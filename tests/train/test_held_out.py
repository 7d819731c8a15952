"""What a result depends on, and what not: the fingerprints of samples and scores."""

from dataclasses import replace

import pytest

from svtcli.evaluate.likelihood_results import plan_evaluation, plan_evaluations
from svtcli.failure import Refused
from svtcli.recipe.schema import Eval, Sample
from svtcli.run.directory import RunFolder
from svtcli.run.fingerprint import fingerprint
from svtcli.sample.stage import plan_samples
from svtcli.train.load_network import open_checkpoint
from tests.trained_place import RUN

pytestmark = pytest.mark.usefixtures("kept_programs")

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


SCORED = {
    "split": "test",
    "subset": None,
    "match": "",
    "prime": 1,
    "frames": 4,
    "overlap": 1,
    "clips": None,
    "batch": 1,
    "baselines": ["uniform"],
}
"""All that an evaluation once depended on."""


def test_evaluations_made_before_a_setting_was_there_keep_their_fingerprint(place):
    checkpoint, settings = open_checkpoint(RunFolder(RUN)), Eval(baselines=("uniform",))
    plan = plan_evaluation(checkpoint, settings)
    parts = ("Eval", checkpoint.fingerprint, plan.clips.fingerprint)
    assert plan.fingerprint == fingerprint(*parts, SCORED)
    of_samples = replace(settings, metrics=("likelihood", "fvd"), trials=3, window=9)
    assert plan_evaluation(checkpoint, of_samples).fingerprint == plan.fingerprint
    short = plan_evaluation(checkpoint, replace(settings, precision="bfloat16"))
    assert short.fingerprint == fingerprint(*parts, {**SCORED, "precision": "bfloat16"})


def test_other_splits_are_plans_of_their_own_and_change_none(place):
    checkpoint = open_checkpoint(RunFolder(RUN))
    plans = plan_evaluations(checkpoint, Eval(also=("train", "test", "train")))
    assert [plan.settings.split for plan in plans] == ["test", "train"]
    for plan in plans:
        alone = plan_evaluation(checkpoint, Eval(split=plan.settings.split))
        assert (plan.fingerprint, plan.out) == (alone.fingerprint, alone.out)
    assert [plan.out for plan in plan_evaluations(checkpoint, Eval())] == [plans[0].out]
    with pytest.raises(Refused, match="no split 'val'; it has train, test"):
        plan_evaluations(checkpoint, Eval(also=("val",)))


@pytest.mark.parametrize(("name", "value"), [("top_k", 1), ("top_p", 1.0)])
def test_no_choice_is_taken_for_a_model_that_draws_no_codes(place, name, value):
    checkpoint = open_checkpoint(RunFolder(RUN))
    model = replace(checkpoint.recipe.model, channels=1, loss="deterministic")
    recipe = replace(checkpoint.recipe)
    object.__setattr__(recipe, "model", model)  # its clips would have other channels
    with pytest.raises(Refused, match=rf"sample.{name}: mine@3 draws no codes"):
        plan_samples(replace(checkpoint, recipe=recipe), Sample(**{name: value}))
