"""Plans of evaluations: everything checked before anything is computed.

`LikelihoodPlan` is for the likelihood of held-out clips (`stage.py`), `MetricsPlan` for
metrics of samples against reference clips (`measure.py`).
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar

from svtcli.clips.held_out import spread_evenly
from svtcli.clips.reader import Clips
from svtcli.evaluate.foreign.videos import Selection, Videos
from svtcli.evaluate.fvd.conventions import conventions_of
from svtcli.evaluate.fvd.number_of_clips import FEWEST
from svtcli.evaluate.fvd.protocol import FEWEST_FRAMES, windows_of
from svtcli.evaluate.fvd.statistics import ReferenceStatistics
from svtcli.evaluate.metrics import (
    DISTANCES,
    METRICS,
    PAIRED,
    TEMPORAL,
    require_weights,
)
from svtcli.evaluate.results import (
    TRAINED,
    LikelihoodResult,
    MetricsResult,
    read_result,
)
from svtcli.evaluate.warnings import other_actions, warnings_of
from svtcli.evaluate.weights import I3D_WEIGHTS, weights_file
from svtcli.failure import Refused
from svtcli.model.windows import refuse_all_prime
from svtcli.recipe.schema import Compare, Eval, Metric
from svtcli.run.durable import fingerprint, fingerprint_file
from svtcli.run.partial import PartialResult, Unfinished
from svtcli.run.progress import counted
from svtcli.train.commit_record import Checkpoint
from svtcli.train.held_out import HeldOutPlan, plan_held_out

UNTRAINED_CLIPS = 8
"""Clips that the baseline `untrained` scores: it tells almost none from another."""


class PartialScores(PartialResult):
    """NLL of the clips scored so far: `nll`, float64 [F] nats, in a group per model.

    Rows are clip numbers of the split; the NLL of prime frames is 0.
    """

    kind: ClassVar[str] = "scores"


@dataclass(frozen=True)
class LikelihoodPlan(HeldOutPlan):
    """Clips, models and file of one evaluation of likelihood, already checked."""

    settings: Eval

    @property
    def out(self) -> Path:
        """File of the result."""
        name = f"{self.settings.split}-prime{self.prime}-{self.fingerprint[:6]}"
        return self.checkpoint.results.eval / f"{self.checkpoint.step}-{name}.json"

    @property
    def models(self) -> tuple[str, ...]:
        """The trained model, then the baselines."""
        return (TRAINED, *dict.fromkeys(self.settings.baselines))

    @property
    def numbers_of(self) -> dict[str, tuple[int, ...]]:
        """Clips that each network scores; the uniform model's score is known."""
        few = spread_evenly(self.numbers, UNTRAINED_CLIPS)
        clips = {TRAINED: self.numbers, "untrained": few}
        return {model: clips[model] for model in self.models if model in clips}

    @property
    def progress(self) -> Unfinished:
        """Number of clips scored so far; a clip counts once for every network."""
        wanted = self.numbers_of
        done = sum(len(self.partial.finished(model)) for model in wanted)
        return Unfinished(self.out, done, sum(map(len, wanted.values())))

    @property
    def partial(self) -> PartialScores:
        """Scores of single clips, saved until all are there."""
        return PartialScores(self.out, self.fingerprint)

    @property
    def finished(self) -> bool:
        """True if the result of this very plan is on disk."""
        if not self.out.is_file():
            return False
        return read_result(self.out, LikelihoodResult).fingerprint == self.fingerprint


def plan_likelihoods(
    checkpoint: Checkpoint, settings: Eval, clips: Path | None = None
) -> tuple[LikelihoodPlan, ...]:
    """Plan the likelihood of every split in `settings`; none unless it is a metric."""
    if "likelihood" not in settings.metrics:
        return ()
    return tuple(
        plan_likelihood(checkpoint, replace(settings, split=split), clips)
        for split in dict.fromkeys((settings.split, *settings.also))
    )


def plan_likelihood(
    checkpoint: Checkpoint, settings: Eval, clips: Path | Clips | None = None
) -> LikelihoodPlan:
    """Check settings and clips of `settings.split` alone; writes nothing.

    Errors: Refused, as `plan_held_out`.
    """
    alone = replace(settings, also=())
    held_out = plan_held_out(checkpoint, alone, clips, settings.clips)
    return LikelihoodPlan(**vars(held_out), settings=alone)


