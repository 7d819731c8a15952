"""Samples of a run against the clips that they continue: the protocol of §4.1.

Continuation s of every clip is trial s, so all trials are one folder of samples, which
`sample` writes and resumes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from svtcli.evaluate.foreign import open_videos
from svtcli.evaluate.foreign.videos import PlannedVideos, Videos, videos_of
from svtcli.evaluate.plan import MetricsPlan, plan_metrics
from svtcli.evaluate.results import MetricsResult
from svtcli.recipe.schema import Compare, Eval, Recipe, Sample
from svtcli.run.progress import Progress
from svtcli.sample.plan import SamplePlan, plan_samples
from svtcli.sample.plan import check as check_sampling
from svtcli.train.commit_record import Checkpoint
from svtcli.train.held_out import check_held_out

ENOUGH = 1000
"""Clips that stand for any larger number of them."""


@dataclass(frozen=True)
class TrialsPlan:
    """Samples to write, and their metrics."""

    samples: SamplePlan
    metrics: MetricsPlan
    """Plan with videos that need not exist yet."""

    @property
    def out(self) -> Path:
        """File of the result."""
        assert self.metrics.out is not None
        return self.metrics.out

    @property
    def finished(self) -> bool:
        """True if the result of this very plan is on disk."""
        return self.metrics.finished


def plan_trials(
    checkpoint: Checkpoint,
    settings: Eval,
    sampling: Sample,
    clips: Path | None = None,
    i3d: Path | None = None,
) -> tuple[TrialsPlan, ...]:
    """Plan the trials of every split in `settings`; none if no metric needs samples.

    Checks settings, clips and weights against the checkpoint, and writes nothing.
    Errors: Refused, as `plan_samples` and `plan_metrics`.
    """
    if {"likelihood"}.issuperset(settings.metrics):
        return ()
    plans = []
    for split in dict.fromkeys((settings.split, *settings.also)):
        trials = replace(settings, split=split).trial_samples(sampling)
        plan = plan_samples(checkpoint, trials, clips)
        samples = PlannedVideos(
            name=checkpoint.name,
            count=len(plan.numbers),
            continuations=plan.settings.per_prime,
            frames=plan.frames,
            shape=plan.clips.shape,
            prime=plan.prime,
        )
        truth = replace(samples, name=f"{plan.folder}, split {split}", continuations=1)
        metrics = _plan_metrics(plan, samples, truth, settings, i3d)
        plans.append(TrialsPlan(plan, metrics))
    return tuple(plans)


def check(recipe: Recipe, clips: Path | None = None) -> None:
    """Refuse what the stage `eval` refuses, whatever the checkpoint.

    With the folder `clips`, also splits, labels and lengths that it lacks. Errors:
    Refused.
    """
    for split in dict.fromkeys((recipe.eval.split, *recipe.eval.also)):
        settings = replace(recipe.eval, split=split)
        if "likelihood" in settings.metrics:
            check_held_out(recipe, settings, clips, settings.clips)
        if {"likelihood"}.issuperset(settings.metrics):
            continue
        trials = settings.trial_samples(recipe.sample)
        count = check_sampling(recipe, trials, clips)
        lengths = recipe.resolved(trials)
        samples = PlannedVideos(
            name="the samples of section eval",
            count=min(count, ENOUGH),
            continuations=trials.per_prime,
            frames=lengths.frames,
            shape=(*recipe.model.video[1:], recipe.model.channels),
            prime=lengths.prime,
        )
        plan_metrics(samples, samples, settings)


def run_trials(plan: TrialsPlan, progress: Progress) -> MetricsResult:
    """Sample, then measure; both resume when the call is repeated.

    Errors: those of `sample` and `measure`.
    """
    from svtcli.evaluate.measure import measure  # brings jax, as sampling does
    from svtcli.sample.stage import sample

    metrics = plan.metrics
    if plan.finished:
        return measure(metrics, progress)
    folder = str(sample(plan.samples, progress))
    samples, truth = (
        replace(open_videos(folder, truth=is_truth), name=side.videos.name)
        for is_truth, side in ((False, metrics.fake), (True, metrics.real))
    )
    settings, i3d = metrics.settings, metrics.i3d
    return measure(_plan_metrics(plan.samples, samples, truth, settings, i3d), progress)


def _plan_metrics(
    plan: SamplePlan,
    samples: Videos,
    truth: Videos,
    settings: Compare,
    i3d: Path | None,
) -> MetricsPlan:
    """Plan the metrics of samples that exist or will exist."""
    metrics = plan_metrics(
        samples,
        truth,
        settings,
        i3d=i3d,
        others=videos_of(plan.clips, plan.clips.name, plan.frames),
        fingerprint_of_samples=plan.fingerprint,
    )
    name = f"{plan.checkpoint.step}-{plan.settings.split}-samples"
    out = plan.checkpoint.results.eval / f"{name}-{metrics.fingerprint[:6]}.json"
    return replace(metrics, out=out)
