"""How comparisons of samples with clips look in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from svtcli.cli import console

if TYPE_CHECKING:
    from svtcli.evaluate.comparison import Comparison, Fvd

COLUMNS = ("samples", "metric", "value", "±", "over", "of")


def comparison_text(comparisons: Sequence["Comparison"]) -> str:
    """A table of all numbers, then what those of each depend on."""
    from svtcli.evaluate.results import count, findings, protocol

    rows, lines = [], []
    for each in comparisons:
        name = each.samples.name
        rows += [
            (name, found.metric, found.value, found.spread, found.over, found.of)
            for found in findings(each)
        ]
        lines.append(
            f"{name}: {count(each.samples.clips, 'sample')} a trial against "
            f"{count(each.reference.clips, 'clip')} of {each.reference.name}"
        )
        lines += [f"  {note}" for note in protocol(each)]
    return "\n".join([console.table("", COLUMNS, rows), "", *lines])


def curves_text(comparisons: Sequence["Comparison"]) -> str:
    """FVD by window (Figure 2) and the other metrics by frame, counted from 1."""
    tables = []
    for each in comparisons:
        if each.fvd is not None and len(each.fvd.starts) > 1:
            tables.append(_window_table(each, each.fvd))
        if each.quality:
            tables.append(_frame_table(each))
    return "\n\n".join(tables)


def _window_table(each: "Comparison", fvd: "Fvd") -> str:
    """The curve of Figure 2."""
    rows = [
        (
            f"{start + 1}-{start + fvd.window}",
            f"{window.mean:.2f}",
            "" if window.std is None else f"{window.std:.2f}",
        )
        for start, window in zip(fvd.starts, fvd.distances.curve, strict=True)
    ]
    return console.table(each.samples.name, ("frames", "FVD", "± std"), rows)


def _frame_table(each: "Comparison") -> str:
    """Mean and best of K of each predicted frame."""
    from svtcli.evaluate.results import SCALES

    columns, values = ["frame"], []
    for metric, found in each.quality.items():
        several = found.k > 1
        columns.append(f"{SCALES[metric]}{f' (mean of {found.k})' if several else ''}")
        values.append(found.mean_per_frame)
        if several:
            columns.append(f"best of {found.k}")
            values.append(found.best_per_frame)
    first = (each.prime or 0) + 1
    rows = [
        (frame, *(f"{value:.3f}" for value in of_frame))
        for frame, of_frame in enumerate(zip(*values, strict=True), first)
    ]
    return console.table(each.samples.name, columns, rows)
