"""Arguments and flags that mean the same in several commands."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from svtcli.cli import completion, console

RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A YAML file or a shipped name.",
        autocompletion=completion.recipes,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[K=V]...",
        help="For example train.batch=16.",
        autocompletion=completion.overrides,
    ),
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="NAME",
        help="Name of the run folder. Default: the recipe's name.",
        autocompletion=completion.runs,
    ),
]
ClipsAndSplit = Annotated[
    str | None,
    typer.Option(
        metavar="CLIPS[:SPLIT]",
        help="Other clips than the run's, or a split.",
        autocompletion=completion.clips,
    ),
]


class Precision(StrEnum):
    """Of products; a test holds it equal to the recipe's."""

    float32 = "float32"
    bfloat16 = "bfloat16"


PrecisionFlag = Annotated[
    Precision | None,
    typer.Option("--precision", help="Of weights, products and activations."),
]


def clips_and_split(text: str | None) -> tuple[Path | None, str | None]:
    """CLIPS[:SPLIT] as a folder and a split, None for each that is left out.

    CLIPS is a folder of prepared clips, or the name of one in clips/.
    """
    if not text or is_clips(Path(text)):  # a folder's name may hold a colon
        return (Path(text) if text else None), None
    name, _, split = text.partition(":")
    folder, named = Path(name), Path("clips") / name
    if name and not is_clips(folder) and is_clips(named):
        console.note(f"clips: {named}")
        folder = named
    return (folder if name else None), (split or None)


def is_clips(folder: Path) -> bool:
    """Whether prepared clips are in this folder."""
    return (folder / "manifest.json").is_file()


def said(**flags: Any) -> dict[str, Any]:
    """The flags that were given; the recipe decides the others."""
    return {name: value for name, value in flags.items() if value is not None}
