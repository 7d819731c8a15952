"""The report page: one HTML file with everything inside, which plays without a network.

It shows samples, and their runs' numbers, curves and recipes; of samples that lie in no
run the videos alone.

Frames are PNG sprites in data: addresses, drawn by the page's own script; its
Content-Security-Policy allows nothing else to load or run. The template
(page.html.jinja) escapes all text.
"""

import shlex
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from math import ceil, isfinite
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from svtcli import __version__
from svtcli.evaluate.results import (
    LikelihoodResult,
    MetricsResult,
    metric_rows,
    protocol_notes,
)
from svtcli.recipe.schema import UNITS, Render
from svtcli.render.curves import CHARTS, Curve, Panel, RunData
from svtcli.render.groups import Group, Row, runs_of
from svtcli.render.lead import lead
from svtcli.run.directory import RunFolder, read_run
from svtcli.run.progress import counted
from svtcli.run.samples import read_facts
from svtcli.video.encode import png

_HERE = Path(__file__).parent
WIDEST = 4096
"""Width of a sprite that any browser takes; frames beyond go on further lines."""
MOST_ACROSS = 6
"""Most videos of a clip in a line."""
LISTED = 64
"""Most points of a chart whose numbers are listed below it."""


@dataclass(frozen=True)
class Table:
    """Numbers with their protocol."""

    title: str
    about: str
    """Small print below the title."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Protocol of the measurement."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Command, recipe and environment of a run."""

    name: str
    command: str
    recipe: str
    environment: dict[str, str]


@dataclass(frozen=True)
class Page:
    """Contents of the page; sections that are empty or None are left out."""

    title: str
    about: str
    lead: tuple[str, ...] = ()
    """Sentences that say what one sees."""
    facts: tuple[str, ...] = ()
    """Caption of the samples."""
    groups: tuple[Group, ...] = ()
    """Videos that play, of one shape and one prime."""
    times: tuple[int, ...] = ()
    """Frames shown by the strips below them."""
    settings: Render = field(default_factory=Render)
    """Scale, blur and speed of the videos."""
    tables: tuple[Table, ...] = ()
    panels: tuple[Panel, ...] = ()
    origins: tuple[Origin, ...] = ()
    """One for each run."""
    version: str = ""
    """Version of svt."""


def report(
    folders: Sequence[Path],
    groups: tuple[Group, ...],
    facts: tuple[str, ...],
    times: tuple[int, ...],
    settings: Render,
) -> Page:
    """Everything on the page; `groups`, `facts` and `times` as in other pictures.

    Errors: BadData for a broken file of a run.
    """
    return replace(
        report_of_runs(folders),
        lead=lead(groups, [read_facts(folder) for folder in folders]),
        facts=facts,
        groups=groups,
        times=times,
        settings=settings,
    )


def report_of_runs(folders: Sequence[Path]) -> Page:
    """The page without its samples. Errors: those of `report`."""
    runs = runs_of(folders)
    facts, data = [read_facts(folder) for folder in folders], RunData.read(runs)
    drawn = data.of_steps({each.step for each in facts})
    return Page(
        title=" vs. ".join(f"{each.run} (step {each.step})" for each in facts),
        about="; ".join(dict.fromkeys(run.recipe().about for run in runs)),
        tables=_tables(data),
        panels=tuple(panel for chart in CHARTS for panel in chart(drawn)),
        origins=tuple(map(_origin, runs)),
        version=__version__,
    )


def _tables(data: RunData) -> tuple[Table, ...]:
    """Tables of all evaluations: likelihoods, then metrics; the latest step first."""
    likelihoods = sorted(data.likelihoods, key=lambda each: -each.step)
    metrics = sorted(
        data.metrics, key=lambda each: -(each.made.step if each.made else 0)
    )
    return (*map(likelihood_table, likelihoods), *map(metrics_table, metrics))


def likelihood_table(result: LikelihoodResult) -> Table:
    """Score of each model and baseline, mean ± standard error over clips."""
    unit = UNITS[result.unit]
    rows = [
        (
            row.model
            if row.clips is None
            else f"{row.model} ({counted(row.clips, 'clip')})",
            f"{row.mean:.3f}",
            "" if row.error is None else f"{row.error:.3f}",
        )
        for row in result.rows
    ]
    if result.lower_bound is not None:
        rows.append(("lower bound", f"{result.lower_bound:.3f}", ""))
    about = (
        f"{result.run}@{result.step}, split {result.split} of {result.dataset}, "
        f"{counted(result.clips, 'clip')}, frames {result.prime} to "
        f"{result.frames - 1} scored; lower is better"
    )
    unusual = result.precision != "float32"
    return Table(
        f"Likelihood, {unit}",
        about,
        ("model", unit, "± s.e."),
        tuple(rows),
        (f"computed in {result.precision}",) if unusual else (),
    )


