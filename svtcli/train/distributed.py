"""Several processes that train as one: how they meet, agree, and miss one another.

Each is called with the same recipe and sees the same folders. Process 0 alone writes
what all share (the log, the run's facts, the seal of a checkpoint), and what it decides
or refuses holds for all. Alone, a process agrees with itself.
"""

import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from svtcli.failure import Failure, PeerLost, Refused, Stopped
from svtcli.run.device_memory import out_of_memory
from svtcli.train.watchdog import Watchdog

PATIENCE = 900
"""Seconds that a process is waited for before it counts as lost."""
HEARTBEAT = 100
"""Seconds without a sign of life after which jax gives a process up."""
LOSS = re.compile(
    r"gloo|nccl|unavailable|deadline_exceeded|connection (reset|closed|refused)"
    r"|heartbeat|coordination service|barrier",
    re.IGNORECASE,
)
"""What jax and its libraries say when a process does not answer."""
NUMBERS_OF_THIS_MACHINE = ("127.", "::1")


@dataclass(frozen=True)
class Meeting:
    """Where the processes of one training meet."""

    coordinator: str | None = None
    """HOST:PORT of process 0; None where the cluster knows."""
    processes: int | None = None
    process: int | None = None
    """Which of them this one is, from 0."""
    patience: int = PATIENCE

    @property
    def place(self) -> str:
        """For people."""
        return self.coordinator or "the cluster's coordinator"


@dataclass(frozen=True)
class Peers:
    """The processes that train together, as one of them sees them.

    Every method is called by all of them, in the same order, from the main thread.
    """

    count: int
    process: int
    watchdog: Watchdog | None = None

    @property
    def first(self) -> bool:
        """Whether this is process 0, which writes what all share."""
        return self.process == 0

    def decided(self, decide: Callable[[], Any]) -> Any:
        """What process 0 decides, a value that JSON can hold; only it is asked.

        Errors: the Failure that it meets, in every process.
        """
        if self.count == 1:
            return decide()
        self.beat()
        answer = _tell(_asked(decide) if self.first else None)
        if "failed" in answer:
            sentence, hint, code = answer["failed"]
            failure = Failure(sentence, hint)
            failure.code = code
            raise failure
        return answer["decided"]

    def refuse_differing(self, facts: Mapping[str, str]) -> None:
        """Errors: Refused, in every process, where these are not the same in all."""
        if self.count == 1:
            return
        self.beat()
        digests = [hashlib.sha256(fact.encode()).digest() for fact in facts.values()]
        own = np.stack([np.frombuffer(digest, np.uint8) for digest in digests])
        every = multihost_utils.process_allgather(own)  # [processes, facts, 32]
        for process in range(1, self.count):
            for index, name in enumerate(facts):
                if (every[process, index] != every[0, index]).any():
                    raise Refused(
                        f"process {process} has {name} other than process 0 has",
                        "all must be called alike, with one svt, and see one file "
                        "system",
                    )

    def beat(self) -> None:
        """All is well; not said for long, the process is ended with 76."""
        if self.watchdog is not None:
            self.watchdog.beat()


ALONE = Peers(1, 0)


