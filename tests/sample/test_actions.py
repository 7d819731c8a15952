"""Samples that follow other actions than their clips: a rule's, or a file's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svtcli.evaluate.foreign import open_videos
from svtcli.evaluate.plan import plan_metrics
from svtcli.failure import BadData, Refused
from svtcli.model.likelihood import Scorer
from svtcli.recipe.schema import Compare, Eval, Sample
from svtcli.run.directory import RunFolder
from svtcli.run.durable import read_record, write_record
from svtcli.run.partial import ArrayTask, Unfinished
from svtcli.run.progress import Silent
from svtcli.run.samples import Samples, read_facts, read_samples
from svtcli.sample.actions import ActionSet
from svtcli.sample.plan import SamplePlan, plan_samples
from svtcli.sample.sampler import Sampler
from svtcli.sample.sampling_rule import SamplingRule, row_keys
from svtcli.sample.stage import sample, sample_task
from svtcli.train.commit_record import open_checkpoint
from tests.tiny import VARIANTS, network_of, random_video
from tests.trained_place import RUN

SHAPE = (3, 4, 2)
"""Clips, frames, numbers of an action."""
TEST = Sample(count=3, prime=2, temperature=0.9, batch=3, schedule="sequential")
OWN = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)


def planned(*actions: str, out: Path | None = None, **changes: object) -> SamplePlan:
    settings = replace(TEST, actions=actions or None, **changes)
    return plan_samples(open_checkpoint(RunFolder(RUN)), settings, out=out)


def made(*actions: str, **changes: object) -> Samples:
    return read_samples(sample(planned(*actions, **changes), Silent()))


def saved(name: str, values: np.ndarray) -> str:
    np.save(name, values)
    return name


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("own", OWN),
        ("zero", 0 * OWN),
        ("reverse", -OWN),
        ("swap", OWN[[1, 2, 0]]),
    ],
)
@pytest.mark.parametrize("prime", [1, 3])
def test_a_rule_changes_the_actions_after_the_prime_frames_only(name, changed, prime):
    followed = ActionSet(name).followed(OWN, prime)
    np.testing.assert_array_equal(followed[:, :prime], OWN[:, :prime])
    np.testing.assert_array_equal(followed[:, prime:], changed[:, prime:])
    assert followed.dtype == np.float32


@pytest.mark.parametrize("clips", [1, 3])
def test_a_file_has_actions_for_all_clips_or_for_each(clips):
    values = np.arange(clips * 8, dtype=np.float32).reshape(clips, 4, 2)
    followed = ActionSet("moves", values).followed(OWN, 2)
    np.testing.assert_array_equal(followed[:, :2], OWN[:, :2])
    for n in range(3):
        np.testing.assert_array_equal(followed[n, 2:], values[n % clips, 2:])


def test_sets_of_actions_sampled_together_are_those_sampled_alone(acting_place):
    """Three clips, two sets and two continuations, in batches that mix the sets."""
    together = made("own", "swap", per_prime=2)
    assert together.video.shape[:2] == (3, 4)
    assert together.facts.action_sets == ("own", "swap")
    for s, name in enumerate(together.facts.action_sets):
        alone = made(*([name] if s else []), per_prime=2)
        np.testing.assert_array_equal(alone.video, together.video[:, 2 * s : 2 * s + 2])
        np.testing.assert_allclose(
            alone.log_prob, together.log_prob[:, 2 * s : 2 * s + 2], rtol=1e-5
        )
    own, other = together.video[:, 0], together.video[:, 2]
    assert (own[:, :2] == other[:, :2]).all()
    assert (own[:, 2:] != other[:, 2:]).any()


def test_the_actions_followed_are_stored_and_give_the_same_samples(acting_place):
    one = made("reverse", "swap")
    assert one.actions.shape == (3, 2, 4, 2)
    np.testing.assert_array_equal(one.actions[:, 0, 2:], -one.truth_actions[:, 2:])
    assert (one.actions[:, :, :2] == one.truth_actions[:, None, :2]).all()
    (folder,) = (RUN / "samples").iterdir()
    again = made(str(folder / "actions.npy"))
    assert again.facts.action_sets == ("actions 1", "actions 2")
    np.testing.assert_array_equal(again.video, one.video)
    np.testing.assert_array_equal(again.actions, one.actions)


def test_tasks_of_a_job_array_follow_the_same_actions(acting_place):
    plan = planned("own", "reverse", out=Path("shared"))
    assert sample_task(plan, Silent(), ArrayTask(1, 2)) == Unfinished(plan.out, 3, 6)
    assert sample_task(plan, Silent(), ArrayTask(0, 2)) == plan.out
    whole, shared = made("own", "reverse"), read_samples(plan.out)
    for name in ("video", "truth", "actions", "truth_actions", "facts"):
        one, other = getattr(whole, name), getattr(shared, name)
        assert np.array_equal(one, other) if name != "facts" else one == other


def test_what_a_file_holds_decides_not_its_place(acting_place):
    values = np.ones((4, 2))
    saved("up.npy", values)
    plan = planned("up.npy")
    Path("else").mkdir()
    saved("else/up.npy", values)
    assert planned("else/up.npy").fingerprint == plan.fingerprint
    saved("up.npy", 2 * values)
    assert planned("up.npy").fingerprint != plan.fingerprint
    assert planned("own").fingerprint == planned().fingerprint
    saved("zero.npy", values)
    names = [each.name for each in planned("zero", "zero.npy").action_sets]
    assert names == ["zero", "zero.npy"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.full((4, 2), np.nan), r"up\.npy: holds NaN or infinity, first at \[0, 0\]"),
        (np.full((4, 2), 1e300), r"holds NaN or infinity, first at"),
        (np.zeros((5, 2)), r"its axes are \[5, 2\]; samples of 4 frames with 2"),
        (np.zeros((4, 3)), r"its axes are \[4, 3\]"),
        (np.zeros(8), r"its axes are \[8\]"),
        (np.zeros((2, 4, 2)), "up has actions of 2 clips, and 3 are continued"),
        (np.zeros((2, 1, 4, 2)), "up has actions of 2 clips"),
        (np.zeros((4, 2), bool), "holds bool, not numbers"),
        (np.zeros((4, 2), "U3"), "holds str"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(acting_place, values, sentence):
    saved("up.npy", values)
    with pytest.raises(Refused, match=sentence):
        planned("up.npy")


@pytest.mark.parametrize(
    ("actions", "changes", "sentence", "hint"),
    [
        (["revers"], {}, "no file 'revers'", "did you mean reverse?"),
        (["."], {}, "no file '.'", "name own, zero"),
        (["zero", "zero"], {}, "two sets of actions are called zero", ""),
        (["swap"], {"count": 1}, "there is one clip only", "sample.count"),
        (["s3://bucket/up.npy"], {}, "an address, not a path", ""),
    ],
)
def test_actions_that_cannot_be_followed_are_refused(
    acting_place, actions, changes, sentence, hint
):
    with pytest.raises(Refused) as refused:
        planned(*actions, **changes)
    assert sentence in refused.value.sentence
    assert hint in (refused.value.hint or "")


def test_damage_and_pickles_are_refused(acting_place):
    saved("up.npy", np.zeros((4, 2)))
    whole = Path("up.npy").read_bytes()
    Path("up.npy").write_bytes(whole[:-1])
    with pytest.raises(BadData, match="ends early"):
        planned("up.npy")
    Path("up.npy").write_bytes(b"0,0\n1,1\n")
    with pytest.raises(BadData, match="not an array that NumPy has written"):
        planned("up.npy")
    np.save("up.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(Refused, match="pickle"):
        planned("up.npy")


def test_a_model_without_actions_follows_none(place):
    with pytest.raises(Refused, match="this model takes no actions"):
        planned("zero")
    plan = planned()
    assert plan.action_sets == ()
    assert plan.followed(plan.read()) is None


def test_ground_truth_of_other_actions_is_no_reference(acting_place):
    folder, settings = sample(planned("own", "zero"), Silent()), Compare(("psnr",))
    samples = open_videos(str(folder))
    truth = open_videos(str(folder), truth=True)
    with pytest.raises(Refused, match=r"follow other actions \(own, zero\)"):
        plan_metrics(samples, truth, settings)
    others = open_videos("clips/mine:test", 4)
    others = replace(others, count=3, numbers=others.numbers[:3])
    (warning,) = plan_metrics(samples, others, settings).warnings
    assert "follows other actions (own, zero)" in warning
    assert Eval().trial_samples(replace(TEST, actions=("zero",))).actions is None
    own = sample(planned(), Silent())
    samples, truth = (open_videos(str(own), truth=each) for each in (False, True))
    assert plan_metrics(samples, truth, settings).warnings == ()


def test_a_frame_by_frame_model_follows_actions_in_less_than_a_window():
    """Samples of 3 frames have the likelihood that they are scored with."""
    layers = {"encoder_layers": 1, "decoder_layers": 1}
    config = replace(VARIANTS["single frame"], actions=2, **layers)
    parts = network_of(config)
    video = np.asarray(random_video(config, 3))[:, :3]
    keys = row_keys(0, np.arange(3), np.zeros(3, int))
    rule, actions = SamplingRule.of(1.0), OWN[:, :3]
    found = Sampler(config, *parts).continue_video(video, 1, 1, keys, rule, actions)
    scored = Scorer(config, *parts).frame_nll(found.video, 1, 1, actions)
    np.testing.assert_allclose(found.nll, scored, rtol=1e-4)


def test_stored_actions_that_have_changed_are_refused(acting_place):
    folder = sample(planned("zero"), Silent())
    path = folder / "actions.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"actions\.npy: has changed"):
        read_samples(folder)
    path.unlink()
    with pytest.raises(BadData, match=r"actions\.npy: cannot be read"):
        read_samples(folder)


def test_samples_from_before_there_were_sets_of_actions_are_read(acting_place):
    folder = sample(planned(), Silent())
    record = read_record(folder / "samples.json", "")
    for key in ("actions", "action_sets"):
        del record[key]
    for name in ("actions.npy", "truth_actions.npy"):
        del record["crc32c"][name]
        (folder / name).unlink()
    write_record(folder / "samples.json", record)
    assert read_samples(folder).actions is None
    assert read_facts(folder).own_actions