@dataclass(frozen=True)
class MetricsPlan:
    """Two sets of videos, settings and file of their metrics, already checked."""

    settings: Compare
    """`trials` limited to the continuations that exist."""
    prime: int | None
    fake: Selection
    real: Selection
    i3d: Path | None
    out: Path | None
    """File of the result; None to write none."""
    real_halves: Selection | None = None
    """Twice as many real clips as in a trial, for FVD of real against real; or None."""
    fingerprint: str = ""
    """Hash of everything that the numbers depend on; "" where it is not known."""
    warnings: tuple[str, ...] = ()

    @property
    def paired(self) -> tuple[Metric, ...]:
        """Metrics that compare frame by frame."""
        return tuple(name for name in PAIRED if name in self.settings.metrics)

    @property
    def temporal(self) -> tuple[Metric, ...]:
        """Metrics of the change from frame to frame."""
        return tuple(name for name in TEMPORAL if name in self.settings.metrics)

    @property
    def weights(self) -> dict[Metric, str]:
        """SHA-256 of the file of weights of each paired metric that has one."""
        files = {name: PAIRED[name].weights(self.settings) for name in self.paired}
        return {name: file.sha256 for name, file in files.items() if file}

    @property
    def frames(self) -> int:
        """Frames that both sides have."""
        return min(self.fake.videos.frames, self.real.videos.frames)

    @property
    def first_frame(self) -> int:
        """First frame that FVD and KVD see."""
        return (self.prime or 0) if self.settings.exclude_prime else 0

    @property
    def continuations(self) -> int:
        """Samples of each clip, over all trials."""
        return self.settings.trials * self.settings.per_prime

    @property
    def clips_per_trial(self) -> int:
        """Samples in one trial."""
        return len(self.fake.rows) * self.settings.per_prime

    @property
    def starts(self) -> tuple[int, ...]:
        """First frames of FVD's windows: one window, unless their average is asked."""
        window, stride = self.settings.window, self.settings.stride
        every = windows_of(self.frames, window, stride, self.first_frame)
        averaged = any(
            name in self.settings.metrics and metric.all_windows
            for name, metric in DISTANCES.items()
        )
        return tuple(every if averaged else every[:1])

    @property
    def finished(self) -> bool:
        """True if the result of this very plan is on disk."""
        if not self.fingerprint or self.out is None or not self.out.is_file():
            return False
        return read_result(self.out, MetricsResult).fingerprint == self.fingerprint


def plan_metrics(
    samples: Videos,
    reference: Videos,
    settings: Compare,
    prime: int | None = None,
    clips: int | None = None,
    i3d: Path | None = None,
    out: Path | None = None,
    others: Videos | None = None,
    fingerprint_of_samples: str = "",
) -> MetricsPlan:
    """Check that the two sets and the settings fit together; computes nothing.

    At most `clips` videos of each set are taken. FVD of real against real takes its
    clips from `others`, by default from the reference. `fingerprint_of_samples` is by
    default the one in their folder, if the reference is their own ground truth. Errors:
    Refused, also for own ground truth of samples that follow other actions.
    """
    require_weights(settings, i3d)
    if (followed := other_actions(samples)) and samples.facts == reference.facts:
        raise Refused(
            f"{samples.name}: these samples follow other actions ({followed}) than the "
            "clips, which are no ground truth for them",
            "sample under the clips' own actions, or name clips under the same actions "
            "with --reference",
        )
    statistics = reference if isinstance(reference, ReferenceStatistics) else None
    own = {field.name: getattr(settings, field.name) for field in fields(Compare)}
    own["trials"] = _trials(samples, settings)
    own["metrics"] = tuple(name for name in METRICS if name in settings.metrics)
    plan = MetricsPlan(
        settings=Compare(**own),
        prime=_prime_frames(samples, prime),
        fake=Selection.spread_evenly(samples, clips),
        real=Selection.spread_evenly(reference, None if statistics else clips),
        i3d=i3d,
        out=out,
    )
    if statistics:
        statistics.check(samples, plan.settings, plan.starts, i3d)
    if plan.settings.distances:
        conventions_of(plan.settings)
        _check_distances(plan)
        real, wanted = others or reference, 2 * plan.clips_per_trial
        needed = plan.first_frame + plan.settings.window
        if not statistics and real.count >= wanted and real.frames >= needed:
            halves = Selection.spread_evenly(real, wanted)
            plan = replace(plan, real_halves=halves)
    if plan.paired:
        _check_paired(plan)
    for name in plan.temporal:
        TEMPORAL[name].first(plan.prime, plan.frames, samples.name)
    plan = replace(
        plan,
        fingerprint=_fingerprint(plan, fingerprint_of_samples),
        warnings=warnings_of(plan),
    )
    if out is not None and out.exists() and not plan.finished:
        raise Refused(
            f"{out}: already exists, with a result of something else", "choose another"
        )
    return plan


