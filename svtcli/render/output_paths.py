"""Where pictures go: whole ones or none, and never over one that stands there."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from svtcli.failure import Refused


def free_places(out: Path, names: Iterable[str], force: bool) -> list[Path]:
    """The paths of the pictures called `names`, if they may be written.

    Errors: `Refused` where `out` is a file or, without `force`, a picture stands there.
    """
    if out.exists() and not out.is_dir():
        raise Refused(f"{out}: not a folder", "name another one with --out")
    pictures = [out / name for name in names]
    standing = [picture for picture in pictures if picture.exists()]
    if standing and not force:
        raise Refused(
            f"{standing[0]}: already there", "replace it with --force, or choose --out"
        )
    return pictures


@contextmanager
def drawing_aside(out: Path) -> Iterator[Path]:
    """A folder in `out` to draw in; it goes in the end, and with it an empty `out`."""
    made = _missing(out)
    out.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(prefix=".drawing-", dir=out))
    try:
        yield aside
    except BaseException:
        rmtree(aside)
        with suppress(OSError):  # a picture stands there already
            for folder in made:
                folder.rmdir()
        raise
    rmtree(aside)


def _missing(out: Path) -> list[Path]:
    """`out` and its parents as far as they don't exist, innermost first."""
    return [folder for folder in (out, *out.parents) if not folder.exists()]
