"""How comparisons of samples with clips look in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from svtcli.cli import console

if TYPE_CHECKING:
    from svtcli.evaluation.fvd import Spread
    from svtcli.evaluation.quality import Quality
    from svtcli.stages.comparison import Comparison, Fvd

COLUMNS = ("samples", "metric", "value", "±", "over", "of")
UNITS = {"psnr": "PSNR, dB", "ssim": "SSIM", "lpips": "LPIPS"}

Row = tuple[object, ...]


def comparison_text(comparisons: Sequence["Comparison"]) -> str:
    """A table of all numbers, then what those of each depend on."""
    rows = [row for each in comparisons for row in _rows(each)]
    protocols = [line for each in comparisons for line in _protocol(each)]
    return "\n".join([console.table("", COLUMNS, rows), "", *protocols])


def curves_text(comparisons: Sequence["Comparison"]) -> str:
    """FVD by window (Figure 2) and the other metrics by frame, counted from 1."""
    tables = []
    for each in comparisons:
        if each.fvd is not None and len(each.fvd.starts) > 1:
            tables.append(_window_table(each, each.fvd))
        if each.quality:
            tables.append(_frame_table(each))
    return "\n\n".join(tables)


def _rows(each: "Comparison") -> list[Row]:
    name, rows = each.samples.name, []
    if each.fvd is not None:
        rows += _fvd_rows(each, each.fvd)
    for metric, found in each.quality.items():
        rows += _quality_rows(name, metric, found, each.samples.clips // each.per_prime)
    return rows


def _fvd_rows(each: "Comparison", fvd: "Fvd") -> list[Row]:
    """Only what was asked for."""
    found, asked = fvd.distances, each.settings.metrics
    windows = f"{len(fvd.starts)} windows of {fvd.window} frames"
    first = f"the first {fvd.window} frames"

    def row(name: str, spread: "Spread", of: str) -> Row:
        std = "" if spread.std is None else f"{spread.std:.2f}"
        trials = len(spread.trials)
        over = f"{trials} trials (std)" if trials > 1 else "1 trial"
        return (each.samples.name, name, f"{spread.mean:.2f}", std, over, of)

    rows = []
    if "fvd" in asked:
        rows.append(row("FVD", found.fvd, first))
    if "fvd-avg" in asked:
        rows.append(row("FVD (avg)", found.fvd_avg, windows))
    if "kvd" in asked:
        rows.append(row("KVD", found.kvd, first))
    return rows


def _quality_rows(name: str, metric: str, found: "Quality", clips: int) -> list[Row]:
    """Mean of K and best of K; of a single one there is only the mean."""

    def row(of: str, mean: float, error: float | None) -> Row:
        s_e = "" if error is None else f"{error:.3f}"
        over = f"{clips} clips (s.e.)" if clips > 1 else "1 clip"
        return (name, UNITS[metric], f"{mean:.3f}", s_e, over, of)

    capped = f", {found.capped} frames at the cap of 100" if found.capped else ""
    if found.k == 1:
        return [row(f"1 sample each{capped}", found.mean_of_k, found.mean_error)]
    return [
        row(f"mean of {found.k}{capped}", found.mean_of_k, found.mean_error),
        row(f"best of {found.k}", found.best_of_k, found.best_error),
    ]


def _protocol(each: "Comparison") -> list[str]:
    """Whatever a reader has to know to compare the numbers with others."""
    sides = (
        f"{each.samples.name}: {each.samples.clips} samples of {each.samples.frames} "
        f"frames a trial, against {each.reference.clips} clips of "
        f"{each.reference.frames} frames ({each.reference.name})"
    )
    facts = [] if each.prime is None else [f"prime {each.prime}"]
    if made := each.made:
        facts += [f"temperature {made.temperature:g}", f"seed {made.seed}"]
        facts += [f"top-k {made.top_k}"] if made.top_k else []
        facts += [f"top-p {made.top_p:g}"] if made.top_p else []
        facts += [f"split {made.split}", f"made by {made.run}@{made.step}"]
    lines = [sides] + ([f"  {', '.join(facts)}"] if facts else [])
    if fvd := each.fvd:
        lines.append(
            f"  FVD: {fvd.resize} resizing to 224, I3D {fvd.weights[:12]}, self-test "
            f"{fvd.constant:.3f}; means {fvd.distances.means:.2f} + covariances "
            f"{fvd.distances.covariances:.2f}; {_floor(fvd)}"
        )
    return lines


def _floor(fvd: "Fvd") -> str:
    if fvd.floor is None:
        return "no floor: that takes twice as many clips as samples"
    return f"clips against other clips (the floor): {fvd.floor:.2f}"


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
    columns, values = ["frame"], []
    for metric, found in each.quality.items():
        several = found.k > 1
        columns.append(f"{UNITS[metric]}{f' (mean of {found.k})' if several else ''}")
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
