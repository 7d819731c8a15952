"""Trackers: services that show a run's metrics, scores and pictures (`train.log`).

TensorBoard reads `tensorboard/` in the run folder (extra `tensorboard`). Weights &
Biases gets everything sent, or offline keeps it in `wandb/` until `wandb sync` (extra
`wandb`). Both are copies: `metrics.jsonl` and `eval/` are complete without them.
"""

import io
import math
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from shlex import quote
from typing import Any, Protocol

from svtcli.failure import Refused, in_words
from svtcli.recipe.schema import Tracker as Name
from svtcli.recipe.setting import dotted
from svtcli.run.directory import RunFolder, read_run
from svtcli.run.distribution import install_command
from svtcli.run.durable import read_record, write_record
from svtcli.run.metrics_log import Rows

Note = Callable[[str], None]
PACKAGES: dict[Name, str] = {"tensorboard": "tensorboardX", "wandb": "wandb"}
"""Package that a tracker needs; the extra has the tracker's name."""
WANDB_ID = "run.json"
"""File in `wandb/` with the ID under which a resumed run continues its page."""


class Tracker(Rows, Protocol):
    """A service that shows rows of metrics or scores, and pictures; closed at the end.

    Steps may repeat: a resumed run logs those after its checkpoint again.
    """

    def picture(self, step: int, file: Path) -> None:
        """Show a PNG or a GIF of `step`, by the name of its file."""

    def close(self, error: BaseException | None) -> None:
        """Send everything; `error` ended the command, if any."""


def require_packages(names: Sequence[Name]) -> None:
    """Refuse trackers whose packages are not installed. Errors: Refused."""
    for name in names:
        if find_spec(PACKAGES[name]) is None:
            raise Refused(
                f"train.log: {PACKAGES[name]} is not installed",
                f"install it: {install_command(name)}",
            )


@contextmanager
def open_trackers(run: RunFolder, names: Sequence[Name], note: Note) -> Iterator[Any]:
    """Open the trackers of a run; yield a tuple of them."""
    with ExitStack() as opened:
        trackers: list[Tracker] = []
        for name in dict.fromkeys(names):
            board = name == "tensorboard"
            tracker = TensorBoard(run.tensorboard) if board else WandB(run, note)
            opened.push(partial(_close, tracker))
            trackers.append(tracker)
        yield tuple(trackers)


def _close(
    tracker: Tracker, kind: object, error: BaseException | None, trace: object
) -> None:
    """Close the tracker, as the exit of a context."""
    tracker.close(error)


class TensorBoard:
    """Event files for TensorBoard (extra `tensorboard`) in `folder`.

    One file for each start of a run; a resumed run repeats steps, and TensorBoard is
    told to forget those in the previous file. Written in this thread, without
    tensorboardX's queue, which would hide a full disk and wait forever.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def append(self, step: int, **values: float | int) -> None:
        """Add the values of `step`, except those that are not finite."""
        from tensorboardX.proto.summary_pb2 import Summary

        self._write(
            step,
            *(
                Summary.Value(tag=name, simple_value=float(value))
                for name, value in values.items()
                if math.isfinite(value) and name != "time"  # which each event has
            ),
        )

    def picture(self, step: int, file: Path) -> None:
        """Show a PNG or a GIF of `step`, which plays."""
        from tensorboardX.proto.summary_pb2 import Summary

        content = file.read_bytes()
        gif = content.startswith(b"GIF")
        form, at = ("<2H", 6) if gif else (">2I", 16)  # else a PNG
        width, height = struct.unpack_from(form, content, at)
        image = Summary.Image(
            height=height,
            width=width,
            colorspace=3,  # RGB
            encoded_image_string=content,
        )
        self._write(step, Summary.Value(tag=file.stem, image=image))

    def sync(self) -> None:
        """Do nothing: these are a copy of `metrics.jsonl`."""

    def close(self, error: BaseException | None = None) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, step: int, *values: Any) -> None:
        """Write the values of `step` as one event, in a new file at the first call."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary

        now = time.time()
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Its name has only seconds, and an existing file would be overwritten.
            count = len(list(self._folder.iterdir()))
            self._writer = EventsWriter(str(self._folder / "events"), f".{count}")
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(step=step, wall_time=now, session_log=start))
        summary = Summary(value=values)
        self._writer.write_event(Event(step=step, wall_time=now, summary=summary))
        self._writer.flush()


class WandB:
    """A run of Weights & Biases (extra `wandb`), the same one after a resume.

    Its environment variables apply: WANDB_PROJECT (default: `svt`), WANDB_ENTITY,
    WANDB_MODE. Without a login or a connection it is written offline, with a note; a
    failure later on ends the copy, never the training.
    """

    def __init__(self, run: RunFolder, note: Note) -> None:
        import wandb

        self._wandb, self._note, self._failed = wandb, note, False
        try:
            self._run = self._begin(run)
        except wandb.errors.Error as error:
            note(f"wandb: {in_words(error).splitlines()[0]}; written offline")
            self._run = self._begin(run, mode="offline")
        if self._run.offline:
            folder = Path(self._run.dir).parent
            note(f"wandb is offline; to upload: wandb sync {quote(str(folder))}")
        else:
            note(f"wandb: {self._run.url}")
        # Rows are drawn over the run's own steps, which may repeat.
        self._run.define_metric("*", step_metric="step")

    def _begin(self, run: RunFolder, **mode: str) -> Any:
        """Begin the run, or continue it. Errors: those of wandb."""
        wandb = self._wandb
        record = run.wandb / WANDB_ID
        if record.is_file():
            remedy = "remove it; a new run of wandb then begins"
            name = str(read_record(record, remedy, ("id",))["id"])
        else:
            name = token_hex(8)
            write_record(record, {"id": name})
        # wandb would write over what it began in the same second.
        while any(run.wandb.glob(f"*{time.strftime('%Y%m%d_%H%M%S')}-{name}")):
            time.sleep(0.1)
        settings = wandb.Settings(
            silent=True, console="off", disable_git=True, save_code=False
        )
        facts = {f"run.{key}": value for key, value in asdict(read_run(run)).items()}
        stdin, sys.stdin = sys.stdin, io.StringIO()  # wandb would ask for a login
        try:
            return wandb.init(
                id=name,
                resume="allow",
                name=run.name,
                project=wandb.Settings().project or "svt",
                dir=str(run.path),
                config=dotted(run.recipe()) | facts,
                allow_val_change=True,
                settings=settings,
                **mode,
            )
        finally:
            sys.stdin = stdin

    def append(self, step: int, **values: float | int) -> None:
        """Send the values of `step`."""
        self._send(lambda: self._run.log({"step": step, **values}))

    def picture(self, step: int, file: Path) -> None:
        """Send a PNG, or a GIF, which plays."""
        kind = self._wandb.Video if file.suffix == ".gif" else self._wandb.Image
        self._send(lambda: self._run.log({"step": step, file.stem: kind(str(file))}))

    def sync(self) -> None:
        """Do nothing: wandb sends from a process of its own."""

    def close(self, error: BaseException | None = None) -> None:
        """Wait until everything is sent; the run failed if there is an `error`."""
        self._send(lambda: self._run.finish(exit_code=int(error is not None)))

    def _send(self, call: Callable[[], object]) -> None:
        """Call wandb, unless it has failed before."""
        if self._failed:
            return
        try:
            call()
        except Exception as error:  # of any library in wandb
            self._failed = True
            words = in_words(error).splitlines()[0]
            self._note(f"wandb failed, and gets nothing more of this run: {words}")
