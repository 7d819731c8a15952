"""Runs that were never trained: a recipe, and samples whose pixels are known."""

import os
from pathlib import Path

from svtcli.recipe.load import LoadedRecipe, recipe_from_text
from svtcli.run.directory import RunFolder, write_run
from svtcli.run.samples import write_samples
from tests.render.made_up import made_up_samples

RECIPE = """\
data: {kind: folder}
render: {formats: [png], every: 3, rows: 1}
"""


def write_recipe(run, text):
    """Write recipe and facts of a run."""
    loaded = LoadedRecipe("a", recipe_from_text(text, "a.yaml"), (), "a.yaml")
    write_run(RunFolder(run), loaded, devices=["cpu"], data_fingerprint="")


def make_run(name, *steps):
    """A run with samples of each of `steps`, the last the newest."""
    run = Path("runs") / name
    write_recipe(run, RECIPE)
    for step in steps:
        write_samples(run / "samples" / step, made_up_samples())
        stamp = 1_000_000_000 + int(step)
        os.utime(run / "samples" / step / "samples.json", (stamp, stamp))
    return run


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir())
