"""The run folder: its files, its provenance, and names of runs and checkpoints.

runs/NAME/recipe.yaml   the recipe, resolved; `run.json` has its checksum
runs/NAME/run.json      provenance: command, versions, fingerprints (`RunFacts`)
runs/NAME/metrics.jsonl tensorboard/ wandb/ profile/
runs/NAME/checkpoints/STEP/ samples/ eval/ figures/
"""

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from svtcli import __version__
from svtcli.failure import BadData, Refused
from svtcli.recipe.addresses import path_in
from svtcli.recipe.load import (
    LoadedRecipe,
    dump_recipe,
    recipe_from_text,
    shipped_recipes,
)
from svtcli.recipe.schema import Recipe
from svtcli.recipe.variants import NAME
from svtcli.run.distribution import git_commit
from svtcli.run.durable import (
    crc32c,
    fingerprint,
    read_record,
    write_atomic,
    write_record,
)
from svtcli.run.names import typed

WEIGHTS_FILE = "model.safetensors"
"""Weights in a folder for a model hub, as `svt runs export` writes it."""
SHIPPED = Path(__file__).parents[1] / "shipped_models"
"""Folder of the models that ship with svt, one exported file each."""
PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "numpy",
)
"""Distributions whose versions influence results."""


@dataclass(frozen=True)
class Inside:
    """Attribute of a run folder: the path of a file or folder in it."""

    name: str

    def __get__(self, run: "RunFolder", owner: type) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class RunFolder:
    """Paths inside the folder of a run; none of them has to exist."""

    path: Path

    recipe_file = Inside("recipe.yaml")
    run_file = Inside("run.json")
    metrics = Inside("metrics.jsonl")
    tensorboard = Inside("tensorboard")
    wandb = Inside("wandb")
    profile = Inside("profile")
    checkpoints = Inside("checkpoints")
    samples = Inside("samples")
    eval = Inside("eval")
    figures = Inside("figures")

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.resolve().name

    def recipe(self) -> Recipe:
        """Recipe of this run, as it was written.

        Errors: Refused if there is none; BadData if it is another one now; those of
        `read_run`.
        """
        recipe, facts = self.unchecked_recipe(), read_run(self)
        there, written = crc32c(self.recipe_file), facts.recipe_crc32c
        if written is None:  # an older svt
            there, written = fingerprint(recipe), facts.recipe_fingerprint
        if there != written:
            what = f"{self.recipe_file}: changed since this run was trained"
            raise BadData(what, _rewrite(self))
        return recipe

    def unchecked_recipe(self) -> Recipe:
        """Recipe in the folder, which may have changed. Errors: Refused."""
        if not self.recipe_file.is_file():
            raise Refused(f"{self.path}: not a run folder (recipe.yaml is missing)")
        text = self.recipe_file.read_bytes().decode("utf-8", errors="replace")
        return recipe_from_text(text, str(self.recipe_file))

    def steps(self) -> tuple[int, ...]:
        """Steps of the checkpoints, ascending."""
        return tuple(numbered(self.checkpoints))

    def newest_samples(self) -> Path | None:
        """Newest finished samples in it; None without any."""
        return _newest(self.samples.glob("*/samples.json"))


def refuse_unwritable(folder: Path) -> None:
    """Refuse a folder that this process could not create or write into."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise Refused(f"{folder}: cannot be a folder, as {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise Refused(f"{folder}: cannot be written, as {there} is read-only")


def numbered(folder: Path) -> list[int]:
    """Steps that have a folder in `folder`, complete or not, ascending."""
    names = (path.name for path in folder.glob("*") if path.is_dir())
    return sorted(int(name) for name in names if name.isdecimal())


def runs_root() -> Path:
    """Folder of all runs: `$SVT_RUNS`, else `runs` in the working directory."""
    return Path(path_in("SVT_RUNS") or "runs")


def run_folder(name: str) -> RunFolder:
    """Folder of the run `name`.

    Errors: Refused for a name that is no file name, and below a folder whose name is
    not UTF-8, which orbax cannot write to.
    """
    if not NAME.fullmatch(name):
        raise Refused(
            f"{name!r} cannot name a run",
            "use letters, digits, and any of _ . + - after the first",
        )
    path = runs_root() / name
    if any("\udc80" <= letter <= "\udcff" for letter in str(path.absolute())):
        raise Refused(
            f"{path.absolute()}: checkpoints need a path in UTF-8",
            "rename the folder, or set SVT_RUNS to another one",
        )
    return RunFolder(path)


def shipped_models() -> dict[str, Path]:
    """Files of the models that ship with svt, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}


def way_to_run(name: str) -> str | None:
    """Hint for a shipped model or recipe that is no run yet; None for other names."""
    if name in shipped_models():
        return f"it ships with svt, and becomes a run with: svt sample {name}"
    if name in shipped_recipes():
        return f"the recipe {name} becomes a run with: svt run {name}"
    return None


