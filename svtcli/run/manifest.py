"""Provenance of a run in `run.json`: enough to repeat it."""

import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path

from svtcli import __version__
from svtcli.failure import BadData, Refused
from svtcli.recipe.load import LoadedRecipe, dump_recipe
from svtcli.run.directory import RunFolder
from svtcli.run.durable import write_atomic
from svtcli.run.fingerprint import fingerprint

PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "numpy",
)


@dataclass(frozen=True)
class RunFacts:
    """Contents of `run.json`."""

    command: tuple[str, ...]
    recipe: str
    """Name of the recipe."""
    source: str
    """File of the recipe."""
    overrides: tuple[str, ...]
    recipe_fingerprint: str
    seed: int
    data_fingerprint: str
    devices: tuple[str, ...]
    versions: dict[str, str]
    git_commit: str | None
    """Commit of svt's source tree, `-dirty` if modified; None for an installed svt."""


def write_run(
    folder: RunFolder,
    loaded: LoadedRecipe,
    *,
    devices: Sequence[str],
    data_fingerprint: str,
    command: Sequence[str] | None = None,
) -> RunFacts:
    """Write `recipe.yaml` and `run.json`; `command` defaults to this process's."""
    facts = RunFacts(
        command=tuple(command or ("svt", *sys.argv[1:])),
        recipe=loaded.name,
        source=loaded.source,
        overrides=loaded.overrides,
        recipe_fingerprint=fingerprint(loaded.recipe),
        seed=loaded.recipe.train.seed,
        data_fingerprint=data_fingerprint,
        devices=tuple(devices),
        versions=versions(),
        git_commit=git_commit(),
    )
    write_atomic(folder.recipe_file, dump_recipe(loaded.recipe))
    write_atomic(folder.run_file, json.dumps(asdict(facts), indent=2) + "\n")
    return facts


def read_run(folder: RunFolder) -> RunFacts:
    """Read `run.json`. Errors: Refused if it is missing, BadData if it is damaged."""
    if not folder.run_file.is_file():
        raise Refused(f"{folder.path}: not a run folder (run.json is missing)")
    try:
        facts = json.loads(folder.run_file.read_text(encoding="utf-8"))
        known = {field.name: facts[field.name] for field in fields(RunFacts)}
        lists = {key: tuple(known[key]) for key in ("command", "overrides", "devices")}
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{folder.run_file}: not a run's facts ({error})") from error
    return RunFacts(**{**known, **lists})


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that influence results."""
    installed = {"python": platform.python_version(), "svt": __version__}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


def git_commit() -> str | None:
    """Commit of the source tree that svt runs from, None outside of one."""
    here = Path(__file__)
    # An svt installed inside of another project must not report its commit.
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    describe = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    return _git(here.parent, *describe)


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of git, None if it fails or is not installed."""
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
