"""Names as a command line takes them: every command that svt tells its user to type
works when pasted; and shorter ones for files and pictures.
"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from svtcli.run.durable import fingerprint

if TYPE_CHECKING:
    from svtcli.recipe.load import LoadedRecipe
    from svtcli.run.directory import RunFolder


def typed(*words: object) -> str:
    """Command line of the words, quoted for a shell; a path never reads as a flag."""
    return shlex.join(
        f"./{word}" if isinstance(word, Path) and f"{word}"[0] == "-" else f"{word}"
        for word in words
    )


def printable(text: object) -> str:
    """Text without control characters, which a terminal might obey."""
    return "".join(each if each.isprintable() else "?" for each in str(text))


def run_argument(run: "RunFolder") -> str | Path:
    """The run's name where it finds the run from here, else its path."""
    from svtcli.run.directory import runs_root

    found = runs_root() / run.name
    shadowed = Path(run.name).exists()
    same = not shadowed and found.resolve() == run.path.resolve()
    return run.name if same else run.path


def samples_argument(samples: Path) -> str | Path:
    """The run of the samples where they are its newest ones, else their folder."""
    from svtcli.run.directory import run_of_samples

    run = run_of_samples(samples)
    newest = run.newest_samples() if run else None
    same = newest is not None and newest.resolve() == samples.resolve()
    return run_argument(run) if run and same else samples


def recipe_argument(loaded: "LoadedRecipe") -> str | Path:
    """Name of a shipped recipe, else the path of its file."""
    from svtcli.recipe.load import shipped_recipes

    shipped = str(shipped_recipes().get(loaded.name)) == loaded.source
    return loaded.name if shipped else Path(loaded.source)


def recipe_command(
    verb: str, loaded: "LoadedRecipe", run: "RunFolder | None" = None, *flags: str
) -> str:
    """`svt VERB` for the recipe with its overrides, and the run if of another name."""
    named = ("--run", run.name) if run and run.name != loaded.name else ()
    words = (recipe_argument(loaded), *loaded.overrides, *named, *flags)
    return typed("svt", verb, *words)


def shortened(name: str, most: int) -> str:
    """At most so many letters; of longer names, the start and a fingerprint."""
    return name if len(name) <= most else f"{name[: most - 9]}-{fingerprint(name)[:8]}"
