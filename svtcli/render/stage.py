"""render: samples become pictures: a strip, a GIF, an MP4, a page, and their record.

strip.png      frames of each clip, the truth above its samples (Figs. 3 to 8, 13)
diversity.png  instead: many samples of each clip, frame by frame (Figs. 7 to 12)
samples.gif    the same videos, playing side by side
samples.mp4
report.html    a page that plays them, with all that is known of their runs
figures.json   what they were made from; written last, so its presence means "whole"

With `each`, a file for every clip (strip-1.png) or video (samples-1-truth.gif).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from svtcli.failure import BadData
from svtcli.recipe.schema import Render
from svtcli.render.output_paths import drawing_aside, free_places
from svtcli.render.plan import Drawing, draw, plan_drawings
from svtcli.render.report_inputs import report_inputs
from svtcli.render.side_by_side import side_by_side
from svtcli.run.durable import write_atomic
from svtcli.run.fingerprint import fingerprint, fingerprint_file
from svtcli.run.progress import Progress
from svtcli.run.samples import Samples, read_facts, read_samples
from svtcli.video.encode import FASTEST_GIF

RECORD = "figures.json"
LARGE = 2e7
"""Bytes of a page that a browser is slow to open."""


@dataclass(frozen=True)
class FiguresRecord:
    """What `figures.json` says."""

    fingerprint: str
    """Of the samples and the settings; `fresh` compares it."""
    samples: str
    files: tuple[str, ...]
    settings: Render


def render(
    samples_folder: Path,
    out: Path,
    settings: Render,
    progress: Progress,
    force: bool = False,
    beside: tuple[Path, ...] = (),
) -> list[Path]:
    """Draw the samples into `out`; the pictures' paths, in the order of the formats.

    Those of the folders `beside` stand under them, clip by clip (Fig. 4). Nothing
    appears in `out` before everything is drawn. Errors: Refused where there are no
    finished samples, frames or clips are not there to be shown or, without `force`, a
    picture stands already; BadData.
    """
    drawings, pictures = _plan((samples_folder, *beside), out, settings, force)
    made_from = figures_fingerprint(samples_folder, settings, beside)
    with drawing_aside(out) as aside:
        progress.begin("draw", len(pictures), "pictures")
        for done, drawing in enumerate(drawings, start=1):
            draw(drawing, aside / drawing.name, settings, (samples_folder, *beside))
            progress.advance(done, {"file": drawing.name})
        progress.end()
        (out / RECORD).unlink(missing_ok=True)
        for picture in pictures:
            (aside / picture.name).replace(picture)
    names = tuple(picture.name for picture in pictures)
    if "gif" in settings.formats and settings.fps > FASTEST_GIF:
        progress.note(f"the GIF plays {FASTEST_GIF:g} frames/s, the fastest there is")
    for picture in pictures:
        if picture.suffix == ".html" and (size := picture.stat().st_size) > LARGE:
            few = "fewer videos make it smaller: --rows, --per-prime"
            progress.note(f"{picture.name} has {size / 1e6:.0f} MB; {few}")
    said = ", ".join(map(str, (samples_folder, *beside)))
    record = FiguresRecord(made_from, said, names, settings)
    write_atomic(out / RECORD, json.dumps(asdict(record), indent=2) + "\n")
    return pictures


def planned(
    samples_folder: Path,
    out: Path,
    settings: Render,
    force: bool = False,
    beside: tuple[Path, ...] = (),
) -> list[Path]:
    """The pictures that `render` would write; refuses what `render` refuses."""
    return _plan((samples_folder, *beside), out, settings, force)[1]


def _plan(
    folders: tuple[Path, ...], out: Path, settings: Render, force: bool
) -> tuple[tuple[Drawing, ...], list[Path]]:
    """What will be drawn, and where."""
    read = [_drawable(read_samples(folder), folder) for folder in folders]
    drawings = plan_drawings(side_by_side(folders, read), settings)
    places = free_places(out, [drawing.name for drawing in drawings], force)
    if "html" in settings.formats:
        # Only now, for it brings jax, and pictures need none.
        from svtcli.render.report import report_of_runs

        report_of_runs(folders)
    return drawings, places


def fresh(samples_folder: Path, out: Path, settings: Render) -> bool:
    """Whether `out` already holds what `render` would draw."""
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
        same = record["fingerprint"] == figures_fingerprint(samples_folder, settings)
        return same and all((out / name).is_file() for name in record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def figures_fingerprint(
    samples_folder: Path, settings: Render, beside: tuple[Path, ...] = ()
) -> str:
    """Of everything that the pictures depend on; of files, their bytes."""
    folders = (samples_folder, *beside)
    arrays = (
        fingerprint_file(folder / f"{name}.npy")
        for folder in folders
        for name in ("samples", "truth")
    )
    page = report_inputs(folders) if "html" in settings.formats else ()
    told = map(fingerprint_file, page)
    facts = map(read_facts, folders)
    return fingerprint("figures", *facts, *arrays, settings, *told)


def _drawable(samples: Samples, folder: Path) -> Samples:
    """`samples`, if a picture can be made of them."""
    N, M, F, H, W, C = samples.video.shape
    if 0 in (N, M, F, H, W):
        raise BadData(f"{folder}: these samples hold no video ({samples.video.shape})")
    if C not in (1, 3):
        raise BadData(f"{folder}: {C} image channels; 1 (gray) or 3 (RGB) can be drawn")
    if len(samples.facts.clips) != N:
        named = len(samples.facts.clips)
        raise BadData(
            f"{folder}: samples.json names {named} clips, the arrays hold {N}"
        )
    return samples
