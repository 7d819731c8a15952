"""Tables of `svt eval`, also shown by `svt run`: likelihoods, metrics, the paper's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from svtcli.cli import console
from svtcli.recipe.schema import UNITS
from svtcli.run.progress import counted

if TYPE_CHECKING:
    from svtcli.evaluate.fvd.protocol import Spread
    from svtcli.evaluate.paper_table import Line, PaperResult
    from svtcli.evaluate.results import Fvd, LikelihoodResult, MetricsResult

NONE = "-"


def result_text(
    likelihoods: Sequence["LikelihoodResult"],
    metrics: Sequence["MetricsResult"],
    per_frame: bool = False,
) -> str:
    """Tables of all results; `per_frame` adds the scores of each frame and window."""
    tables = [likelihood_table(likelihoods)] if likelihoods else []
    tables += [metrics_table(metrics)] if metrics else []
    if per_frame:
        tables += [likelihood_by_frame(likelihoods)] if likelihoods else []
        tables += [metrics_by_frame(metrics)]
    return "\n\n".join(filter(None, tables))


def likelihood_table(results: Sequence["LikelihoodResult"]) -> str:
    """One row for each model, with everything that its score depends on."""
    rows: list[tuple[object, ...]] = []
    for each in results:
        frames = f"{each.prime} to {each.frames - 1}"
        unit, split = UNITS[each.unit], each.split
        run = f"{each.run}@{each.step}"
        precision = "" if each.precision == "float32" else f" ({each.precision})"
        for row in each.rows:
            error = "" if row.error is None else f"{row.error:.3f}"
            score = (f"{row.model}{precision}", f"{row.mean:.3f}", error)
            clips = row.clips or each.clips
            rows.append((run, *score, unit, split, clips, frames))
        if each.lower_bound is not None:
            bound = (run, "lower bound", f"{each.lower_bound:.3f}", "")
            rows.append((*bound, unit, split, each.clips, frames))
    columns = ("run", "model", "score", "± s.e.", "unit", "split", "clips")
    return console.table((*columns, "scored frames"), rows)


def likelihood_by_frame(results: Sequence["LikelihoodResult"]) -> str:
    """Score of each frame: frames down, models across."""
    labels = [
        (f"{each.run}@{each.step}", each.split, each.precision, UNITS[each.unit])
        for each in results
    ]
    differ = [len(set(values)) > 1 for values in zip(*labels, strict=True)]
    names, columns = [], []
    for each, values in zip(results, labels, strict=True):
        # Values that all have in common stand in the table of the means.
        label = [value for value, other in zip(values, differ, strict=True) if other]
        scored = range(each.prime, each.frames)
        for row in each.rows:
            names.append(" ".join([*label, row.model]))
            columns.append(dict(zip(scored, row.per_frame, strict=True)))
    frames = sorted({frame for column in columns for frame in column})
    rows = [
        (frame, *(f"{each[frame]:.3f}" if frame in each else "" for each in columns))
        for frame in frames
    ]
    return console.table(("frame", *names), rows)


def metrics_table(results: Sequence["MetricsResult"]) -> str:
    """Show all numbers, then the protocol of each set of samples."""
    from svtcli.evaluate.results import metric_rows, protocol_notes

    rows, lines = [], []
    for each in results:
        name, mark = each.samples.name, " !" if each.warnings else ""
        rows += [
            (name, row.metric, row.value + mark, row.spread, row.over, row.of)
            for row in metric_rows(each)
        ]
        lines.append(
            f"{name}: {counted(each.samples.clips, 'sample')} per trial, compared with "
            f"{counted(each.reference.clips, 'clip')} of {each.reference.name}"
        )
        lines += [f"  ! {warning}" for warning in each.warnings]
        lines += [f"  {note}" for note in protocol_notes(each)]
        if each.fvd and (by := each.fvd.by_clips):
            curve = zip(by.clips, by.fvd, strict=True)
            cells = [(clips, f"{value:.2f}") for clips, value in curve]
            lines += ["", console.table(("clips", "FVD of as many"), cells), ""]
    columns = ("samples", "metric", "value", "±", "averaged over", "samples per clip")
    return "\n".join([console.table(columns, rows), "", *lines])


def metrics_by_frame(results: Sequence["MetricsResult"]) -> str:
    """FVD by window (Figure 2) and paired metrics by frame; empty if there are none."""
    tables = []
    for each in results:
        if each.fvd is not None and len(each.fvd.starts) > 1:
            tables.append(_window_table(each.samples.name, each.fvd))
        if each.quality:
            tables.append(_frame_table(each))
        tables += _temporal_tables(each)
    return "\n\n".join(tables)


def _window_table(name: str, fvd: "Fvd") -> str:
    rows = [
        (
            f"{start}-{start + fvd.window - 1}",
            f"{window.mean:.2f}",
            "" if window.std is None else f"{window.std:.2f}",
        )
        for start, window in zip(fvd.starts, fvd.distances.curve, strict=True)
    ]
    return f"{name}\n{console.table(('frames', 'FVD', '± std'), rows)}"


def _frame_table(result: "MetricsResult") -> str:
    """Mean and best of K of each predicted frame."""
    from svtcli.evaluate.metrics import PAIRED

    columns, values = ["frame"], []
    for name, found in result.quality.items():
        label = PAIRED[name].axis_label_under(result.settings)
        columns.append(f"{label} (mean of {found.k})" if found.k > 1 else label)
        values.append(found.mean_per_frame)
        if found.k > 1:
            columns.append(f"best of {found.k}")
            values.append(found.best_per_frame)
    rows = [
        (frame, *(f"{value:.3f}" for value in of_frame))
        for frame, of_frame in enumerate(zip(*values, strict=True), result.prime or 0)
    ]
    return f"{result.samples.name}\n{console.table(columns, rows)}"


def _temporal_tables(result: "MetricsResult") -> list[str]:
    """Samples and clips of each predicted frame, a table for each temporal metric."""
    from svtcli.evaluate.metrics import TEMPORAL

    tables = []
    for name, found in result.temporal.items():
        sides = found.samples.per_frame, found.clips.per_frame
        rows = [
            (frame, *(f"{value:.{TEMPORAL[name].decimals}f}" for value in of_frame))
            for frame, of_frame in enumerate(zip(*sides, strict=True), found.first)
        ]
        table = console.table(("frame", TEMPORAL[name].label, "the clips"), rows)
        tables.append(f"{result.samples.name}\n{table}")
    return tables


def paper_table(lines: Sequence["Line"]) -> str:
    """Our numbers, the paper's below them, and models that the paper compares with."""
    from svtcli.evaluate.paper_table import OTHERS

    rows: list[tuple[str, ...]] = []
    for line in lines:
        rows.append(_ours(line))
        if line.paper:
            rows.append(_published("  the paper", line.split, line.paper))
    kinds = dict.fromkeys(line.checkpoint.recipe.data.kind for line in lines)
    for kind in kinds:
        for name, published in OTHERS.get(kind, {}).items():
            rows.append(_published(name, published.split, published))
    columns = ("model", "split", "likelihood", "FVD", "FVD (avg)", "protocol")
    return console.table(columns, rows)


