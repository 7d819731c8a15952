"""What a result depends on, and what not: the fingerprints of samples and scores."""

from dataclasses import replace

import pytest

from svtcli.evaluate.plan import plan_likelihood, plan_likelihoods
from svtcli.failure import Refused
from svtcli.recipe.schema import Eval, Sample
from svtcli.run.directory import RunFolder
from svtcli.sample.plan import plan_samples
from svtcli.train.commit_record import open_checkpoint
from tests.trained_place import RUN

pytestmark = pytest.mark.usefixtures("kept_programs")


def test_samples_depend_on_settings_with_influence_and_on_no_others(place):
    checkpoint = open_checkpoint(RunFolder(RUN))
    plan = plan_samples(checkpoint, Sample())
    for changed in ({"top_k": 5}, {"top_p": 0.5}, {"precision": "bfloat16"}):
        other = plan_samples(checkpoint, replace(Sample(), **changed))
        assert other.fingerprint != plan.fingerprint
    for changed in ({"batch": 3}, {"schedule": "guess", "window": 5}):
        same = plan_samples(checkpoint, replace(Sample(), **changed))
        assert same.fingerprint == plan.fingerprint


def test_a_likelihood_depends_on_no_setting_of_comparisons(place):
    checkpoint, settings = open_checkpoint(RunFolder(RUN)), Eval(baselines=("uniform",))
    plan = plan_likelihood(checkpoint, settings)
    of_samples = replace(settings, metrics=("likelihood", "fvd"), trials=3, window=9)
    for same in (of_samples, replace(settings, batch=3)):
        assert plan_likelihood(checkpoint, same).fingerprint == plan.fingerprint
    for changed in ({"precision": "bfloat16"}, {"baselines": ()}):
        other = plan_likelihood(checkpoint, replace(settings, **changed))
        assert other.fingerprint != plan.fingerprint


def test_other_splits_are_plans_of_their_own_and_change_none(place):
    checkpoint = open_checkpoint(RunFolder(RUN))
    plans = plan_likelihoods(checkpoint, Eval(also=("train", "test", "train")))
    assert [plan.settings.split for plan in plans] == ["test", "train"]
    for plan in plans:
        alone = plan_likelihood(checkpoint, Eval(split=plan.settings.split))
        assert (plan.fingerprint, plan.out) == (alone.fingerprint, alone.out)
    assert [plan.out for plan in plan_likelihoods(checkpoint, Eval())] == [plans[0].out]
    with pytest.raises(Refused, match="no split 'val'; it has train, test"):
        plan_likelihoods(checkpoint, Eval(also=("val",)))


@pytest.mark.parametrize(("name", "value"), [("top_k", 1), ("top_p", 1.0)])
def test_no_choice_is_taken_for_a_model_that_draws_no_codes(place, name, value):
    checkpoint = open_checkpoint(RunFolder(RUN))
    model = replace(checkpoint.recipe.model, channels=1, loss="deterministic")
    recipe = replace(checkpoint.recipe)
    object.__setattr__(recipe, "model", model)  # its clips would have other channels
    with pytest.raises(Refused, match=rf"sample.{name}: the loss is deterministic"):
        plan_samples(replace(checkpoint, recipe=recipe), Sample(**{name: value}))
