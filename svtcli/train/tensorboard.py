"""The metrics once more, as TensorBoard reads them (extra `tensorboard`).

Written in this thread, without tensorboardX's queue: a full disk must be heard of, and
not be waited for without end.
"""

import math
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from svtcli.failure import Refused
from svtcli.run.distribution import install_command


def refuse_missing_tensorboard() -> None:
    """Errors: Refused where the extra is not installed."""
    if find_spec("tensorboardX") is None:
        raise Refused(
            "train.tensorboard: tensorboardX is not installed",
            f"install it: {install_command('tensorboard')}",
        )


class TensorBoard:
    """Appends scalars below `folder`, one file for each time that a run is started.

    A resumed run repeats steps: TensorBoard is told to forget those of the file before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def append(self, step: int, **values: float | int) -> None:
        """Add the values of `step`; those that are not finite are left out."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        if self._writer is None:
            self._writer = self._opened(step)
        scalars = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in values.items()
            if math.isfinite(value) and name != "time"  # which each event has
        ]
        now, summary = time.time(), Summary(value=scalars)
        self._writer.write_event(Event(step=step, wall_time=now, summary=summary))
        self._writer.flush()

    def sync(self) -> None:
        """Nothing: these are a copy of what `metrics.jsonl` keeps."""

    def _opened(self, step: int) -> Any:
        """A new file, from `step` on."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder.mkdir(parents=True, exist_ok=True)
        # The file's name has only seconds, and one that exists would be overwritten.
        count = len(list(self._folder.iterdir()))
        writer = EventsWriter(str(self._folder / "events"), f".{count}")
        start = SessionLog(status=SessionLog.START)
        writer.write_event(Event(step=step, wall_time=time.time(), session_log=start))
        return writer
