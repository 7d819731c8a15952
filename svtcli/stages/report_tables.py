"""Scores and comparisons of a run as tables and charts of its report page.

Frames are counted from 0, as everywhere on the page.
"""

from svtcli.evaluation.fvd import Spread
from svtcli.evaluation.quality import Quality
from svtcli.figures.page import Table
from svtcli.figures.svg_chart import Chart, Line
from svtcli.stages.comparison import Comparison, Fvd
from svtcli.stages.evaluation import TRAINED, Evaluation

UNITS = {"bits_per_dim": "bits/dim", "nats_per_frame": "nats/frame"}
NAMES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS"}
SCALES = {"psnr": "PSNR, dB", "ssim": "SSIM", "lpips": "LPIPS"}


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
        f"{_count(scored.clips, 'clip')}, frames {scored.prime} to "
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
        f"{_count(scored.clips, 'clip')}; less is better"
    )
    return Chart("Likelihood by frame", "frame", UNITS[scored.unit], lines, where)


def comparison_table(compared: Comparison) -> Table:
    """Mean ± spread of every metric, with its protocol and its warnings."""
    rows = [] if compared.fvd is None else _fvd_rows(compared, compared.fvd)
    for metric, found in compared.quality.items():
        rows += _quality_rows(metric, found, _continued(compared))
    about = (
        f"{_of(compared)}; {_count(compared.samples.clips, 'sample')} a trial against "
        f"{_count(compared.reference.clips, 'clip')}"
    )
    return Table(
        "Samples against clips",
        about,
        ("metric", "value", "±", "over"),
        tuple(rows),
        _protocol(compared),
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


def _continued(compared: Comparison) -> int:
    """Clips that the samples of a trial continue."""
    return compared.samples.clips // compared.per_prime


def _fvd_rows(compared: Comparison, fvd: Fvd) -> list[tuple[str, ...]]:
    """Only what was asked for."""
    found = fvd.distances
    named = (
        ("fvd", "FVD", found.fvd),
        ("fvd-avg", f"FVD, mean of {len(fvd.starts)} windows", found.fvd_avg),
        ("kvd", "KVD", found.kvd),
    )
    return [
        (name, f"{spread.mean:.2f}", _std(spread), _trials(spread))
        for metric, name, spread in named
        if metric in compared.settings.metrics
    ]


def _std(spread: Spread) -> str:
    return "" if spread.std is None else f"{spread.std:.2f}"


def _trials(spread: Spread) -> str:
    trials = len(spread.trials)
    return f"{trials} trials (std)" if trials > 1 else "1 trial"


def _quality_rows(metric: str, found: Quality, clips: int) -> list[tuple[str, ...]]:
    """Mean of K and best of K; of a single one there is only the mean."""
    over = f"{clips} clips (s.e.)" if clips > 1 else "1 clip"

    def row(of: str, mean: float, error: float | None) -> tuple[str, ...]:
        s_e = "" if error is None else f"{error:.3f}"
        return (f"{SCALES[metric]}{of}", f"{mean:.3f}", s_e, over)

    if found.k == 1:
        return [row("", found.mean_of_k, found.mean_error)]
    return [
        row(f", mean of {found.k}", found.mean_of_k, found.mean_error),
        row(f", best of {found.k}", found.best_of_k, found.best_error),
    ]


def _protocol(compared: Comparison) -> tuple[str, ...]:
    """Whatever a reader has to know to compare the numbers with others."""
    frames = f"samples of {compared.samples.frames} frames"
    if compared.prime is not None:
        frames += f", {compared.prime} of them given"
    notes = [frames]
    if made := compared.made:
        drawn = [f"temperature {made.temperature:g}"]
        drawn += [] if made.top_k is None else [f"top-k {made.top_k}"]
        drawn += [] if made.top_p is None else [f"top-p {made.top_p:g}"]
        drawn += [made.precision] if made.precision != "float32" else []
        notes.append(f"{', '.join(drawn)}, seed {made.seed}")
    if fvd := compared.fvd:
        notes += _fvd_notes(fvd)
    notes += [
        f"{_count(found.capped, 'frame')} of {NAMES[metric]} at the cap of 100 dB"
        for metric, found in compared.quality.items()
        if found.capped
    ]
    return tuple(notes)


def _fvd_notes(fvd: Fvd) -> list[str]:
    found = fvd.distances
    floor = (
        "no floor: that takes twice as many clips as samples"
        if fvd.floor is None
        else f"clips against other clips (the floor): {fvd.floor:.2f}"
    )
    network = f"{fvd.resize} resizing to 224, I3D {fvd.weights[:12]}"
    parts = f"means {found.means:.2f} + covariances {found.covariances:.2f}"
    return [
        f"FVD of {fvd.window} frames: {network}, self-test {fvd.constant:.3f}",
        f"FVD is {parts}; {floor}",
    ]


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


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
