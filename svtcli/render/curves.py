"""Curves of runs: training, likelihood by frame, unrolled FVD (Fig. 2), pair metrics.

training.png   training and, where a run looked at them, held-out clips
fvd.png        FVD of every window of the samples, ± std over trials; where there is any

The report page shows all of them. A new chart is a function here and a row of `CHARTS`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from math import isfinite
from pathlib import Path

from svtcli.evaluate.metrics import PAIRED
from svtcli.evaluate.results import (
    Fvd,
    LikelihoodResult,
    MetricsResult,
    read_results,
)
from svtcli.failure import Refused
from svtcli.recipe.schema import UNITS
from svtcli.render.groups import LONGEST
from svtcli.render.pictures import Picture, write_pictures
from svtcli.run.directory import RunFolder
from svtcli.run.durable import fingerprint
from svtcli.run.metrics_log import Row, read_metrics
from svtcli.run.names import shortened
from svtcli.run.progress import Progress, counted
from svtcli.video.encode import write_png

POINTS = 400
"""Most points of a training curve; of more rows, means are drawn."""
TELLING = {
    "temperature": "temp {:g}",
    "top_k": "top-k {}",
    "top_p": "top-p {}",
    "precision": "{}",
    "seed": "seed {}",
}
"""Facts of samples that label their curves where they differ."""


@dataclass(frozen=True)
class Curve:
    """One line of a panel; a value that is not finite leaves a gap."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    spread: tuple[float, ...] = ()
    """Half the height of a band around the line; () for none."""
    of: int = 0
    """Number of its run or samples: curves of one number have one colour."""
    quiet: bool = False
    """Draw it pale and thin, behind the others."""
    bars: bool = False
    """Draw `spread` as error bars, not as a band."""
    joined: bool = True
    """Draw a line through the points."""
    aside: float = 0.0
    """Distance in points (1/72 inch) by which it is moved to the right."""


@dataclass(frozen=True)
class Panel:
    """Axes with curves."""

    title: str
    x_name: str
    y_name: str
    curves: tuple[Curve, ...]
    note: str = ""
    """Small print below the title: the protocol."""
    ticks: dict[str, float] | None = None
    """Labels of the x axis and their places; None for whole numbers."""
    log: bool = False
    """Logarithmic x axis."""


@dataclass(frozen=True)
class RunData:
    """Logs and evaluations of one or more runs."""

    names: tuple[str, ...]
    """Distinct names of the runs."""
    logs: tuple[list[Row], ...]
    likelihoods: tuple[LikelihoodResult, ...]
    metrics: tuple[MetricsResult, ...]

    @classmethod
    def read(cls, runs: Sequence[RunFolder]) -> "RunData":
        """Read all files of the runs. Errors: BadData for a broken one."""
        names = [shortened(run.name, LONGEST) for run in runs]
        if len(set(names)) < len(names):
            names = [shortened(str(run.path), LONGEST) for run in runs]
        likelihoods, metrics = read_results(
            file for run in runs for file in evaluation_files(run)
        )
        logs = tuple(read_metrics(run.metrics) for run in runs)
        return cls(tuple(names), logs, tuple(likelihoods), tuple(metrics))

    def of_steps(self, steps: set[int]) -> "RunData":
        """The data without evaluations of other checkpoints."""
        return replace(
            self,
            likelihoods=tuple(each for each in self.likelihoods if each.step in steps),
            metrics=tuple(
                each
                for each in self.metrics
                if each.made is None or each.made.step in steps
            ),
        )


def draw_curves(
    runs: Sequence[RunFolder],
    out: Path,
    progress: Progress,
    force: bool = False,
    dry_run: bool = False,
) -> list[Path]:
    """Draw the curves of the runs into `out`; return the paths, as `stage.render`.

    Errors: Refused where the runs have no curve yet or, without `force`, for a file
    that svt did not draw; BadData for a file of a run.
    """
    panels = panels_by_file(runs)
    if not panels:
        named = ", ".join(str(run.path) for run in runs)
        hint = "curves show the log of a training, and svt eval --metric fvd-avg"
        raise Refused(f"{named}: nothing is logged or measured here yet", hint)
    drawn = {
        name: Picture(partial(_draw, some), fingerprint(*some))
        for name, some in panels.items()
    }
    origin = {"runs": [run.name for run in runs]}
    return write_pictures(drawn, out, origin, progress, force, dry_run)


