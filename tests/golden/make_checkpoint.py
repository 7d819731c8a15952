"""Make the golden checkpoint of this version of svt, once, when it is released.

    python -m tests.golden.make_checkpoint [FOLDER]

`checkpoint-VERSION.tar.xz` holds clips, a run with one checkpoint of them, and what
that must go on to give: its score and its next losses. It is never made again, for what
older versions wrote has to be read for ever.
"""

import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from svtcli import __version__
from svtcli.evaluate.plan import plan_likelihood
from svtcli.evaluate.stage import evaluate
from svtcli.recipe.schema import Eval
from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics
from svtcli.run.progress import Silent
from svtcli.train.commit_record import open_checkpoint
from svtcli.train.stage import train
from tests.train import tiny_run
from tests.trained_place import working_in

STEP, LAST = 4, 6
OVERRIDES = (
    f"train.steps={LAST}",
    "train.optimizer=adamw",
    "train.weight_decay=0.01",
    "train.clip_norm=1",
    "train.ema=0.9",
    "model.de=2",
    "model.d=4",
    "model.da=2",
)


def go_on(run: RunFolder, stop_at: int) -> None:
    """Train the run in the working directory, as it was begun."""
    train(tiny_run.loaded(Path("tiny.yaml"), *OVERRIDES), run, Silent(), stop_at)


def given_by(run: RunFolder) -> dict[str, float | list[float]]:
    """What the checkpoint of `STEP` gives: its score, and the losses after it."""
    settings = Eval(baselines=())
    plan = plan_likelihood(open_checkpoint(run, STEP), settings)
    (row,) = evaluate(plan, Silent()).rows
    go_on(run, LAST)
    losses = [row["loss"] for row in read_metrics(run.metrics)][-(LAST - STEP) :]
    return {"bits_per_dim": row.mean, "losses": losses}


def make(place: Path) -> None:
    """Fill the empty folder `place`."""
    with working_in(place):
        tiny_run.write_clips(Path("clips"), count=3, held_out=("test",))
        tiny_run.write_recipe(Path(), Path("clips"))
        run = RunFolder(Path("run"))
        go_on(run, STEP)
        shutil.copytree("run", "tried")
        given = given_by(RunFolder(Path("tried")))
        shutil.rmtree("tried")
        Path("given.json").write_text(json.dumps(given, indent=1) + "\n")
        (run.path / ".lock").unlink(missing_ok=True)
        run.run_file.unlink()  # says where it was made
        (run.checkpoints / "unfinished").rmdir()


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    packed = where / f"checkpoint-{__version__}.tar.xz"
    with tempfile.TemporaryDirectory() as folder, tarfile.open(packed, "x:xz") as tar:
        make(Path(folder))
        tar.add(folder, ".")
