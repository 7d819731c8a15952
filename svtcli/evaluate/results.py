"""Results of an evaluation, their files in `eval/`, and metrics in words.

`LikelihoodResult` holds the likelihood of held-out clips, `MetricsResult` the metrics
of samples against reference clips; both are stored and printed in one JSON form.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, Field, TypeAdapter, ValidationError

from svtcli.evaluate.fvd.number_of_clips import NumberOfClips
from svtcli.evaluate.fvd.protocol import KERNEL, Distances, Spread
from svtcli.evaluate.metrics import (
    DISTANCES,
    PAIRED,
    TEMPORAL,
    DistanceMetric,
    TemporalMetric,
)
from svtcli.evaluate.quality import Quality
from svtcli.evaluate.temporal import Statistic, Temporal
from svtcli.failure import BadData
from svtcli.recipe.schema import Compare, Metric
from svtcli.run.durable import read_record, write_record
from svtcli.run.progress import counted
from svtcli.run.samples import SampleFacts

AWAY = "move it away, and svt eval computes it again"
TRAINED = "trained"
"""Name of the trained model among the baselines."""


@dataclass(frozen=True)
class ModelScore:
    """Likelihood of the clips under one model."""

    model: str
    """`trained`, or the baseline's name."""
    mean: float
    error: float | None
    """Standard error of the mean over clips; None for a single clip."""
    per_frame: tuple[float, ...]
    clips: int | None = None
    """Number of clips, where they are fewer than those of the result."""


@dataclass(frozen=True)
class LikelihoodResult:
    """Likelihood of held-out clips with its protocol; contents of `eval/*.json`."""

    run: str
    step: int
    unit: str
    """`bits_per_dim` or `nats_per_frame`."""
    dataset: str
    """Name of the clips' folder."""
    split: str
    clips: int
    prime: int
    frames: int
    overlap: int
    rows: tuple[ModelScore, ...]
    lower_bound: float | None
    """Deterministic loss: the lowest nats/frame that any model can reach (A.1)."""
    fingerprint: str
    precision: str = "float32"
    """Data type of the networks' matrix products."""

    @property
    def trained(self) -> ModelScore:
        """Score of the trained model."""
        return next(row for row in self.rows if row.model == TRAINED)


@dataclass(frozen=True)
class Side:
    """One of the two sets of videos: the samples or the reference clips."""

    name: str
    clips: int
    """N; of samples, in one trial."""
    frames: int
    """Frames of each video; the windows say how many of them count."""
    lossy: bool = False
    converted: str = ""
    """Stated order of axes and range of numbers; empty for bytes as svt writes them."""
    pixels: str = ""
    """SHA-256 of all pixels (`Selection.sha256`)."""
    fps: float | None = None
    """Frames a second; None if unknown."""
    statistics: str | None = None
    """SHA-256 of the file of statistics that stood for the clips."""


@dataclass(frozen=True)
class Fvd:
    """FVD and KVD with their protocol."""

    distances: Distances
    window: int
    """T: frames that the network sees at once."""
    starts: tuple[int, ...]
    """First frame of each window."""
    resize: str
    weights: str
    """SHA-256 of the network's file."""
    constant: float
    """Self-test of this network on this machine: 152.90."""
    unpaired_floor: Annotated[
        float | None, Field(validation_alias=AliasChoices("unpaired_floor", "floor"))
    ]
    """FVD of real clips against as many other real clips; None for too few clips.

    Samples that continue the clips themselves may come out below."""
    between_trials: float | None = None
    """FVD of the samples of one trial against those of the next, which continue the
    same clips: the expected FVD if the clips were one more trial of the model."""
    kernel: str = KERNEL
    """Kernel of KVD."""
    conventions: dict[str, Spread] = field(default_factory=dict)
    """FVD under each convention that was asked for."""
    by_clips: NumberOfClips | None = None
    """FVD by number of clips; None unless asked for."""