def metrics_table(result: MetricsResult) -> Table:
    """Mean ± spread of every metric, with its protocol and its warnings."""
    facts = result.made
    name = f"{facts.run}@{facts.step}, split {facts.split}" if facts else None
    return Table(
        "Samples against clips",
        f"{name or result.samples.name}; {counted(result.samples.clips, 'sample')} "
        f"per trial, compared with {counted(result.reference.clips, 'clip')}",
        ("metric", "value", "±", "averaged over"),
        tuple(
            (f"{each.metric}, {each.of}", each.value, each.spread, each.over)
            for each in metric_rows(result)
        ),
        protocol_notes(result),
        result.warnings,
    )


def _origin(run: RunFolder) -> Origin:
    """Command, recipe and environment."""
    recipe, facts = run.recipe_file.read_text(encoding="utf-8"), read_run(run)
    overrides = {"overrides": " ".join(facts.overrides)} if facts.overrides else {}
    commit = {"svt's commit": facts.git_commit} if facts.git_commit else {}
    environment = {
        "recipe": f"{facts.recipe} ({facts.recipe_fingerprint[:12]})",
        **overrides,
        "seed": f"{facts.seed}",
        "devices": ", ".join(facts.devices),
        "clips": facts.data_fingerprint[:12],
        **commit,
        **facts.versions,
    }
    return Origin(run.name, shlex.join(facts.command), recipe, environment)


def page_html(page: Page) -> str:
    """The whole file as text, to be stored as UTF-8."""
    style, script = (
        _HERE.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    style = _sizes(page) + style
    text = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            page=page,
            policy=_policy(style, script),
            style=Markup(style),  # noqa: S704 (files of this package)
            script=Markup(script),  # noqa: S704
        )
    )
    return text.strip() + "\n"


def _sizes(page: Page) -> str:
    """Sizes that the style of this page's videos depends on."""
    if not page.groups:
        return ""
    videos = max(len(group.rows) for group in page.groups)
    across = ceil(videos / ceil(videos / MOST_ACROSS))
    F, _, W, _ = page.groups[0].rows[0].video.shape
    return (
        f":root {{ --width: {W}px; --scale: {page.settings.scale}; "
        f"--across: {across}; --digits: {len(str(F - 1))}; }}\n"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions = (sprite, data_address, arrow_pairs, chart, numbers)
    environment.globals |= {each.__name__: each for each in functions}
    return environment


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere: only this script, this style, and pictures in the page."""

    def allowed(text: str) -> str:
        digest = b64encode(sha256(text.encode()).digest()).decode()
        return f"'sha256-{digest}'"

    return (
        f"default-src 'none'; img-src data:; style-src {allowed(style)}; "
        f"script-src {allowed(script)}; base-uri 'none'; form-action 'none'"
    )


def sprite(video: UInt8[np.ndarray, "F H W C"]) -> UInt8[np.ndarray, "height width 3"]:
    """Tile all frames side by side, or on several lines; gray becomes RGB."""
    F, H, W, _ = video.shape
    across = min(F, max(1, WIDEST // W))
    lines = -(-F // across)
    tiles = np.zeros((lines * across, H, W, 3), np.uint8)
    tiles[:F] = video
    grid = tiles.reshape(lines, across, H, W, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(lines * H, across * W, 3)


def data_address(picture: UInt8[np.ndarray, "height width 3"]) -> str:
    return f"data:image/png;base64,{b64encode(png(picture)).decode()}"


def arrow_pairs(row: Row) -> str:
    """Rightward and upward part of each frame's arrow, for the script."""
    return " ".join(f"{right:.3f},{up:.3f}" for right, up in row.arrows)


def chart(panel: Panel, name: str) -> Markup | None:
    """The panel as SVG; None if it has no finite number."""
    from svtcli.render.charts import panel_svg  # matplotlib takes its time

    if not any(isfinite(y) for curve in panel.curves for y in curve.y):
        return None
    return Markup(panel_svg(panel, name))  # noqa: S704 (escaped by ElementTree)


def numbers(panel: Panel) -> tuple[tuple[str, ...], ...]:
    """Rows of all values by x, first the names; () where they are too many."""
    xs = sorted({x for curve in panel.curves for x in curve.x})
    if len(xs) > LISTED:
        return ()
    columns = [
        dict(zip(curve.x, _values(curve), strict=True)) for curve in panel.curves
    ]
    names = [curve.label or panel.y_name for curve in panel.curves]
    rows = ((f"{x:g}", *(column.get(x, "") for column in columns)) for x in xs)
    return ((panel.x_name, *names), *rows)


def _values(curve: Curve) -> list[str]:
    if not curve.spread:
        return [f"{y:.4g}" for y in curve.y]
    pairs = zip(curve.y, curve.spread, strict=True)
    return [f"{y:.4g} ± {spread:.2g}" for y, spread in pairs]
