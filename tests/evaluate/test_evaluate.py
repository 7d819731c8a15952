"""Scores: which clips and frames they are of, and what they depend on and what not."""

import json
from dataclasses import asdict, replace

import jax.numpy as jnp
import numpy as np
import pytest

from svtcli.evaluate import stage as stage
from svtcli.evaluate.plan import plan_likelihood
from svtcli.evaluate.results import LikelihoodResult, read_result
from svtcli.evaluate.stage import evaluate
from svtcli.failure import BadData, Refused
from svtcli.model.svt import structure
from svtcli.recipe.schema import Eval
from svtcli.run.directory import RunFolder
from svtcli.run.progress import Silent
from svtcli.train.checkpoint import TrainedNetwork
from svtcli.train.commit_record import open_checkpoint
from tests.tiny import zero_params
from tests.trained_place import RUN, noise, write_clips

TEST = Eval(batch=3, baselines=("uniform",))


def scored(settings: Eval = TEST, **changes: object) -> LikelihoodResult:
    checkpoint = open_checkpoint(RunFolder(RUN))
    plan = plan_likelihood(checkpoint, replace(settings, **changes))
    return evaluate(plan, Silent())


def test_the_uniform_model_has_eight_bits_on_every_frame(place):
    trained, uniform = scored().rows
    assert (trained.model, uniform.model) == ("trained", "uniform")
    assert uniform.mean == pytest.approx(8, abs=1e-6)
    assert uniform.per_frame == pytest.approx((8, 8, 8), abs=1e-6)
    assert uniform.error == pytest.approx(0, abs=1e-6)
    assert 8 < trained.mean < 12  # noise cannot be learned, nor 3 steps forgotten
    assert 0.001 < trained.error < 1


@pytest.mark.parametrize("batch", [1, 3])
def test_a_model_that_is_always_right_has_no_bits_and_an_even_one_eight(
    place, monkeypatch, batch
):
    """Every state is a sure vote for value 0, and the videos are black."""
    config = open_checkpoint(RunFolder(RUN)).recipe.model
    params = zero_params(config)
    head = params["decoder"]["head"]
    head["norm"]["bias"] = jnp.ones_like(head["norm"]["bias"])
    head["from_state"] = jnp.ones_like(head["from_state"])
    head["to_logits"] = head["to_logits"].at[:, :, 0].set(10.0)
    sure = TrainedNetwork(structure(config)[0], params)
    monkeypatch.setattr(stage, "load_network", lambda *_: sure)
    black = write_clips(
        place / "black", {"test": list(np.zeros((4, 4, 4, 4, 3), "u1"))}
    )
    settings = replace(TEST, batch=batch)
    plan = plan_likelihood(open_checkpoint(RunFolder(RUN)), settings, black)
    right, even = evaluate(plan, Silent()).rows
    assert (right.mean, right.error, right.per_frame) == (0, 0, (0, 0, 0))
    assert even.mean == pytest.approx(8, abs=1e-6)
    assert even.per_frame == pytest.approx((8, 8, 8), abs=1e-6)


def test_a_result_has_its_protocol_and_is_stored_in_the_run(place):
    evaluation = scored(prime=2, frames=6)
    facts = asdict(evaluation)
    assert facts.pop("rows")
    assert len(facts.pop("fingerprint")) == 64
    assert facts == {
        "run": "mine",
        "step": 3,
        "unit": "bits_per_dim",
        "dataset": "mine",
        "split": "test",
        "clips": 4,  # one of five is too short
        "prime": 2,
        "frames": 6,
        "overlap": 1,
        "lower_bound": None,
        "precision": "float32",
    }
    (path,) = (place / RUN / "eval").iterdir()
    assert read_result(path, LikelihoodResult) == evaluation
    assert len(evaluation.rows[0].per_frame) == 4


