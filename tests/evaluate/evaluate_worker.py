"""The evaluation of tests/evaluate/test_evaluate_resumed.py as a process of its own.

Arguments: the batch, and after how many slices it is killed. Without the latter it also
scores the untrained one. Prints how many clips were to be scored, on how many devices,
by how many programs.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping

from svtcli.evaluate.plan import plan_likelihood
from svtcli.evaluate.stage import evaluate, scoring_layout
from svtcli.model import likelihood
from svtcli.recipe.schema import Eval
from svtcli.run.directory import RunFolder
from svtcli.run.progress import Silent
from svtcli.train.commit_record import open_checkpoint
from tests.trained_place import RUN


class Killed(Silent):
    """kill -9 after so many slices; None never."""

    def __init__(self, after: int | None) -> None:
        self.after, self.slices, self.total = after, 0, 0

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        self.total = total or 0

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        self.slices += 1
        if self.slices == self.after:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    batch, *after = map(int, sys.argv[1:])
    settings = Eval(batch=batch, baselines=() if after else ("untrained",))
    plan = plan_likelihood(open_checkpoint(RunFolder(RUN)), settings)
    progress = Killed(after[0] if after else None)
    evaluate(plan, progress)
    said = {
        "total": progress.total,
        "devices": scoring_layout(plan, len(plan.numbers)).devices,
        "programs": likelihood._scored_nll._cache_size(),
    }
    print(json.dumps(said))