def meeting_of(
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    cluster: bool,
    patience: int = PATIENCE,
) -> Meeting | None:
    """What was asked for on the command line; None for a process alone.

    Errors: Refused where something is missing or makes no sense.
    """
    given = {
        "--coordinator": coordinator,
        "--processes": processes,
        "--process": process,
    }
    if cluster:
        said = [flag for flag, value in given.items() if value is not None]
        if said:
            raise Refused(
                f"--cluster finds out by itself what {said[0]} says", "leave one out"
            )
        return Meeting(patience=patience)
    missing = [flag for flag, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if coordinator is None or processes is None or process is None:
        raise Refused(
            f"{missing[0]} is missing: {', '.join(given)} belong together",
            "or use --cluster, under Slurm, Open MPI or on a TPU pod",
        )
    if not 0 <= process < processes:
        raise Refused(
            f"--process {process}: the {processes} processes are 0 to {processes - 1}"
        )
    host, colon, port = coordinator.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
        raise Refused(
            f"--coordinator {coordinator}: is not HOST:PORT",
            "for example 10.0.0.1:8476",
        )
    return Meeting(coordinator, processes, process, patience)


@contextmanager
def joined(meeting: Meeting | None) -> Iterator[Peers]:
    """Meet the others; to be entered before jax has looked for devices.

    Errors: `PeerLost` where one does not come, or is lost on the way. After any error
    but `Stopped`, which all agree on, the process should end without waiting for
    Python's clean-up: jax would wait for the others there.
    """
    if meeting is None:
        yield ALONE
        return
    with _nothing_on_stdout():
        _meet(meeting)
        count, process = jax.process_count(), jax.process_index()
        silence = (
            f"process {process}: nothing has moved for {meeting.patience} s; "
            "another process is stuck or lost"
        )
        with Watchdog(meeting.patience, silence) as watchdog:
            try:
                yield Peers(count, process, watchdog)
            except Stopped:
                jax.distributed.shutdown()
                raise
            except Failure:
                raise
            except (RuntimeError, ValueError) as error:
                if lost := peer_lost(error):
                    raise lost from error
                raise
        jax.distributed.shutdown()


def peer_lost(error: BaseException) -> PeerLost | None:
    """What it comes from, where that is the loss of another process; else None."""
    if not jax.distributed.is_initialized() or not LOSS.search(str(error)):
        return None
    if out_of_memory(error):  # XLA lists a step's operations then: barriers, and so on
        return None
    line = str(error).strip().splitlines()[0]
    return PeerLost(
        f"another process was lost: {line[:200]}",
        "start all of them again: they go on from the last checkpoint",
    )


def _meet(meeting: Meeting) -> None:
    """Become one of several processes."""
    if jax.config.jax_cpu_collectives_implementation is None:  # type: ignore[attr-defined]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if meeting.process == 0:
        _refuse_unusable(meeting.place)
    elif meeting.coordinator is not None:
        _knock(meeting.coordinator, meeting.patience)
    missed = f"{meeting.place}: not all processes came within {meeting.patience} s"
    with Watchdog(meeting.patience, missed, stacks=False):
        if meeting.coordinator is None:
            _meet_in_cluster(meeting)
        else:
            _meet_at(meeting.coordinator, meeting)


def _meet_at(coordinator: str, meeting: Meeting) -> None:
    """One of as many processes as were said, at the address that was said."""
    jax.distributed.initialize(
        coordinator,
        meeting.processes,
        meeting.process,
        # By itself it listens to the whole world, without a password.
        coordinator_bind_address=os.environ.get("JAX_COORDINATOR_BIND_ADDRESS")
        or coordinator,
        cluster_detection_method="deactivate",
        # Ours ends first, with a sentence instead of a stack.
        initialization_timeout=2 * meeting.patience,
        heartbeat_timeout_seconds=min(HEARTBEAT, meeting.patience),
    )


def _meet_in_cluster(meeting: Meeting) -> None:
    """Slurm, Open MPI, Kubernetes or a TPU pod: jax knows how they tell."""
    try:
        jax.distributed.initialize(
            initialization_timeout=2 * meeting.patience,
            heartbeat_timeout_seconds=min(HEARTBEAT, meeting.patience),
        )
    except ValueError as error:
        raise Refused(
            "--cluster: this is no Slurm, Open MPI or Kubernetes job and no TPU pod",
            "say --coordinator, --processes and --process",
        ) from error


def _refuse_unusable(coordinator: str) -> None:
    """Errors: Refused where process 0 could not listen there, or not be reached."""
    host, _, port = coordinator.rpartition(":")
    bare = host.strip("[]")
    try:
        found = socket.getaddrinfo(bare, int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(found[0], socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(found[4])
    except OSError as error:
        raise Refused(
            f"--coordinator {coordinator}: process 0 cannot listen there: "
            f"{error.strerror or error}",
            "it must be an address of the machine that process 0 runs on, with a free "
            "port",
        ) from error
    number = str(found[4][0])
    here_only = number.startswith(NUMBERS_OF_THIS_MACHINE)
    if (
        here_only
        and bare != "localhost"
        and not bare.startswith("127.")
        and bare != "::1"
    ):
        raise Refused(
            f"--coordinator {coordinator}: {bare} is {number} on this machine, where "
            "no other can reach it",
            "give the address in numbers",
        )


def _knock(coordinator: str, patience: int) -> None:
    """Wait until process 0 listens. Errors: PeerLost if it never does."""
    host, _, port = coordinator.rpartition(":")
    until = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise PeerLost(
                    f"{coordinator}: process 0 does not answer: "
                    f"{error.strerror or error}",
                    "start process 0 there, and see that the port is open",
                ) from error
            time.sleep(0.2)


def _asked(decide: Callable[[], Any]) -> dict[str, Any]:
    """What was decided, or why not, as it is told to the others."""
    try:
        return {"decided": decide()}
    except Failure as failure:
        return {"failed": [failure.sentence, failure.hint, failure.code]}


def _tell(answer: dict[str, Any] | None) -> dict[str, Any]:
    """The answer of process 0, which alone has one, in every process."""
    text = json.dumps(answer).encode() if answer is not None else b""
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    # In steps of a kilobyte: each other size would have to be compiled.
    room = np.zeros(-(-size // 1024) * 1024, np.uint8)
    room[: len(text)] = np.frombuffer(text, np.uint8)
    told = multihost_utils.broadcast_one_to_all(room)
    heard: dict[str, Any] = json.loads(told.tobytes()[:size])
    return heard


@contextmanager
def _nothing_on_stdout() -> Iterator[None]:
    """Send what libraries print to stderr (gloo greets each peer): results go there."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
