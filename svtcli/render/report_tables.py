"""Scores and comparisons of a run as tables and charts of its report page.

Frames are counted from 0, as everywhere on the page.
"""

from svtcli.evaluate.comparison import Comparison, Fvd
from svtcli.evaluate.likelihood_results import TRAINED, Evaluation
from svtcli.evaluate.quality import Quality
from svtcli.evaluate.results import NAMES, SCALES, count, findings, protocol
from svtcli.render.page import Table
from svtcli.render.svg_chart import Chart, Line

UNITS = {"bits_per_dim": "bits/dim", "nats_per_frame": "nats/frame"}


def likelihood_table(scored: Evaluation) -> Table:
    """Each model's score, mean ± standard error over clips; the baselines' too."""
    unit = UNITS[scored.unit]
    rows = [
        (row.model, f"{row.mean:.3f}", "" if row.error is None else f"{row.error:.3f}")
        for row in scored.rows
    ]
    if scored.lower_bound is not None:
        rows.append(("lower bound", f"{scored.lower_bound:.3f}", ""))
    about = (
        f"{scored.run}@{scored.step}, split {scored.split} of {scored.dataset}, "
        f"{count(scored.clips, 'clip')}, frames {scored.prime} to "
        f"{scored.frames - 1} scored; less is better"
    )
    short = (
        (f"computed in {scored.precision}",) if scored.precision != "float32" else ()
    )
    columns = ("model", unit, "± s.e.")
    return Table(f"Likelihood, {unit}", about, columns, tuple(rows), short)


def likelihood_chart(scored: Evaluation) -> Chart:
    """The trained model's score of each frame."""
    frames = tuple(map(float, range(scored.prime, scored.frames)))
    lines = tuple(
        Line("", frames, row.per_frame) for row in scored.rows if row.model == TRAINED
    )
    where = (
        f"{scored.run}@{scored.step}, split {scored.split}, "
        f"{count(scored.clips, 'clip')}; less is better"
    )
    return Chart("Likelihood by frame", "frame", UNITS[scored.unit], lines, where)


def comparison_table(compared: Comparison) -> Table:
    """Mean ± spread of every metric, with its protocol and its warnings."""
    rows = tuple(
        (f"{each.metric}, {each.of}", each.value, each.spread, each.over)
        for each in findings(compared)
    )
    about = (
        f"{_of(compared)}; {count(compared.samples.clips, 'sample')} a trial against "
        f"{count(compared.reference.clips, 'clip')}"
    )
    return Table(
        "Samples against clips",
        about,
        ("metric", "value", "±", "over"),
        rows,
        protocol(compared),
        compared.warnings,
    )


def comparison_charts(compared: Comparison) -> tuple[Chart, ...]:
    """FVD of each window (Figure 2), then every other metric by frame."""
    charts = []
    if compared.fvd is not None and len(compared.fvd.starts) > 1:
        charts.append(_window_chart(compared, compared.fvd))
    for metric, found in compared.quality.items():
        charts.append(_frame_chart(compared, metric, found))
    return tuple(charts)


def _of(compared: Comparison) -> str:
    """Which samples they are."""
    if made := compared.made:
        return f"{made.run}@{made.step}, split {made.split}"
    return compared.samples.name


def _window_chart(compared: Comparison, fvd: Fvd) -> Chart:
    """Unrolled FVD, ± the standard deviation over trials."""
    curve = fvd.distances.curve
    spread = tuple(each.std or 0.0 for each in curve)
    several = any(each.std is not None for each in curve)
    line = Line(
        "",
        tuple(map(float, fvd.starts)),
        tuple(each.mean for each in curve),
        spread if several else (),
    )
    note = f"{_of(compared)}; windows of {fvd.window} frames" + (
        f"; band: ± std of {len(curve[0].trials)} trials" if several else ""
    )
    return Chart("FVD by window", "first frame of the window", "FVD", (line,), note)


def _frame_chart(compared: Comparison, metric: str, found: Quality) -> Chart:
    """Mean of K and best of K of each predicted frame."""
    first = compared.prime or 0
    frames = tuple(float(first + n) for n in range(len(found.mean_per_frame)))
    if found.k == 1:
        lines: tuple[Line, ...] = (Line("", frames, found.mean_per_frame),)
    else:
        lines = (
            Line(f"mean of {found.k}", frames, found.mean_per_frame),
            Line(f"best of {found.k}", frames, found.best_per_frame),
        )
    better = "less" if metric == "lpips" else "more"
    note = f"{_of(compared)}; {better} is better"
    return Chart(f"{NAMES[metric]} by frame", "frame", SCALES[metric], lines, note)
