"""render: samples become pictures. A strip, a GIF, an MP4, and a record of them.

strip.png      every k-th frame of each clip, the truth above its samples (Figs. 4-8)
samples.gif    the same videos, playing side by side
samples.mp4
figures.json   what they were made from; written last, so its presence means "whole"
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from svtcli.failure import BadData
from svtcli.figures.film import film
from svtcli.figures.groups import caption, sample_groups
from svtcli.figures.strip import strip
from svtcli.recipe.schema import Format, Render
from svtcli.run.fingerprint import fingerprint, fingerprint_file
from svtcli.run.progress import Progress
from svtcli.run.samples import Samples, read_facts, read_samples
from svtcli.run.whole_file import write_whole
from svtcli.stages.pictures import drawing_aside, free_places
from svtcli.video.encode import FASTEST_GIF, write_gif, write_mp4, write_png

FILES: dict[Format, str] = {
    "png": "strip.png",
    "gif": "samples.gif",
    "mp4": "samples.mp4",
}
RECORD = "figures.json"


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
) -> list[Path]:
    """Draw the samples into `out`; the pictures' paths, in the order of the formats.

    Nothing appears in `out` before everything is drawn. Errors: Refused where there are
    no finished samples or, without `force`, a picture stands already; BadData.
    """
    pictures = free_places(out, FILES, settings.formats, force)
    samples = _drawable(read_samples(samples_folder), samples_folder)
    made_from = figures_fingerprint(samples_folder, settings)
    with drawing_aside(out) as aside:
        progress.begin("draw", len(pictures), "pictures")
        for done, format_ in enumerate(dict.fromkeys(settings.formats), start=1):
            _draw(samples, format_, aside / FILES[format_], settings)
            progress.advance(done, {"file": FILES[format_]})
        progress.end()
        (out / RECORD).unlink(missing_ok=True)
        for picture in pictures:
            (aside / picture.name).replace(picture)
    names = tuple(picture.name for picture in pictures)
    if "gif" in settings.formats and settings.fps > FASTEST_GIF:
        progress.note(f"the GIF plays {FASTEST_GIF:g} frames/s, the fastest there is")
    record = FiguresRecord(made_from, str(samples_folder), names, settings)
    write_whole(out / RECORD, json.dumps(asdict(record), indent=2) + "\n")
    return pictures


def planned(
    samples_folder: Path, out: Path, settings: Render, force: bool = False
) -> list[Path]:
    """The pictures that `render` would write; refuses what `render` refuses."""
    _drawable(read_samples(samples_folder), samples_folder)
    return free_places(out, FILES, settings.formats, force)


def fresh(samples_folder: Path, out: Path, settings: Render) -> bool:
    """Whether `out` already holds what `render` would draw."""
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
        same = record["fingerprint"] == figures_fingerprint(samples_folder, settings)
        return same and all((out / name).is_file() for name in record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def figures_fingerprint(samples_folder: Path, settings: Render) -> str:
    """Of everything that the pictures depend on; of the arrays, their bytes."""
    arrays = (
        fingerprint_file(samples_folder / f"{n}.npy") for n in ("samples", "truth")
    )
    return fingerprint("figures", read_facts(samples_folder), *arrays, settings)


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


def _draw(samples: Samples, format_: Format, path: Path, settings: Render) -> None:
    """Draw and write one picture."""
    groups = sample_groups(samples, settings.rows)
    facts = caption(samples.facts, samples.video.shape[2])
    match format_:
        case "png":
            write_png(path, strip(groups, facts, settings.every, settings.scale))
        case "gif":
            write_gif(path, film(groups, facts, settings.scale), settings.fps)
        case "mp4":
            write_mp4(path, film(groups, facts, settings.scale), settings.fps)