@dataclass(frozen=True)
class MetricsResult:
    """Metrics of samples against reference clips; contents of `eval/*.json`."""

    samples: Side
    reference: Side
    trials: int
    per_prime: int
    prime: int | None
    """Prime frames; None if unknown."""
    settings: Compare
    fvd: Fvd | None
    quality: dict[Metric, Quality]
    """Paired metrics by name."""
    made: SampleFacts | None
    """Sampling settings; None for samples of other software."""
    warnings: tuple[str, ...]
    """Reasons why the numbers may not be comparable with others."""
    device: str
    fingerprint: str
    temporal: dict[Metric, Temporal] = field(default_factory=dict)
    """Temporal metrics by name."""
    weights: dict[Metric, str] = field(default_factory=dict)
    """SHA-256 of the network's file of each paired metric that has one."""
    kind: str = "comparison"
    """Tells the file from one of likelihoods."""


Result = TypeVar("Result", LikelihoodResult, MetricsResult)
_JSON: dict[type[Any], TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (LikelihoodResult, MetricsResult)
}


def result_data(result: LikelihoodResult | MetricsResult) -> dict[str, object]:
    """JSON object of a result, as in its file and as printed by --json."""
    data: dict[str, object] = _JSON[type(result)].dump_python(result, mode="json")
    return data


def write_result(path: Path, result: LikelihoodResult | MetricsResult) -> None:
    """Write a result's file, whole or not at all."""
    write_record(path, result_data(result))


def read_result(path: Path, kind: type[Result]) -> Result:
    """Read the file of a result. Errors: BadData for any other file."""
    return _result(path, read_record(path, AWAY), kind)


def read_results(
    paths: Iterable[Path],
) -> tuple[list[LikelihoodResult], list[MetricsResult]]:
    """Read files of both kinds, in their order. Errors: as `read_result`."""
    likelihoods, metrics = [], []
    for path in paths:
        values = read_record(path, AWAY)
        if values.get("kind") == MetricsResult.kind:
            metrics.append(_result(path, values, MetricsResult))
        else:
            likelihoods.append(_result(path, values, LikelihoodResult))
    return likelihoods, metrics


def _result(path: Path, values: dict[str, Any], kind: type[Result]) -> Result:
    try:
        result: Result = _JSON[kind].validate_python(values)
        return result
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"not an evaluation of this version ({where}: {first['msg']})"
        raise BadData(f"{path}: {what}", AWAY) from error


@dataclass(frozen=True)
class MetricRow:
    """One number of a `MetricsResult` in words."""

    metric: str
    of: str
    """Frames, windows or samples that the number is about."""
    value: str
    spread: str
    """± a standard deviation or error; empty where there is none."""
    over: str
    """Population of `spread`: trials (std) or clips (standard error)."""


def metric_rows(result: MetricsResult) -> list[MetricRow]:
    """Distances between the two sets, then paired metrics: those asked for."""
    rows = []
    if fvd := result.fvd:
        first = _window_in_words(result.prime, fvd)
        every = f"{counted(len(fvd.starts), 'window')} of {fvd.window} frames"
        for name, distance in DISTANCES.items():
            if name in result.settings.metrics:
                of = every if distance.all_windows else first
                spread = distance.select(fvd.distances)
                rows.append(_distance_row(distance, of, spread))
            if name == "fvd" and len(fvd.conventions) > 1:
                rows += [
                    replace(_distance_row(distance, first, spread), metric=f"FVD, {by}")
                    for by, spread in fvd.conventions.items()
                    if by != "tf"
                ]
    clips = result.samples.clips // result.per_prime
    for name, found in result.quality.items():
        rows += _paired_rows(
            PAIRED[name].axis_label_under(result.settings), found, clips
        )
    K = result.trials * result.per_prime
    for name, both in result.temporal.items():
        metric = TEMPORAL[name]
        of = f"mean of {K}" if K > 1 else "1 sample each"
        rows += [
            _temporal_row(metric, of, both.samples, clips),
            _temporal_row(metric, "the clips", both.clips, result.reference.clips),
        ]
    return rows


def _window_in_words(prime: int | None, fvd: Fvd) -> str:
    """Frames of the first window; whether prime frames are among them, if known."""
    if prime and fvd.starts[0] >= prime:
        return f"{fvd.window} frames after the prime frames"
    included = f", {counted(prime, 'prime frame')} included" if prime else ""
    if prime and prime >= fvd.window:
        included = ", all of them prime frames"
    return f"the first {fvd.window} frames{included}"