def paper_data(lines: Sequence["Line"]) -> list[dict[str, Any]]:
    """The same rows for --json."""
    return [
        {
            "run": line.checkpoint.run.name,
            "step": line.checkpoint.step,
            "split": line.split,
            "likelihood": line.likelihood and line.likelihood.mean,
            "fvd": line.fvd and line.fvd.mean,
            "fvd_std": line.fvd and line.fvd.std,
            "fvd_avg": line.fvd_avg and line.fvd_avg.mean,
            "fvd_avg_std": line.fvd_avg and line.fvd_avg.std,
            "protocol": _protocol(line),
            "paper": vars(line.paper) if line.paper else None,
        }
        for line in lines
    ]


def _ours(line: "Line") -> tuple[str, ...]:
    likelihood = NONE
    if line.scored and (row := line.likelihood):
        error = "" if row.error is None else f" ± {row.error:.3f}"
        likelihood = f"{row.mean:.3f}{error} {UNITS[line.scored.unit]}"
    numbers = (likelihood, _spread(line.fvd), _spread(line.fvd_avg))
    return (line.checkpoint.name, line.split, *numbers, _protocol(line))


def _spread(spread: "Spread | None") -> str:
    if spread is None:
        return NONE
    std = "" if spread.std is None else f" ± {spread.std:.1f}"
    return f"{spread.mean:.1f}{std}"


def _protocol(line: "Line") -> str:
    """Protocol of our numbers, in short."""
    parts = []
    if scored := line.scored:
        frames = f"frames {scored.prime}-{scored.frames - 1}"
        parts.append(f"likelihood: {scored.clips} clips, {frames}")
    if (metrics := line.metrics) and (fvd := metrics.fvd):
        temperature = metrics.made.temperature if metrics.made else "?"
        parts.append(
            f"FVD: {metrics.samples.clips} clips x {metrics.trials}, prime "
            f"{metrics.prime}, T {fvd.window} of {metrics.samples.frames}, "
            f"temperature {temperature}, {fvd.resize}"
        )
    else:
        parts.append("no FVD yet: svt eval RUN --metric fvd,fvd-avg")
    return "; ".join(parts)


def _published(name: str, split: str, published: "PaperResult") -> tuple[str, ...]:
    likelihood = NONE if published.likelihood is None else f"{published.likelihood}"
    numbers = (
        NONE
        if spread is None
        else f"{spread[0]:g}" + ("" if spread[1] is None else f" ± {spread[1]:g}")
        for spread in (published.fvd, published.fvd_avg)
    )
    return (name, split, likelihood, *numbers, published.protocol)
