"""Shipped recipes, and the file that RECIPE names on a command line."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from svtcli.failure import Refused
from svtcli.recipe.document import read_file

SUFFIXES = (".yaml", ".yml")


def shipped_folder() -> Path:
    """`svtcli/shipped_recipes` in an installed wheel, else the source tree's own."""
    package = Path(__file__).parents[1]
    installed = package / "shipped_recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def shipped_recipes() -> Mapping[str, Path]:
    """Name → file, in the order of names."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def read_about(path: Path) -> str:
    """Line `about` of a recipe file, whose other keys are not checked."""
    value = read_file(path).value
    about = value.get("about") if isinstance(value, dict) else None
    return about if isinstance(about, str) else ""


def find_recipe(name_or_path: str, beside: Path | None = None) -> Path:
    """File of a RECIPE: a path, or the name of a shipped recipe.

    `beside` is a folder whose recipes come before the shipped ones (for `base: NAME`),
    and where relative paths start. Errors: Refused, with the nearest name.
    """
    path = (beside or Path()) / name_or_path
    if path.suffix in SUFFIXES or len(Path(name_or_path).parts) > 1:
        return _existing(path, name_or_path)
    neighbour = path.parent / f"{path.name}.yaml"
    if beside is not None and neighbour.is_file():
        return neighbour
    if name_or_path in shipped_recipes():
        return shipped_recipes()[name_or_path]
    if path.exists():
        return _existing(path, name_or_path)
    raise Refused(f"no recipe called {name_or_path!r}", _nearest(name_or_path))


def _existing(path: Path, named: str) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        raise Refused(f"{named}: a folder, not a recipe")
    near = _near_files(path)
    raise Refused(f"{named}: no such file", near or _nearest(path.stem))


def _near_files(path: Path) -> str | None:
    files = [
        file.name for suffix in SUFFIXES for file in path.parent.glob(f"*{suffix}")
    ]
    near = get_close_matches(path.name, files, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else None


def _nearest(wanted: str) -> str:
    near = get_close_matches(wanted, list(shipped_recipes()), n=1)
    if near:
        return f"did you mean {near[0]}?"
    return "svt recipes list shows the shipped ones; a file is named with its .yaml"