def _prime_frames(samples: Videos, stated: int | None) -> int | None:
    """Prime frames as stated or stored with the samples; None if unknown."""
    if stated is None:
        return samples.prime
    if samples.prime is not None and stated < samples.prime:
        raise Refused(
            f"--prime {stated}: {samples.name} has "
            f"{counted(samples.prime, 'prime frame')}",
            "leave --prime out, or leave out more frames",
        )
    return stated


def _trials(samples: Videos, settings: Compare) -> int:
    """Trials asked for, at most those that there are continuations for."""
    most = samples.continuations // settings.per_prime
    if not most:
        raise Refused(
            f"{samples.name}: {counted(samples.continuations, 'continuation')} of "
            f"each clip, and one trial takes {settings.per_prime}",
            "use --per-prime 1",
        )
    return min(settings.trials, most)


def _check_distances(plan: MetricsPlan) -> None:
    """Refuse videos that are too short or too few for FVD."""
    window, prime = plan.settings.window, plan.first_frame
    if plan.settings.exclude_prime and plan.prime is None:
        raise Refused(
            "--exclude-prime: the number of prime frames of "
            f"{plan.fake.videos.name} is not known",
            "give it with --prime (0 for none)",
        )
    left = max(0, plan.frames - prime)
    few = f"FVD takes {FEWEST_FRAMES} frames or more"
    hint = f"use --window {left}, or longer videos" if left >= FEWEST_FRAMES else few
    if left < window:
        sides = (plan.fake.videos, plan.real.videos)
        short = min(sides, key=lambda side: side.frames)
        after = " after the prime frames" if prime else ""
        found = f"{short.name}: {counted(left, 'frame')}{after}"
        raise Refused(f"{found}, and FVD's window has {window}", hint)
    for side, clips in (
        (plan.real, len(plan.real.rows)),
        (plan.fake, plan.clips_per_trial),
    ):
        if clips < 2:
            raise Refused(
                f"{side.videos.name}: FVD needs a covariance, and one clip has none",
                "take 2 clips or more (256 are usual)",
            )
        if plan.settings.by_clips and clips < FEWEST:
            few = f"--by-clips takes {FEWEST} clips or more, not {clips}"
            raise Refused(f"{side.videos.name}: {few}")
        for metric in map(DISTANCES.get, plan.settings.metrics):
            if metric and clips < metric.fewest:
                raise Refused(
                    f"{side.videos.name}: {metric.label} needs {metric.fewest} clips "
                    f"or more, and there are {clips}"
                )


def _check_paired(plan: MetricsPlan) -> None:
    """Refuse videos that cannot be compared frame by frame."""
    samples, reference = plan.fake.videos, plan.real.videos
    asked = ", ".join(plan.paired)
    H, W, _ = samples.shape
    for name in plan.paired:
        side = PAIRED[name].smallest(plan.settings)
        if min(H, W) < side:
            raise Refused(
                f"{name} needs {side}x{side} pixels and frames are only {H}x{W}",
                f"leave {name} out",
            )
    if samples.count != reference.count:
        raise Refused(
            f"{asked}: video n of {samples.name} should continue clip n of "
            f"{reference.name}, but there are {samples.count} and {reference.count}",
            "give as many of both, in the same order, or leave these metrics out",
        )
    if samples.shape != reference.shape:
        raise Refused(
            f"{asked}: frames of {samples.name} are {list(samples.shape)}, of "
            f"{reference.name} {list(reference.shape)} (height, width, channels)",
            "bring both to one size without loss, or leave these metrics out",
        )
    if plan.prime is None:
        raise Refused(
            f"{asked}: the number of prime frames of {samples.name} is not known",
            "give it with --prime (0 for none): prime frames are not scored",
        )
    refuse_all_prime(plan.prime, plan.frames)


def _fingerprint(plan: MetricsPlan, of_samples: str) -> str:
    """Hash of everything that the numbers depend on; "" where it is not known."""
    samples, reference = plan.fake.videos.facts, plan.real.videos.facts
    if not of_samples and samples is not None and samples == reference:
        of_samples = samples.fingerprint
    if not of_samples:
        return ""
    weights = ""
    if plan.settings.distances:
        weights = fingerprint_file(weights_file(I3D_WEIGHTS, plan.i3d))
    rows = [side.rows.tolist() for side in (plan.fake, plan.real)]
    return fingerprint("compare", plan.settings, plan.prime, of_samples, rows, weights)
