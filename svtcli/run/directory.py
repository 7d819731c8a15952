"""The run folder: its files, and the names of runs and checkpoints.

runs/NAME/recipe.yaml   the recipe, resolved
runs/NAME/run.json      provenance (manifest.py)
runs/NAME/metrics.jsonl tensorboard/ profile/
runs/NAME/checkpoints/STEP/ samples/ eval/ figures/
"""

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from svtcli.failure import Refused
from svtcli.recipe.load import recipe_from_text
from svtcli.recipe.schema import Recipe

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


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
        """Recipe of this run. Errors: Refused if there is none."""
        if not self.recipe_file.is_file():
            raise Refused(f"{self.path}: not a run folder (recipe.yaml is missing)")
        text = self.recipe_file.read_text(encoding="utf-8")
        return recipe_from_text(text, str(self.recipe_file))

    def steps(self) -> tuple[int, ...]:
        """Steps of the checkpoints, ascending."""
        if not self.checkpoints.is_dir():
            return ()
        names = (entry.name for entry in self.checkpoints.iterdir() if entry.is_dir())
        return tuple(sorted(int(name) for name in names if name.isdecimal()))


def runs_root() -> Path:
    """Folder of all runs: `$SVT_RUNS`, else `runs` in the working directory."""
    return Path(os.environ.get("SVT_RUNS") or "runs")


def run_folder(name: str) -> RunFolder:
    """Folder of the run `name`. Errors: Refused for a name that is no file name."""
    if not NAME.fullmatch(name):
        raise Refused(
            f"{name!r} cannot name a run",
            "use letters, digits, and any of _ . + - after the first",
        )
    return RunFolder(runs_root() / name)


def find_checkpoint(ckpt: str) -> tuple[RunFolder, int | None]:
    """Run and step that CKPT refers to; step None is the latest.

    CKPT is a run folder, its name, RUN@STEP, or a checkpoint folder
    (RUN/checkpoints/STEP). Errors: Refused if it does not exist.
    """
    path = Path(ckpt)
    if path.parent.name == "checkpoints" and path.name.isdecimal():
        return _with_checkpoint(find_run(str(path.parent.parent)), int(path.name))
    run, at, step = ckpt.rpartition("@")
    if not at:
        return _with_checkpoint(find_run(ckpt), None)
    if not step.isdecimal():
        raise Refused(f"{ckpt}: the step after @ must be a number, not {step!r}")
    return _with_checkpoint(find_run(run), int(step))


def newest_samples() -> Path:
    """Newest finished samples of all runs. Errors: Refused if there are none."""
    finished = list(runs_root().glob("*/samples/*/samples.json"))
    if not finished:
        raise Refused(
            f"no finished samples under {runs_root()}/", "make some: svt sample RUN"
        )
    return max(finished, key=lambda file: (file.stat().st_mtime_ns, file)).parent


def run_of_samples(samples: Path) -> RunFolder | None:
    """Run whose samples are in this folder; None for a folder outside of a run."""
    whole = samples if samples.name not in ("", "..") else samples.resolve()
    run = RunFolder(whole.parent.parent)
    inside = whole.parent == run.samples and run.recipe_file.is_file()
    return run if inside else None


def find_run(name_or_path: str) -> RunFolder:
    """Run with this path, else with this name. Errors: Refused if there is none."""
    for path in (Path(name_or_path), runs_root() / name_or_path):
        if (path / "recipe.yaml").is_file():
            return RunFolder(path)
    if Path(name_or_path).is_dir():
        raise Refused(f"{name_or_path}: not a run folder (recipe.yaml is missing)")
    raise Refused(f"no run called {name_or_path!r}", _nearest_run(name_or_path))


def _nearest_run(wanted: str) -> str:
    runs = sorted(file.parent.name for file in runs_root().glob("*/recipe.yaml"))
    near = get_close_matches(Path(wanted).name, runs, n=1)
    if near:
        return f"did you mean {near[0]}?"
    if runs:
        return f"runs in {runs_root()}/: {', '.join(runs[:10])}"
    return f"there are no runs in {runs_root()}/ yet: svt train RECIPE makes one"


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