def find_checkpoint(ckpt: str) -> tuple[RunFolder, int | None]:
    """Run and step that CKPT refers to; step None is the latest.

    CKPT is a run folder, its name, RUN@STEP, or a checkpoint folder
    (RUN/checkpoints/STEP). Errors: Refused if it does not exist.
    """
    path = Path(ckpt)
    if path.parent.name == "checkpoints" and path.name.isdecimal():
        return _with_checkpoint(find_run(str(path.parent.parent)), int(path.name))
    run, at, step = ckpt.rpartition("@")
    if not at or os.sep in step:
        return _with_checkpoint(find_run(ckpt), None)
    if not step.isdecimal():
        raise Refused(f"{ckpt}: the step after @ must be a number, not {step!r}")
    return _with_checkpoint(find_run(run), int(step))


def newest_samples() -> Path:
    """Newest finished samples of all runs. Errors: Refused if there are none."""
    newest = _newest(runs_root().glob("*/samples/*/samples.json"))
    if newest is None:
        raise Refused(
            f"no finished samples under {runs_root()}/",
            "write them with: svt sample RUN",
        )
    return newest


def _newest(files: Iterable[Path]) -> Path | None:
    """Folder of the newest file."""
    newest = max(files, key=lambda file: (file.stat().st_mtime_ns, file), default=None)
    return newest.parent if newest else None


def run_of_samples(samples: Path) -> RunFolder | None:
    """Run whose samples are in this folder; None for a folder outside of a run."""
    whole = samples if samples.name not in ("", "..") else samples.resolve()
    run = RunFolder(whole.parent.parent)
    # Either file: without the other one, a reader of the run refuses it.
    known = run.recipe_file.is_file() or run.run_file.is_file()
    return run if known and whole.parent == run.samples else None


def is_exported(path: Path) -> bool:
    """Tell if `path` is a file of exported weights, or a folder for a model hub."""
    weights = path / WEIGHTS_FILE if path.is_dir() else path
    return weights.suffix == ".safetensors" and weights.is_file()


def find_run(name_or_path: str) -> RunFolder:
    """Run with this path, else with this name. Errors: Refused if there is none."""
    if is_exported(file := Path(name_or_path)):
        name = file.resolve().stem
        new = name if NAME.fullmatch(name) else "imported"
        make = typed("svt", "runs", "import", file, new)
        raise Refused(f"{file}: exported weights, not a run", f"make a run: {make}")
    for path in (Path(name_or_path), runs_root() / name_or_path):
        if (path / "recipe.yaml").is_file():
            return RunFolder(path)
    if Path(name_or_path).is_dir():
        raise Refused(f"{name_or_path}: not a run folder (recipe.yaml is missing)")
    raise Refused(f"no run called {name_or_path!r}", _nearest_run(name_or_path))


def _nearest_run(wanted: str) -> str:
    if way := way_to_run(wanted):
        return way
    runs = sorted(file.parent.name for file in runs_root().glob("*/recipe.yaml"))
    near = get_close_matches(Path(wanted).name, [*runs, *shipped_models()], n=1)
    if near:
        return f"did you mean {near[0]}?"
    if runs:
        return f"runs in {runs_root()}/: {', '.join(runs[:10])}"
    return f"there are no runs in {runs_root()}/ yet; start one: svt train RECIPE"


def _with_checkpoint(run: RunFolder, step: int | None) -> tuple[RunFolder, int | None]:
    steps = run.steps()
    if not steps:
        raise Refused(
            f"{run.path}: no checkpoint here yet", "train it: svt train RECIPE"
        )
    if step is not None and step not in steps:
        raise Refused(
            f"{run.path}: no checkpoint of step {step}",
            f"there are: {', '.join(map(str, steps))}",
        )
    return run, step


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
    """Commit of svt's source, `-dirty` if modified; None where it is unknown."""
    recipe_crc32c: str | None = None
    """Checksum of `recipe.yaml`; None for runs of an older svt."""


def write_run(
    folder: RunFolder,
    loaded: LoadedRecipe,
    *,
    devices: Sequence[str],
    data_fingerprint: str,
    command: Sequence[str] | None = None,
) -> RunFacts:
    """Write `recipe.yaml` and `run.json`; `command` defaults to this process's."""
    write_atomic(folder.recipe_file, dump_recipe(loaded.recipe))
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
        recipe_crc32c=crc32c(folder.recipe_file),
    )
    write_record(folder.run_file, asdict(facts))
    return facts


def read_run(folder: RunFolder) -> RunFacts:
    """Read `run.json`. Errors: Refused if it is missing, BadData if it is damaged."""
    if not folder.run_file.is_file():
        what = f"{folder.path}: not a run folder (run.json is missing)"
        raise Refused(what, _rewrite(folder))
    known = {field.name for field in fields(RunFacts)}
    older = known - {"recipe_crc32c"}
    values = read_record(folder.run_file, _rewrite(folder), older, unsealed=older)
    lists = {key: tuple(values[key]) for key in ("command", "overrides", "devices")}
    return RunFacts(**{key: values[key] for key in values if key in known} | lists)


def _rewrite(run: RunFolder) -> str:
    """Hint for a run folder whose recipe or facts are lost."""
    again = f"svt train RECIPE --run {run.name}"
    return f"restore it from a copy; with the recipe of the run, {again} writes it anew"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that influence results."""
    installed = {"python": platform.python_version(), "svt": __version__}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed
