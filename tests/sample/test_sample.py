"""Samples: the contents of their folder, and their dependence on settings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.reader import open_clips
from svtcli.evaluate.plan import plan_likelihood
from svtcli.evaluate.stage import evaluate, evaluate_task
from svtcli.failure import Refused, StorageFailed
from svtcli.recipe.schema import Eval, Sample
from svtcli.run.directory import RunFolder
from svtcli.run.partial import ArrayTask
from svtcli.run.progress import Silent
from svtcli.run.samples import Samples, read_samples
from svtcli.sample import stage as stage
from svtcli.sample.plan import plan_samples
from svtcli.sample.stage import sample
from svtcli.train.commit_record import open_checkpoint
from tests.trained_place import RUN, noise, write_clips

TEST = Sample(count=3, batch=2, schedule="sequential")


def made(settings: Sample = TEST, **changes: object) -> Samples:
    """Samples of the trained run in the working directory."""
    checkpoint = open_checkpoint(RunFolder(RUN))
    plan = plan_samples(checkpoint, replace(settings, **changes))
    return read_samples(sample(plan, Silent()))


def test_a_folder_of_samples_holds_clips_and_their_continuations(place):
    samples = made(prime=2, per_prime=2)
    assert samples.video.shape == (3, 2, 4, 4, 4, 3)
    assert (samples.video[:, :, :2] == samples.truth[:, None, :2]).all()
    assert (samples.video[:, 0, 2:] != samples.video[:, 1, 2:]).any()
    assert (samples.video[:, 0, 2:] != samples.truth[:, 2:]).any()
    assert (samples.log_prob[..., :2] == 0).all()
    assert (samples.log_prob[..., 2:] < -4 * 4 * 3).all()
    facts = samples.facts
    assert (facts.run, facts.step, facts.prime, facts.frames) == ("mine", 3, 2, 4)
    assert (facts.seed, facts.temperature, facts.split) == (0, 0.9, "test")
    names = [path.name for path in (place / RUN / "samples").iterdir()]
    assert len(names) == 1
    assert names[0].startswith("3-prime2-temp0.9-seed0-")


def test_the_ground_truth_is_clips_spread_over_the_split(place):
    samples = made()
    clips = open_clips(Path("clips/mine"), "test")
    assert samples.facts.clips == ("test 0", "test 1", "test 3")  # 2 is too short
    for row, number in enumerate((0, 1, 3)):
        assert (samples.truth[row] == clips.read(number, 0, 4)).all()


def test_only_the_prime_frames_are_read(place):
    """Clips that differ after the prime frame get the same continuations."""
    videos, changed = noise((4, 4), seed=3), noise((4, 4), seed=4)
    for video, other in zip(videos, changed, strict=True):
        other[0] = video[0]
    checkpoint = open_checkpoint(RunFolder(RUN))
    one, other = (
        sample(plan_samples(checkpoint, replace(TEST, count=8), folder), Silent())
        for folder in (
            write_clips(place / "one", {"test": videos}),
            write_clips(place / "other", {"test": changed}),
        )
    )
    assert one != other
    assert (read_samples(one).video == read_samples(other).video).all()
    assert (read_samples(one).truth != read_samples(other).truth).any()


def test_samples_do_not_depend_on_the_batch(place):
    """Six videos, in batches of four (the last is padded) and of one."""
    checkpoint = open_checkpoint(RunFolder(RUN))
    folders = [
        sample(
            plan_samples(
                checkpoint, replace(TEST, per_prime=2, batch=batch), out=place / name
            ),
            Silent(),
        )
        for name, batch in (("four", 4), ("one", 1))
    ]
    four, one = map(read_samples, folders)
    assert four.video.shape[:2] == (3, 2)
    assert (four.video == one.video).all()
    assert np.allclose(four.log_prob, one.log_prob, rtol=1e-5)


def test_another_seed_gives_other_samples(place):
    checkpoint = open_checkpoint(RunFolder(RUN))
    again = sample(plan_samples(checkpoint, TEST, out=place / "again"), Silent())
    assert (read_samples(again).video == made().video).all()
    assert (made(seed=1).video != made().video).any()


def test_a_continuation_does_not_depend_on_how_many_there_are(place):
    two, one = made(count=2, per_prime=2), made(count=2, per_prime=1)
    assert (two.video[:, :1] == one.video).all()
    more = made(count=4)
    assert more.facts.clips == ("test 0", "test 1", "test 3", "test 4")
    assert (more.video[[0, 2]] == one.video).all()


def test_greedy_continuations_are_all_the_same(place):
    samples = made(temperature=0.0, per_prime=2)
    assert (samples.video[:, 0] == samples.video[:, 1]).all()


def test_longer_samples_continue_from_the_end_of_the_window(place):
    long, short = made(frames=6), made()
    assert long.video.shape == (3, 1, 6, 4, 4, 3)
    assert (long.video[:, :, :4] == short.video).all()
    assert np.allclose(long.log_prob[..., :4], short.log_prob, rtol=1e-5)
    assert (long.log_prob[..., 4:] < -4 * 4 * 3).all()


@pytest.mark.parametrize(("prime", "frames"), [(1, 4), (2, 6)])
def test_the_log_probability_is_the_score_of_the_samples(place, prime, frames):
    """A dataset made of the samples is scored as the sampler has said."""
    samples = made(prime=prime, frames=frames, temperature=0.7)
    folder = write_clips(place / "made", {"test": list(samples.video[:, 0])})
    settings = Eval(prime=prime, frames=frames, batch=2)
    checkpoint = open_checkpoint(RunFolder(RUN))
    plan = plan_likelihood(checkpoint, settings, folder)
    (trained,) = evaluate(plan, Silent()).rows
    nats = -samples.log_prob[:, 0, prime:].astype(np.float64).mean(axis=0)
    assert trained.per_frame == pytest.approx(nats / np.log(2) / (4 * 4 * 3), rel=1e-5)


def test_every_continuation_has_the_score_of_its_own(place):
    """Each frame of each video, as `svt eval` keeps it while it is at work."""
    samples = made(per_prime=2, frames=6)
    videos = list(samples.video.reshape(-1, *samples.video.shape[2:]))
    folder = write_clips(place / "made", {"test": videos})
    settings = Eval(frames=6, batch=4)
    plan = plan_likelihood(open_checkpoint(RunFolder(RUN)), settings, folder)
    evaluate_task(plan, Silent(), ArrayTask(0, 2))
    kept = plan.partial.finished("trained")
    assert kept.tolist() == [0, 2, 4]
    nats = plan.partial.gather(kept, "trained")["nll"]
    told = -samples.log_prob.reshape(-1, 6)[kept]
    assert np.allclose(nats, told, rtol=1e-4, atol=0)
    assert len(np.unique(told[:, 1:])) == 15


def test_finished_samples_are_not_sampled_again(place, monkeypatch):
    first = made()
    monkeypatch.setattr(stage, "load_network", None)
    assert (made(batch=1).video == first.video).all()  # the batch is no difference
    with pytest.raises(TypeError):
        made(seed=1)


def test_other_files_at_the_output_are_refused_and_kept(place):
    out = place / "precious"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(Refused, match="already exists, with something other than"):
        plan_samples(open_checkpoint(RunFolder(RUN)), TEST, out=out)
    made_once = plan_samples(open_checkpoint(RunFolder(RUN)), TEST, out=place / "a")
    sample(made_once, Silent())
    with pytest.raises(Refused, match="other than these samples"):
        plan_samples(
            open_checkpoint(RunFolder(RUN)), replace(TEST, seed=1), out=place / "a"
        )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"prime": 4}, "4 prime frames in a video of 4: none is left"),
        ({"frames": 3}, "frames: 3 is shorter than the model's window of 4"),
        ({"frames": 9}, "no clip of split test has 9 frames .the longest has 8"),
        ({"frames": 8, "overlap": 4}, "overlap: 4 must lie between 1 and 3"),
        ({"split": "val"}, "no split 'val'; it has train, test"),
    ],
)
def test_impossible_settings_are_refused_before_sampling(place, changes, why):
    with pytest.raises(Refused, match=why):
        plan_samples(open_checkpoint(RunFolder(RUN)), replace(TEST, **changes))


def test_clips_with_actions_are_taken_by_a_model_without(place):
    from tests.train import tiny_run

    folder = tiny_run.write_clips(place / "acted", actions=2)
    checkpoint = open_checkpoint(RunFolder(RUN))
    plan = plan_samples(checkpoint, replace(TEST, split="train"), folder)
    assert read_samples(sample(plan, Silent())).video.shape == (3, 1, 4, 4, 4, 3)


def test_a_checkpoint_without_its_record_is_broken(place):
    (place / RUN / "checkpoints" / "2" / "commit.json").unlink()
    with pytest.raises(StorageFailed, match=r"checkpoints/2: damaged checkpoint"):
        open_checkpoint(RunFolder(RUN), 2)
    assert open_checkpoint(RunFolder(RUN)).step == 3
