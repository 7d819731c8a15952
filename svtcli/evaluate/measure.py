"""Metrics of samples against reference clips: FVD, FVD (Avg), KVD, PSNR, SSIM, LPIPS.

Both sides may come from any software (`foreign/`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float, Float32, Float64

from svtcli import __version__
from svtcli.evaluate.foreign.videos import Selection
from svtcli.evaluate.fvd.conventions import conventions_of, resizes_of
from svtcli.evaluate.fvd.features import (
    AT_ONCE,
    KEPT_TOGETHER,
    Features,
    load_network,
)
from svtcli.evaluate.fvd.number_of_clips import number_of_clips
from svtcli.evaluate.fvd.protocol import (
    Moments,
    Spread,
    distances,
    frechet,
    trial,
)
from svtcli.evaluate.fvd.statistics import (
    Protocol,
    ReferenceStatistics,
    pixels_sha256,
    write_statistics,
)
from svtcli.evaluate.metrics import PAIRED, TEMPORAL, functions_of_features
from svtcli.evaluate.plan import MetricsPlan
from svtcli.evaluate.quality import Quality
from svtcli.evaluate.results import (
    Fvd,
    MetricsResult,
    Side,
    read_result,
    write_result,
)
from svtcli.evaluate.temporal import Statistic, Temporal
from svtcli.failure import BadData
from svtcli.recipe.schema import Metric
from svtcli.run.progress import Progress, Silent
from svtcli.run.signals import StopSignals
from svtcli.train.backend import start_jax
from svtcli.train.memory import less_for_features, within_memory

NEEDS_LESS_FVD = f"{AT_ONCE} clips", "finished features are kept"
NEEDS_LESS_LPIPS = "a few frames", "FVD's features are kept, LPIPS starts again"

OnClips = Callable[[int], None]
"""Called with the number of clips just done; may raise to stop."""


def measure(plan: MetricsPlan, progress: Progress) -> MetricsResult:
    """Compute all metrics of the plan; an interrupted call resumes when repeated.

    Errors: CheckFailed where FVD's self-test fails; `Stopped`; BadData; OutOfMemory.
    """
    if plan.finished and plan.out is not None:
        progress.note(f"{plan.out}: already measured")
        return read_result(plan.out, MetricsResult)
    start_jax()
    for warning in plan.warnings:
        progress.note(f"note: {warning}")
    with StopSignals() as stop:
        with within_memory("LPIPS", lambda: less_for_features(*NEEDS_LESS_LPIPS)):
            paired = {name: _paired(plan, name, progress, stop) for name in plan.paired}
        temporal = {
            name: _temporal(plan, name, progress, stop) for name in plan.temporal
        }
        with within_memory("FVD", lambda: less_for_features(*NEEDS_LESS_FVD)):
            fvd = _fvd(plan, progress, stop) if plan.settings.distances else None
        result = MetricsResult(
            samples=_side(plan.fake, plan.settings.per_prime, plan.continuations),
            reference=_side(plan.real),
            trials=plan.settings.trials,
            per_prime=plan.settings.per_prime,
            prime=plan.prime,
            settings=plan.settings,
            fvd=fvd,
            quality=paired,
            temporal=temporal,
            made=plan.fake.videos.facts,
            warnings=plan.warnings,
            device=jax.devices()[0].device_kind,
            fingerprint=plan.fingerprint,
            weights=plan.weights,
        )
        if plan.out is not None:
            write_result(plan.out, result)
            stop.saved = f"{plan.out} is complete"
    return result


def _side(side: Selection, per_prime: int = 1, continuations: int = 1) -> Side:
    videos = side.videos
    return Side(
        name=videos.name,
        clips=len(side.rows) * per_prime,
        frames=videos.frames,
        lossy=videos.lossy,
        converted=videos.converted,
        pixels=pixels_sha256(side, continuations),
        fps=videos.fps,
        statistics=videos.sha256 if isinstance(videos, ReferenceStatistics) else None,
    )


def save_statistics(plan: MetricsPlan, path: Path, progress: Progress) -> None:
    """Write the statistics of the reference clips of a plan, for FVD without them.

    Interrupted, it resumes when repeated. Errors: as `measure`.
    """
    start_jax()
    clips = plan.real.videos
    with (
        StopSignals() as stop,
        within_memory("FVD", lambda: less_for_features(*NEEDS_LESS_FVD)),
    ):
        number = len(plan.starts) * len(plan.real.rows)
        with _features_of(plan, number, progress, stop) as (features, count):
            real = _features(plan, plan.real, features, count)
        _check_finite(real, plan.real)
        protocol = Protocol(
            name=clips.name,
            clips=len(plan.real.rows),
            frames=clips.frames,
            shape=clips.shape,
            fps=clips.fps,
            lossy=clips.lossy,
            window=plan.settings.window,
            starts=plan.starts,
            resize=plan.settings.resize,
            prime=plan.prime,
            weights=features[0].network.weights,
            pixels=plan.real.sha256(),
            svt=__version__,
        )
        write_statistics(path, protocol, tuple(map(Moments.of, real)))
        stop.saved = f"{path} is complete"


def _paired(
    plan: MetricsPlan, name: Metric, progress: Progress, stop: StopSignals
) -> Quality:
    """Summarise a paired metric of every frame, video and continuation."""
    values = _paired_values(plan, name, progress, stop)
    return PAIRED[name].summarize(values, plan.prime or 0)


def frame_values(plan: MetricsPlan, name: Metric) -> Float64[np.ndarray, "N K F"]:
    """Compute a paired metric alone, without a result. Errors: OutOfMemory."""
    start_jax()
    with within_memory("LPIPS", lambda: less_for_features(*NEEDS_LESS_LPIPS)):
        return _paired_values(plan, name, Silent(), StopSignals())


def _paired_values(
    plan: MetricsPlan, name: Metric, progress: Progress, stop: StopSignals
) -> Float64[np.ndarray, "N K F"]:
    """Compute a paired metric of every frame, video and continuation."""
    metric = PAIRED[name]
    function = metric.load(plan.settings)
    samples, reference = plan.fake, plan.real
    K = plan.continuations
    values = np.empty((len(samples.rows), K, plan.frames))
    if metric.weights(plan.settings):
        progress.note(f"compiling {metric.label}'s network (the first videos wait)")
    progress.begin(f"scoring {metric.label}", values.shape[0] * K, "videos")
    done = 0
    try:
        for start in range(0, len(values), KEPT_TOGETHER):
            rows = slice(start, start + KEPT_TOGETHER)
            truth = reference.read(rows, 0, plan.frames)
            for k in range(K):
                video = samples.read(rows, k, plan.frames)
                values[rows, k] = function(video, truth)
                done += len(video)
                progress.advance(done)
                stop.check(f"{name} starts again, FVD's features are kept")
    finally:
        progress.end()
    return values


def _temporal(
    plan: MetricsPlan, name: Metric, progress: Progress, stop: StopSignals
) -> Temporal:
    """Summarise a temporal metric of the samples and of the clips."""
    metric, K = TEMPORAL[name], plan.settings.trials * plan.settings.per_prime
    sides = ((plan.fake, K), (plan.real, 1))
    first = metric.first(plan.prime, plan.frames, plan.fake.videos.name)
    progress.begin(metric.label, sum(len(side.rows) * k for side, k in sides), "videos")
    done, found = 0, []
    try:
        for side, continuations in sides:
            values = np.empty((len(side.rows), continuations, plan.frames - first))
            for row, k in np.ndindex(values.shape[:2]):
                (video,) = side.read(slice(row, row + 1), k, plan.frames)
                values[row, k] = metric.function(video[first - metric.lead :])
                done += 1
                progress.advance(done)
                stop.check(f"{name} starts again, FVD's features are kept")
            found.append(Statistic.over(values))
    finally:
        progress.end()
    samples, clips = found
    return Temporal(samples, clips, first)


def _fvd(plan: MetricsPlan, progress: Progress, stop: StopSignals) -> Fvd:
    """Compute FVD and KVD, with progress in clips whose features are there."""
    settings = plan.settings
    clips = settings.trials * plan.clips_per_trial
    if not isinstance(plan.real.videos, ReferenceStatistics):
        clips += len(plan.real.rows)
    clips *= len(plan.starts)
    if plan.real_halves and not _are_among_real(plan.real_halves, plan):
        clips += len(plan.real_halves.rows)
    with _features_of(plan, clips, progress, stop) as (features, on_clips):
        return _distances(plan, features, progress, on_clips)


@contextmanager
def _features_of(
    plan: MetricsPlan, clips: int, progress: Progress, stop: StopSignals
) -> Iterator[tuple[tuple[Features, ...], OnClips]]:
    """Yield the features by each rule, and the counter of clips whose are there."""
    network = load_network(plan.i3d, progress)
    features = tuple(
        Features.on_all_devices(network, resize)
        for resize in resizes_of(conventions_of(plan.settings))
    )
    done = 0

    def on_clips(number: int) -> None:
        nonlocal done
        done += number
        progress.advance(done)
        stop.check(f"the features of {done} of {clips} clips are kept")

    progress.note("compiling FVD's network (the first features wait for it)")
    progress.begin("features", clips, "clips")
    try:
        yield features, on_clips
    finally:
        progress.end()


def _distances(
    plan: MetricsPlan,
    features: Sequence[Features],
    progress: Progress,
    on_clips: OnClips,
) -> Fvd:
    """Distances of all trials, and FVD of other clips and between trials.

    `features` are those of the convention of `fvd`, then of the others. Errors: BadData
    for features that are not finite.
    """
    trials, per_prime = plan.settings.trials, plan.settings.per_prime
    conventions = conventions_of(plan.settings)
    resizes = resizes_of(conventions)
    reals = _real(plan, features, on_clips)
    real = reals[0]
    ddof = next(iter(conventions.values())).ddof
    by_convention: dict[str, list[float]] = {name: [] for name in conventions}
    by_clips = None
    others = functions_of_features(plan.settings.metrics)
    found, between = [], list[float]()
    before: Float32[np.ndarray, "n D"] | None = None
    for number in range(trials):
        all_fake = np.concatenate(
            [
                _features(plan, plan.fake, features, on_clips, continuation)
                for continuation in range(number * per_prime, (number + 1) * per_prime)
            ],
            axis=1,
        )
        _check_finite(all_fake, plan.fake)
        fakes = np.split(all_fake, len(resizes), axis=-1)
        fake = fakes[0]
        found.append(trial(real, fake, others, ddof))
        for name, each in conventions.items():
            at, measured = resizes.index(each.resize), found[-1].windows[0]
            if (at, each.ddof) != (0, ddof):
                measured = frechet(reals[at][0], fakes[at][0], each.ddof)
            by_convention[name].append(measured.distance)
        of_clips = real[0]
        if plan.settings.by_clips and not number and not isinstance(of_clips, Moments):
            by_clips = number_of_clips(of_clips, fake[0], ddof)
        # As many samples in place of the clips as there are clips.
        instead, before = before, fake[0, : len(plan.fake.rows)]
        if instead is not None and len(instead) == len(plan.real.rows):
            between.append(frechet(instead, fake[0], ddof).distance)
        progress.note(
            f"trial {number + 1} of {trials}: FVD {found[-1].windows[0].distance:.2f}, "
            f"so far {distances(found).fvd.mean:.2f}"
        )
    unpaired = None
    if not isinstance(real, tuple):
        unpaired = _real_against_real(plan, real[0], features, ddof, on_clips)
    network = features[0].network
    return Fvd(
        distances=distances(found),
        window=plan.settings.window,
        starts=plan.starts,
        resize=features[0].resize,
        weights=network.weights,
        constant=network.constant,
        unpaired_floor=unpaired,
        between_trials=float(np.mean(between)) if between else None,
        conventions={
            name: Spread.over(trials) for name, trials in by_convention.items()
        },
        by_clips=by_clips,
    )


def _real(
    plan: MetricsPlan, features: Sequence[Features], on_clips: OnClips
) -> Sequence[Float32[np.ndarray, "K n D"]] | tuple[tuple[Moments, ...]]:
    """Features of the reference clips by each rule, or their moments from a file."""
    if isinstance(plan.real.videos, ReferenceStatistics):
        return (plan.real.videos.moments_at(plan.starts),)
    real = _features(plan, plan.real, features, on_clips)
    _check_finite(real, plan.real)
    return np.split(real, len(features), axis=-1)


def _real_against_real(
    plan: MetricsPlan,
    real: Float32[np.ndarray, "n D"],
    features: Sequence[Features],
    ddof: int,
    on_clips: OnClips,
) -> float | None:
    """FVD of two halves of real clips, each with as many clips as a trial."""
    halves = plan.real_halves
    if halves is None:
        return None
    if _are_among_real(halves, plan):
        clips = real[np.searchsorted(plan.real.rows, halves.rows)]
    else:
        first_window = plan.starts[:1]
        clips = _features(plan, halves, features[:1], on_clips, 0, first_window)[0]
    return frechet(clips[::2], clips[1::2], ddof).distance


def _are_among_real(halves: Selection, plan: MetricsPlan) -> bool:
    """True if features of these clips are computed anyway."""
    same = halves.videos is plan.real.videos
    return same and bool(np.isin(halves.rows, plan.real.rows).all())


def _features(
    plan: MetricsPlan,
    side: Selection,
    features: Sequence[Features],
    on_clips: OnClips,
    continuation: int = 0,
    starts: tuple[int, ...] | None = None,
) -> Float32[np.ndarray, "K n D"]:
    """Features of every window, those of each rule for frames side by side.

    Only a few videos are in memory at a time, each read once.
    """
    starts, window = plan.starts if starts is None else starts, plan.settings.window
    parts = []
    for first in range(0, len(side.rows), KEPT_TOGETHER):
        rows = slice(first, first + KEPT_TOGETHER)
        video = side.read(rows, continuation, starts[-1] + window)
        of_windows = []
        for start in starts:
            frames = video[:, start : start + window]
            of_rules = [each.of(frames) for each in features]
            of_windows.append(np.concatenate(of_rules, axis=-1))
            on_clips(len(video))
        parts.append(np.stack(of_windows))
    return np.concatenate(parts, axis=1)


def _check_finite(features: Float[np.ndarray, "K n D"], side: Selection) -> None:
    """Refuse NaN and infinity, which would make FVD meaningless."""
    finite = np.isfinite(features).all(axis=(0, 2))
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        raise BadData(
            f"{side.videos.name}: features of {int((~finite).sum())} of {len(finite)} "
            f"clips are not finite, first of clip {first}",
            "use the published weights, or look for a fault of this device",
        )