def any_curves(run: RunFolder) -> bool:
    """Return whether the run has any curve yet."""
    return bool(panels_by_file((run,)))


def _draw(panels: Sequence[Panel], path: Path) -> None:
    from svtcli.render.charts import draw_panels  # matplotlib takes its time

    write_png(path, draw_panels(panels))


def evaluation_files(run: RunFolder) -> list[Path]:
    """Results measured of a run, in a lasting order."""
    return sorted(run.eval.glob("*.json"))


def panels_by_file(runs: Sequence[RunFolder]) -> dict[str, tuple[Panel, ...]]:
    """Panels of each picture that has any."""
    data = RunData.read(runs)
    files = ((file, chart(data)) for chart, file in CHARTS.items() if file)
    return {file: panels for file, panels in files if panels}


def training(data: RunData) -> tuple[Panel, ...]:
    """Scores by step, a panel for each unit."""
    title = f"Training of {data.names[0]}" if len(data.names) == 1 else "Training"
    panels = []
    for score, unit in UNITS.items():
        if curves := tuple(_scores(data, score)):
            points = max(sum(score in row for row in log) for log in data.logs)
            every = _every(points)
            note = f"each point is the mean of {every} logged values"
            shown = note if every > 1 else ""
            panels.append(Panel(title, "step", unit, curves, shown))
    return tuple(panels)


def _scores(data: RunData, score: str) -> Iterator[Curve]:
    """Training scores of each run, pale where there is validation beside them."""
    for number, (name, rows) in enumerate(zip(data.names, data.logs, strict=True)):
        prefix = f"{name}, " if len(data.names) > 1 else ""
        trained = _curve(f"{prefix}training", rows, score, number)
        held_out = _curve(f"{prefix}validation", rows, f"validation_{score}", number)
        if trained:
            yield replace(trained, quiet=held_out is not None)
        if held_out:
            yield held_out


def _curve(label: str, rows: Sequence[Row], name: str, number: int) -> Curve | None:
    """The values called `name`; of too many, means of as many neighbours each."""
    points = [(float(row["step"]), float(row[name])) for row in rows if name in row]
    every = _every(len(points))
    parts = [points[n : n + every] for n in range(0, len(points), every)]
    if not parts:
        return None
    means = [tuple(map(_mean, zip(*part, strict=True))) for part in parts]
    steps, values = zip(*means, strict=True)
    return Curve(label, steps, values, of=number)


