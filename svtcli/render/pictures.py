"""Writing of pictures: all of them or none, and only those that are missing or stale.

Pictures are derived from their inputs, so an older one is drawn again without asking; a
file that svt did not draw, or that was changed since, is replaced by `force` alone.

figures.json   of each picture in the folder: a fingerprint of its inputs, checksums of
               the file and of the one that it replaced, and its origin in words
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from svtcli.failure import BadData, Refused
from svtcli.render.fonts import missing_noted
from svtcli.render.grid import Canvas
from svtcli.run.durable import crc32c, naming, read_record, removed, write_record
from svtcli.run.progress import Progress
from svtcli.run.signals import StopSignals
from svtcli.video.encode import FASTEST_GIF, write_gif, write_mp4

RECORD = "figures.json"
Draw = Callable[[Path], None]
"""Draws one picture into the file of that path."""


@dataclass(frozen=True)
class Picture:
    """One picture, not drawn yet."""

    draw: Draw
    inputs: str
    """Fingerprint of everything that it depends on."""


def write_pictures(
    pictures: Mapping[str, Picture],
    out: Path,
    origin: Mapping[str, object],
    progress: Progress,
    force: bool = False,
    dry_run: bool = False,
) -> list[Path]:
    """Draw the pictures that are not up to date into `out`; return the paths of all.

    They appear at once; `force` draws all again. With `dry_run` nothing is written, and
    the paths are those that would be. `origin` names the inputs in the record. Errors:
    Refused where `out` is a file or, without `force`, a file was not drawn by svt;
    `Stopped`; those of the drawing.
    """
    if out.exists() and not out.is_dir():
        raise Refused(f"{out}: not a folder", "name another one with --out")
    stale = [n for n, each in pictures.items() if force or _stale(out / n, each.inputs)]
    if kept := len(pictures) - len(stale):
        some = f"pictures up to date: {kept} of {len(pictures)}"
        progress.note(f"{out}: {some if stale else 'these pictures already exist'}")
    if dry_run:
        return [out / name for name in stale]
    if stale:
        _draw({name: pictures[name] for name in stale}, out, origin, progress)
    return [out / name for name in pictures]


def _stale(path: Path, inputs: str) -> bool:
    """Tell if a picture is missing, or drawn from other inputs.

    Errors: Refused for a file that svt did not draw.
    """
    if not os.path.lexists(path):
        return True
    entry = _record(path.parent).get(path.name)
    hint = "give it another name, or replace it: svt render with --force"
    if entry is None:
        raise Refused(f"{path}: already exists, and svt did not draw it", hint)
    if (drawn := entry["crc32c"]) is None:  # by an older svt
        return True
    if (now := crc32c(path)) not in drawn:
        raise Refused(f"{path}: changed since svt drew it", hint)
    return bool(now != drawn[0] or entry["inputs"] != inputs)


def _record(out: Path) -> dict[str, dict[str, Any]]:
    """Facts about the pictures that svt drew into `out`, by name."""
    try:
        values = read_record(out / RECORD, "")
    except (OSError, BadData):
        return {}
    older = {name: {"crc32c": None} for name in values.get("files", ())}
    known: dict[str, dict[str, Any]] = values.get("pictures", older)
    return known


def _draw(
    pictures: Mapping[str, Picture],
    out: Path,
    origin: Mapping[str, object],
    progress: Progress,
) -> None:
    """Draw the pictures into `out`, in place of older ones, and record them."""
    with StopSignals() as stop, _drawing_aside(out) as aside, missing_noted(progress):
        progress.begin("draw", len(pictures), "pictures")
        for done, (name, picture) in enumerate(pictures.items(), start=1):
            stop.check("none of the pictures is written yet")
            with naming(out / name):
                picture.draw(aside / name)
            progress.advance(done, {"file": name})
        progress.end()
        # Each picture is the new one or the old one, wherever a kill ends this.
        drawn = {
            name: {
                "inputs": picture.inputs,
                "crc32c": [
                    crc32c(each)
                    for each in (aside / name, out / name)
                    if each.is_file()
                ],
                **origin,
            }
            for name, picture in pictures.items()
        }
        there = {n: facts for n, facts in _record(out).items() if (out / n).exists()}
        write_record(out / RECORD, {"pictures": there | drawn})
        for name in pictures:
            (aside / name).replace(out / name)
        stop.saved = f"the pictures are in {out}"


def write_film(path: Path, frames: Iterable[Canvas], fps: float) -> None:
    """Write a GIF or an MP4, by the ending of `path`."""
    write = write_gif if path.suffix == ".gif" else write_mp4
    write(path, frames, fps)


def note_slow_gif(pictures: Iterable[Path], fps: float, progress: Progress) -> None:
    """Tell that a GIF among the pictures is slower than asked for."""
    if fps > FASTEST_GIF and any(picture.suffix == ".gif" for picture in pictures):
        progress.note(f"the GIF plays {FASTEST_GIF:g} frames/s, the fastest possible")


@contextmanager
def _drawing_aside(out: Path) -> Iterator[Path]:
    """A folder in `out` to draw in; removed at the end, and after an error `out`
    too if it did not exist before."""
    created = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        with removed(Path(mkdtemp(prefix=".drawing-", dir=out))) as aside:
            yield aside
    except BaseException:
        with suppress(OSError):  # other files are in it by now
            for folder in created:
                folder.rmdir()
        raise