def protocol_notes(result: MetricsResult) -> tuple[str, ...]:
    """Everything needed to compare the numbers with others'."""
    frames = f"samples of {result.samples.frames} frames"
    if result.prime is not None:
        frames += f", {counted(result.prime, 'prime frame')}"
    if result.reference.frames != result.samples.frames:
        frames += f"; clips of {result.reference.frames}"
    notes = [frames]
    notes += [
        f"{what} read as {side.converted}"
        for what, side in (("samples", result.samples), ("clips", result.reference))
        if side.converted
    ]
    if facts := result.made:
        rule = ", ".join(facts.sampling_rule)
        notes.append(
            f"{rule}, seed {facts.seed}, split {facts.split}, "
            f"sampled from {facts.run}@{facts.step}"
        )
    if statistics := result.reference.statistics:
        notes.append(
            f"statistics {statistics[:12]} in place of the clips, which the floor needs"
        )
    if fvd := result.fvd:
        found = fvd.distances
        floor = (
            "the floor of unpaired clips needs twice as many clips as samples"
            if fvd.unpaired_floor is None
            else f"floor of unpaired clips (real against other real clips): "
            f"{fvd.unpaired_floor:.2f}"
        )
        network = f"I3D {fvd.weights[:12]}, self-test {fvd.constant:.3f}"
        parts = f"means {found.means:.2f} + covariances {found.covariances:.2f}"
        how = f"convention {result.settings.convention}, {fvd.resize} resizing to 224"
        notes += [
            f"FVD of {fvd.window} frames: {how}, {network}",
            f"FVD is {parts}; {floor}",
        ]
        if fvd.between_trials is not None:
            notes.append(
                "samples of one trial against those of the next, which continue the "
                f"same clips: {fvd.between_trials:.2f}"
            )
        if by := fvd.by_clips:
            low, high = by.interval
            notes.append(
                f"first trial: 95 % interval of FVD {low:.2f} to {high:.2f} (bootstrap "
                f"over clips); infinitely many clips (linear in 1/N): "
                f"{by.infinite:.2f} ± {by.error:.2f}"
            )
        if "kvd" in result.settings.metrics:
            notes.append(f"KVD: kernel {fvd.kernel}, unbiased")
    for name, sha256 in result.weights.items():
        label = PAIRED[name].label_under(result.settings)
        notes.append(f"{label}: weights {sha256[:12]}")
    for name, paired in result.quality.items():
        if paired.capped:
            metric = PAIRED[name]
            cap = f"{metric.cap:g} {metric.unit}".rstrip()
            notes.append(
                f"{counted(paired.capped, 'frame')} of {metric.label} at the cap "
                f"of {cap}"
            )
    return tuple(notes)


def _distance_row(metric: DistanceMetric, of: str, spread: Spread | None) -> MetricRow:
    if spread is None:
        return MetricRow(metric.label, of, "-", "", "needs 2 windows or more")
    trials = len(spread.trials)
    over = f"{trials} trials (std)" if trials > 1 else "1 trial"
    std = "" if spread.std is None else f"{spread.std:.{metric.decimals}f}"
    return MetricRow(metric.label, of, f"{spread.mean:.{metric.decimals}f}", std, over)


def _temporal_row(
    metric: TemporalMetric, of: str, found: Statistic, clips: int
) -> MetricRow:
    over = f"{clips} clips (s.e.)" if clips > 1 else "1 clip"
    spread = "" if found.error is None else f"{found.error:.{metric.decimals}f}"
    value = f"{found.mean:.{metric.decimals}f}"
    return MetricRow(metric.label, of, value, spread, over)


def _paired_rows(label: str, found: Quality, clips: int) -> list[MetricRow]:
    """Mean of K and best of K; one row for K = 1."""
    over = f"{clips} clips (s.e.)" if clips > 1 else "1 clip"

    def row(of: str, mean: float, error: float | None) -> MetricRow:
        spread = "" if error is None else f"{error:.3f}"
        return MetricRow(label, of, f"{mean:.3f}", spread, over)

    if found.k == 1:
        return [row("1 sample each", found.mean_of_k, found.mean_error)]
    return [
        row(f"mean of {found.k}", found.mean_of_k, found.mean_error),
        row(f"best of {found.k}", found.best_of_k, found.best_error),
    ]