def test_the_batch_changes_no_score(place):
    """Four clips in batches of three (the last is padded), and one by one."""
    threes = scored()
    (path,) = (place / RUN / "eval").iterdir()
    path.unlink()
    ones = scored(batch=1)
    assert path.is_file()  # the same name: it is the same evaluation
    assert ones.rows[0].mean == pytest.approx(threes.rows[0].mean, rel=1e-5)
    assert ones.rows[0].error == pytest.approx(threes.rows[0].error, rel=1e-4)


def test_every_scored_clip_counts(place):
    """The mean over all clips is that of the means of its halves."""
    videos = noise((4, 4, 4, 4), seed=9)
    checkpoint = open_checkpoint(RunFolder(RUN))

    def mean(name: str, clips: list) -> float:
        folder = write_clips(place / name, {"test": clips})
        plan = plan_likelihood(checkpoint, Eval(batch=3), folder)
        return evaluate(plan, Silent()).rows[0].mean

    halves = mean("first", videos[:2]) + mean("last", videos[2:])
    assert mean("all", videos) == pytest.approx(halves / 2, rel=1e-6)


def test_prime_frames_are_not_scored(place):
    """The score of the last frame is the same, however many are given."""
    two, three = scored(prime=2).rows[0], scored(prime=3).rows[0]
    assert three.per_frame == pytest.approx(two.per_frame[1:], rel=1e-5)
    assert three.mean == pytest.approx(two.per_frame[1], rel=1e-5)


def test_the_untrained_baseline_is_the_initial_model(place):
    first = scored(baselines=("untrained",)).rows
    again = scored(baselines=("uniform", "untrained")).rows
    assert [row.model for row in again] == ["trained", "uniform", "untrained"]
    assert again[2] == first[1]
    assert again[2].mean != again[0].mean


def test_the_uniform_baseline_needs_no_network_and_the_untrained_one_few_clips(
    place, monkeypatch
):
    scores = stage.Scorer.frame_nll
    videos = []

    def counted(scorer, video, *args):
        videos.append(len(video))
        return scores(scorer, video, *args)

    monkeypatch.setattr(stage.Scorer, "frame_nll", counted)
    monkeypatch.setattr("svtcli.evaluate.plan.UNTRAINED_CLIPS", 2)
    trained, few, uniform = scored(batch=1, baselines=("untrained", "uniform")).rows
    assert videos == [1] * (4 + 2)
    assert (trained.clips, few.clips, uniform.clips) == (None, 2, None)
    monkeypatch.setattr("svtcli.evaluate.plan.UNTRAINED_CLIPS", 4)
    _, whole = scored(batch=1, frames=4, overlap=2, baselines=("untrained",)).rows
    assert whole.clips is None
    assert few.mean == pytest.approx(whole.mean, rel=0.05)
    assert few.mean != whole.mean


def test_scored_clips_are_not_scored_again(place, monkeypatch):
    first = scored()
    monkeypatch.setattr(stage, "Scorer", None)
    assert scored() == first
    with pytest.raises(TypeError):
        scored(prime=2)


@pytest.mark.parametrize("text", ["{", "{}", '{"rows": [{"model": "trained"}]}'])
def test_a_damaged_result_is_reported(place, text):
    scored()
    (path,) = (place / RUN / "eval").iterdir()
    path.write_text(text)
    with pytest.raises(BadData, match=rf"{path.name}: damaged"):
        scored()


def test_the_file_is_plain_json(place):
    scored()
    (path,) = (place / RUN / "eval").iterdir()
    facts = json.loads(path.read_text())
    assert [row["model"] for row in facts["rows"]] == ["trained", "uniform"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"prime": 4}, "none is left to predict"),
        ({"frames": 3}, "shorter than the model's window of 4"),
        ({"frames": 9}, "no clip of split test has 9 frames"),
        ({"split": "tset"}, "no split 'tset'; it has train, test"),
    ],
)
def test_impossible_settings_are_refused_by_the_plan(place, changes, why):
    with pytest.raises(Refused, match=why):
        scored(**changes)
    assert not (place / RUN / "eval").exists()
