"""A run's own samples against the clips that they continue: the protocol of §4.1.

Continuation s of every clip is trial s. So all trials are one folder of samples, made
by `sample`, which goes on where it was interrupted.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from svtcli.evaluate.compare import compare
from svtcli.evaluate.comparison import Comparison, compared
from svtcli.evaluate.comparison_plan import ComparisonPlan, plan_comparison
from svtcli.evaluate.foreign import Videos, open_videos
from svtcli.evaluate.foreign.prepared import videos_of
from svtcli.evaluate.foreign.source import Pixels, Rows
from svtcli.recipe.schema import Compare, Eval, Sample
from svtcli.run.progress import Progress
from svtcli.sample.stage import SamplePlan, plan_samples, sample
from svtcli.train.load_network import Checkpoint


@dataclass(frozen=True)
class TrialsPlan:
    """What a call of `run_trials` will make and compare."""

    samples: SamplePlan
    comparison: ComparisonPlan
    """Of videos that do not have to be there yet."""

    @property
    def out(self) -> Path:
        """The file of the result."""
        assert self.comparison.out is not None
        return self.comparison.out

    @property
    def finished(self) -> bool:
        """This very comparison is on disk already."""
        return self.comparison.finished


def plan_all_trials(
    checkpoint: Checkpoint,
    settings: Eval,
    sampling: Sample,
    clips: Path | None = None,
    i3d: Path | None = None,
) -> tuple[TrialsPlan, ...]:
    """`plan_trials` for every split that `settings` names; none if no metric asks."""
    if {"likelihood"}.issuperset(settings.metrics):
        return ()
    return tuple(
        plan_trials(
            checkpoint, replace(settings, split=split, also=()), sampling, clips, i3d
        )
        for split in dict.fromkeys((settings.split, *settings.also))
    )


def plan_trials(
    checkpoint: Checkpoint,
    settings: Eval,
    sampling: Sample,
    clips: Path | None = None,
    i3d: Path | None = None,
) -> TrialsPlan:
    """Check settings, clips and weights against the checkpoint; writes nothing.

    Samples are made as `sampling` says, of the clips that `settings` names. Errors:
    Refused, as `plan_samples` and `plan_comparison`.
    """
    made = plan_samples(checkpoint, settings.trial_samples(sampling), clips)
    samples = _Promised(
        name=checkpoint.name,
        count=len(made.numbers),
        continuations=made.settings.per_prime,
        frames=made.frames,
        shape=made.clips.shape,
        prime=made.prime,
    )
    truth = replace(
        samples, name=f"{made.folder}, split {made.settings.split}", continuations=1
    )
    return TrialsPlan(made, _planned(made, samples, truth, settings, i3d))


def run_trials(plan: TrialsPlan, progress: Progress) -> Comparison:
    """Sample what is missing, then compare; both go on where they were interrupted.

    Errors: those of `sample` and `compare`.
    """
    if plan.finished:
        return compare(plan.comparison, progress)
    folder = str(sample(plan.samples, progress))
    whole = plan.comparison
    made, truth = (
        replace(open_videos(folder, truth=is_truth), name=promised.name)
        for is_truth, promised in ((False, whole.samples), (True, whole.reference))
    )
    there = _planned(plan.samples, made, truth, whole.settings, whole.i3d)
    return compare(there, progress)


def _planned(
    samples: SamplePlan,
    made: Videos,
    truth: Videos,
    settings: Eval | Compare,
    i3d: Path | None,
) -> ComparisonPlan:
    """The comparison of samples that are there, or will be."""
    plan = plan_comparison(
        made,
        truth,
        compared(settings),
        i3d=i3d,
        others=videos_of(samples.clips, samples.clips.name, samples.frames),
        fingerprint_of_samples=samples.fingerprint,
    )
    name = f"{samples.checkpoint.step}-{samples.settings.split}-samples"
    run = samples.checkpoint.run
    return replace(plan, out=run.eval / f"{name}-{plan.fingerprint[:6]}.json")


@dataclass(frozen=True, eq=False, kw_only=True)
class _Promised(Videos):
    """Videos that will be made."""

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        raise AssertionError("these videos are only planned")
