"""Writing of pictures: all of them or none, and a record of their inputs.

Every stage of this room names its pictures, each with the function that draws it; the
record, written last, tells whether they are those of today's inputs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from svtcli.failure import BadData, Refused
from svtcli.render.grid import Canvas
from svtcli.run.durable import naming, read_record, removed, write_record
from svtcli.run.progress import Progress
from svtcli.run.signals import StopSignals
from svtcli.video.encode import FASTEST_GIF, write_gif, write_mp4

Draw = Callable[[Path], None]
"""Draws one picture into the file of that path."""


def write_pictures(
    pictures: Mapping[str, Draw],
    out: Path,
    progress: Progress,
    force: bool,
    dry_run: bool,
    record: str | None = None,
    inputs: Callable[[], Mapping[str, object]] = dict,
) -> list[Path]:
    """Draw the pictures into `out`, and return their paths; all appear at once.

    `inputs`, with the fingerprint that `fresh` compares, become the file `record` after
    them; `dry_run` writes nothing. Errors: Refused where `out` is a file or, without
    `force`, a picture exists already; `Stopped`; those of the drawing.
    """
    paths = [out / name for name in pictures]
    if out.exists() and not out.is_dir():
        raise Refused(f"{out}: not a folder", "name another one with --out")
    if not force and (existing := [path for path in paths if path.exists()]):
        raise Refused(
            f"{existing[0]}: already exists", "replace it with --force, or choose --out"
        )
    if dry_run:
        return paths
    facts = inputs()
    with StopSignals() as stop, _drawing_aside(out) as aside:
        progress.begin("draw", len(pictures), "pictures")
        for done, (name, draw) in enumerate(pictures.items(), start=1):
            stop.check(f"none of the {len(pictures)} pictures is written yet")
            with naming(out / name):
                draw(aside / name)
            progress.advance(done, {"file": name})
        progress.end()
        if record is not None:
            (out / record).unlink(missing_ok=True)
        for path in paths:
            (aside / path.name).replace(path)
        if record is not None:
            write_record(out / record, facts)
        stop.saved = f"the pictures are in {out}"
    return paths


def fresh(out: Path, record: str, fingerprint: Callable[[], str]) -> bool:
    """Return whether `out` holds all pictures of its record, drawn from the inputs of
    this fingerprint, which is computed only if there is a record."""
    try:
        inputs = read_record(out / record, "", ("fingerprint", "files"))
    except (OSError, BadData):
        return False
    same: bool = inputs["fingerprint"] == fingerprint()
    return same and all((out / name).is_file() for name in inputs["files"])


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
