"""Runs that were never trained: a recipe, and samples whose pixels are known."""

import os
from pathlib import Path

from svtcli.run.samples import write_samples
from tests.render.made_up import made_up_samples

RECIPE = """\
data: {kind: folder}
render: {formats: [png], every: 3, rows: 1}
"""


def make_run(name, *steps):
    """A run with samples of each of `steps`, the last the newest."""
    run = Path("runs") / name
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(RECIPE)
    for step in steps:
        write_samples(run / "samples" / step, made_up_samples())
        stamp = 1_000_000_000 + int(step)
        os.utime(run / "samples" / step / "samples.json", (stamp, stamp))
    return run


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir())