def _every(points: int) -> int:
    """Neighbours that become one point of a curve."""
    return max(1, -(-points // POINTS))


def _mean(values: Sequence[float]) -> float:
    """Mean of the finite values; NaN if there are none."""
    finite = [value for value in values if isfinite(value)]
    return sum(finite) / len(finite) if finite else float("nan")


def likelihood(data: RunData) -> tuple[Panel, ...]:
    """Scores of the trained models frame by frame; a panel for each set of clips."""
    # Of each run, step and split, the evaluation of the most clips.
    found = sorted(data.likelihoods, key=lambda each: each.clips)
    fullest = {(each.run, each.step, each.split): each for each in found}
    panels: dict[tuple[str, str, int, int], list[Curve]] = {}
    for each in fullest.values():
        note = f"split {each.split} of {each.dataset}, {counted(each.clips, 'clip')}"
        curves = panels.setdefault((note, each.unit, each.prime, each.frames), [])
        frames = tuple(map(float, range(each.prime, each.frames)))
        label, values = f"{each.run}@{each.step}", each.trained.per_frame
        curves.append(Curve(label, frames, values, of=len(curves)))
    return tuple(
        Panel(
            "Likelihood by frame",
            "frame",
            UNITS[unit],
            tuple(curves),
            f"{note}; lower is better",
        )
        for (note, unit, _, _), curves in panels.items()
    )


def unrolled_fvd(data: RunData) -> tuple[Panel, ...]:
    """FVD window by window, a panel for each protocol: others are not comparable."""
    found = [
        (result, fvd)
        for result in data.metrics
        if (fvd := result.fvd) and len(fvd.starts) > 1
    ]
    # Stable: within a protocol, runs stay in their order.
    found.sort(key=_protocol)
    panels = groupby(found, key=_protocol)
    return tuple(_unrolled_panel(note, list(some)) for (note, _), some in panels)


def _protocol(pair: tuple[MetricsResult, Fvd]) -> tuple[str, str]:
    """Everything that FVD depends on besides the samples, and the network's digest."""
    result, fvd = pair
    facts = (
        *([f"split {result.made.split}"] if result.made else []),
        counted(result.samples.clips, "sample"),
        counted(result.reference.clips, "clip"),
        counted(result.samples.frames, "frame"),
        *([f"{result.prime} of them prime"] if result.prime else []),
        f"windows of {fvd.window}",
        f"{fvd.resize} resizing",
        *([convention] if (convention := result.settings.convention) != "tf" else []),
        *(["gray"] if result.settings.gray else []),
    )
    return ", ".join(facts), fvd.weights


def _unrolled_panel(note: str, found: list[tuple[MetricsResult, Fvd]]) -> Panel:
    labels = _labels([result for result, _ in found])
    curves = tuple(
        Curve(
            label,
            tuple(map(float, fvd.starts)),
            tuple(each.mean for each in fvd.distances.curve),
            # A single trial has no deviation.
            tuple(each.std for each in fvd.distances.curve if each.std is not None),
            of=number,
        )
        for number, (label, (_, fvd)) in enumerate(zip(labels, found, strict=True))
    )
    trials = {result.trials for result, _ in found}
    if max(trials) > 1:
        note += f"; band: ± std of {'/'.join(map(str, sorted(trials)))} trials"
    return Panel("Unrolled FVD", "first frame of the window", "FVD", curves, note)


def fvd_by_clips(data: RunData) -> tuple[Panel, ...]:
    """FVD against the number of clips, and the value of infinitely many."""
    panels = []
    for result in data.metrics:
        if (fvd := result.fvd) and (by := fvd.by_clips):
            limit = f"{by.infinite:.1f} ± {by.error:.1f} for infinitely many clips"
            note = f"{_protocol((result, fvd))[0]}; {limit}"
            curve = Curve(_labels([result])[0], tuple(map(float, by.clips)), by.fvd)
            panels.append(Panel("FVD by clips", "clips", "FVD", (curve,), note))
    return tuple(panels)


def _labels(found: Sequence[MetricsResult]) -> list[str]:
    """Run and step, and the facts in which samples differ; no two alike."""
    each_facts = [result.made for result in found]
    telling = {
        name: words
        for name, words in TELLING.items()
        if len({getattr(facts, name) for facts in each_facts if facts}) > 1
    }
    labels: list[str] = []
    for result, facts in zip(found, each_facts, strict=True):
        label = result.samples.name
        if facts:
            apart = [
                words.format(getattr(facts, name))
                for name, words in telling.items()
                if getattr(facts, name) is not None
            ]
            label = ", ".join([f"{shortened(facts.run, LONGEST)}@{facts.step}", *apart])
        again = sum(other.split(" (")[0] == label for other in labels)
        labels.append(f"{label} ({again + 1})" if again else label)
    return labels


def paired_metrics(data: RunData) -> tuple[Panel, ...]:
    """Mean and best of K of every paired metric, frame by frame."""
    panels = []
    for result in data.metrics:
        for name, found in result.quality.items():
            metric = PAIRED[name]
            first = result.prime or 0
            frames = tuple(float(first + n) for n in range(len(found.mean_per_frame)))
            curves = [Curve(f"mean of {found.k}", frames, found.mean_per_frame)]
            if found.k == 1:
                curves = [replace(curves[0], label="")]
            else:
                best = f"best of {found.k}", frames, found.best_per_frame
                curves.append(Curve(*best, of=1))
            (label,) = _labels([result])
            better = "higher" if metric.higher_is_better else "lower"
            split = f", split {result.made.split}" if result.made else ""
            note = f"{label}{split}; {better} is better"
            title = f"{metric.label_under(result.settings)} by frame"
            axis = metric.axis_label_under(result.settings)
            panels.append(Panel(title, "frame", axis, tuple(curves), note))
    return tuple(panels)


CHARTS: dict[Callable[[RunData], tuple[Panel, ...]], str | None] = {
    training: "training.png",
    likelihood: None,
    unrolled_fvd: "fvd.png",
    fvd_by_clips: None,
    paired_metrics: None,
}
"""Every chart, with the picture that shows it by itself; None: the page alone."""
