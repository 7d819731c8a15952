"""Copy a run as it was at one of its checkpoints, into a new run to train further."""

import os
import shutil

from svtcli.failure import Refused, StorageFailed
from svtcli.run.directory import RunFolder, read_run
from svtcli.run.durable import move_into_place, removed, write_atomic
from svtcli.run.metrics_log import MetricsLog, read_rows
from svtcli.train.commit_record import Checkpoint, CorruptCheckpoint, seal, verify


def copy_run(checkpoint: Checkpoint, to: RunFolder, dry_run: bool = False) -> None:
    """Create the run `to` with all that resuming at the checkpoint's step needs.

    These are recipe, facts, metrics up to that step, and the checkpoint with its
    optimizer state. Errors: Refused if there is such a run; BadData; StorageFailed.
    """
    if to.path.exists():
        raise Refused(f"{to.path}: already exists", "name another run")
    run, step = checkpoint.run, checkpoint.step
    read_run(run)  # refuses damaged facts
    rows = [row for row in read_rows(run.metrics) if row["step"] <= step]
    if dry_run:
        return
    new = RunFolder(to.path.with_name(f".{to.path.name}.{os.getpid()}"))
    with removed(new.path):
        place = new.checkpoints / str(step)
        shutil.copytree(run.checkpoints / str(step), place)
        try:
            seal(place, verify(place))
        except CorruptCheckpoint as damage:
            what = f"{run.checkpoints / str(step)}: damaged checkpoint: {damage}"
            raise StorageFailed(what, "copy another one") from damage
        with MetricsLog(new.metrics) as log:
            for row in rows:
                log.append(int(row.pop("step")), **row)
            log.sync()
        for name in ("recipe_file", "run_file"):
            write_atomic(getattr(new, name), getattr(run, name).read_bytes())
        move_into_place(new.path, to.path)
