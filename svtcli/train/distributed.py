"""Several processes that train as one: meeting, agreeing, noticing a lost one.

Each is called with the same recipe and sees the same folders. Process 0 alone writes
shared files (the log, `run.json`, commit records); its decisions and refusals hold for
all. A single process agrees with itself.
"""

import faulthandler
import hashlib
import json
import os
import re
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from svtcli.failure import Failure, PeerLost, Refused, Stopped, in_words
from svtcli.run.distribution import install_command
from svtcli.run.signals import StopSignals, uninterrupted
from svtcli.train.memory import out_of_memory

PATIENCE = 900
"""Seconds to wait for a process before it counts as lost."""
COMPILING = 3600
"""Least seconds that compiling and the first run of what was compiled may take."""
HEARTBEAT = 100
"""Seconds without a heartbeat after which jax considers a process lost."""
LOSS = re.compile(
    r"gloo|nccl|unavailable|deadline_exceeded|connection (reset|closed|refused)"
    r"|heartbeat|coordination service|barrier",
    re.IGNORECASE,
)
"""Error messages of jax and its libraries when a process does not answer."""
IN_A_POD = "KUBERNETES_SERVICE_HOST"
"""Variable that Kubernetes sets in every pod."""
LOOPBACK = ("127.", "::1")


class Watchdog:
    """Timer that ends this process with 76 after `patience` seconds without `beat`.

    jax notices a lost process, but would wait forever for one that is alive and stuck.
    As a context manager it watches while entered; `stacks` prints every thread's stack.
    """

    def __init__(self, patience: float, sentence: str, stacks: bool = True) -> None:
        self._patience, self._sentence, self._stacks = patience, sentence, stacks
        self._heard = threading.Event()
        self._over = False
        self._thread = threading.Thread(
            target=self._watch, name="watchdog", daemon=True
        )

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self.beat()
        self._thread.join()

    def beat(self) -> None:
        """Restart the timer."""
        self._heard.set()

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Wait for `COMPILING` seconds inside: a compiler works, but cannot `beat`."""
        patience, self._patience = self._patience, max(self._patience, COMPILING)
        self.beat()
        try:
            yield
        finally:
            self._patience = patience
            self.beat()

    def _watch(self) -> None:
        while self._heard.wait(self._patience):
            self._heard.clear()
            if self._over:
                return
        if self._stacks:
            faulthandler.dump_traceback(2)
        # The main thread cannot raise this: it waits inside a library.
        os.write(2, f"svt: error: {self._sentence}\n".encode())
        os._exit(PeerLost.code)


@dataclass(frozen=True)
class Meeting:
    """Address at which the processes of one training meet."""

    coordinator: str | None = None
    """HOST:PORT of process 0; None to ask the cluster."""
    processes: int | None = None
    process: int | None = None
    """Number of this process, from 0."""
    patience: int = PATIENCE

    @property
    def place(self) -> str:
        """Address for people."""
        return self.coordinator or "the cluster's coordinator"


@dataclass(frozen=True)
class Peers:
    """Processes that train together, from the view of one of them.

    All processes call every method, in the same order, from the main thread.
    """

    count: int
    process: int
    watchdog: Watchdog | None = None

    @property
    def first(self) -> bool:
        """True in process 0, which writes shared files."""
        return self.process == 0

    def decided(self, decide: Callable[[], Any]) -> Any:
        """Result of `decide` in process 0, broadcast to all; it must be valid JSON.

        Errors: the Failure raised in process 0, in every process.
        """
        if self.count == 1:
            return decide()
        self.beat()
        answer = _broadcast(_result(decide) if self.first else None)
        if "failed" in answer:
            sentence, hint, code = answer["failed"]
            failure = Failure(sentence, hint)
            failure.code = code
            raise failure
        return answer["decided"]

    def refuse_differing(self, facts: Mapping[str, str]) -> None:
        """Refuse, in every process, facts that are not the same in all of them."""
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
                        f"process {process} differs from process 0 in its {name}",
                        "all need the same arguments, packages and file system",
                    )

    def beat(self) -> None:
        """Tell the watchdog that this process is alive."""
        if self.watchdog is not None:
            self.watchdog.beat()

    def compiling(self) -> AbstractContextManager[None]:
        """Context of compiling, and of running for the first time what was compiled.

        It ends in all processes together, so that none waits for one that compiles.
        """
        return nullcontext() if self.watchdog is None else self.watchdog.compiling()


ALONE = Peers(1, 0)


class AgreedStop(StopSignals):
    """Stop signals on which all processes agree; all poll at the same points.

    A signal may reach one process alone, or each at another moment. jax catches SIGTERM
    (a handler of ours would hide it) and forwards it to the other processes, so Ctrl-C
    and SIGHUP are passed on as SIGTERM.
    """

    caught = (signal.SIGINT, signal.SIGHUP)

    def __init__(self, peers: Peers) -> None:
        super().__init__()
        self._peers = peers
        self._polled = 0
        self._agreed = False

    def requested(self) -> bool:
        """Return True once every process has come to the point to stop at."""
        self._peers.beat()
        self._polled += 1
        if multihost_utils.reached_preemption_sync_point(self._polled):
            self._agreed = True
            self.received = self.received or signal.SIGTERM
        return self._agreed

    def remember(self, number: signal.Signals) -> None:
        """Note the first signal, and tell the other processes through jax."""
        if self.received is None:
            self.received = number
            os.kill(os.getpid(), signal.SIGTERM)


def stop_signals(peers: Peers) -> StopSignals:
    """Stop signals for one process, or agreed on by several."""
    return StopSignals() if peers.count == 1 else AgreedStop(peers)


@contextmanager
def joined(meeting: Meeting | None) -> Iterator[Peers]:
    """Meet the other processes; to be entered before jax looks for devices.

    Errors: PeerLost if one does not arrive, or is lost later. After any error but
    Stopped, which all agree on, exit without Python's clean-up, in which jax would wait
    for the others.
    """
    if meeting is None:
        yield ALONE
        return
    with _stdout_to_stderr():
        _meet(meeting)
        with uninterrupted():  # none leaves alone while the others wait for it
            with _met(meeting.patience) as peers:
                yield peers
            jax.distributed.shutdown()


@contextmanager
def _met(patience: int) -> Iterator[Peers]:
    """Work as one of several processes, under a watchdog."""
    count, process = jax.process_count(), jax.process_index()
    silence = (
        f"process {process}: no progress for {patience} s; "
        "another process is stuck or lost"
    )
    with Watchdog(patience, silence) as watchdog:
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


def peer_lost(error: BaseException) -> PeerLost | None:
    """Return the PeerLost that `error` stands for; None for any other error."""
    if not jax.distributed.is_initialized() or not LOSS.search(str(error)):
        return None
    if out_of_memory(error):  # XLA lists a step's operations then: barriers, and so on
        return None
    return PeerLost(
        f"another process was lost: {in_words(error, 'it does not answer')}",
        "start all processes again to resume from the last checkpoint",
    )


def _meet(meeting: Meeting) -> None:
    """Join the other processes."""
    if jax.config.jax_cpu_collectives_implementation is None:  # type: ignore[attr-defined]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if meeting.process == 0:
        _refuse_unusable(meeting.place)
    elif meeting.coordinator is not None:
        _knock(meeting.coordinator, meeting.patience)
    missed = f"{meeting.place}: not all processes arrived within {meeting.patience} s"
    join = partial(
        jax.distributed.initialize,
        # Our watchdog ends first, with one sentence instead of a stack.
        initialization_timeout=2 * meeting.patience,
        heartbeat_timeout_seconds=min(HEARTBEAT, meeting.patience),
    )
    with Watchdog(meeting.patience, missed, stacks=False):
        if meeting.coordinator is not None:
            # By default it listens on all interfaces, without a password.
            address = os.environ.get("JAX_COORDINATOR_BIND_ADDRESS")
            join(
                meeting.coordinator,
                meeting.processes,
                meeting.process,
                coordinator_bind_address=address or meeting.coordinator,
                cluster_detection_method="deactivate",
            )
            return
        try:
            with warnings.catch_warnings():  # of a package that is missing
                warnings.filterwarnings("ignore", r"\s*Kubernetes environment")
                join()  # as Slurm, Open MPI, Kubernetes or a TPU pod say: jax asks
        except (Failure, jax.errors.JaxRuntimeError):
            raise
        except Exception as error:
            if isinstance(error, ValueError) or IN_A_POD in os.environ:
                raise _no_cluster(error) from error
            raise


def _no_cluster(error: Exception) -> Refused:
    """Return the refusal of `--cluster` where jax finds no other processes."""
    hint = "give --coordinator, --processes and --process"
    if IN_A_POD not in os.environ:
        what = "this is no Slurm, Open MPI or Kubernetes job and no TPU pod"
    elif find_spec("kubernetes") is None:
        what = "Kubernetes is asked through kubernetes, a package that is not installed"
        hint = f"install it: {install_command('k8s')}; or {hint}"
    else:
        what = f"Kubernetes does not tell the other pods ({in_words(error)})"
        needs = "an indexed Job, a headless service, and leave to read pods and jobs"
        hint = f"it takes {needs}; or {hint}"
    return Refused(f"--cluster: {what}", hint)


def _refuse_unusable(coordinator: str) -> None:
    """Refuse an address where process 0 cannot listen, or cannot be reached."""
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
            f"{in_words(error)}",
            "it must be an address of the machine of process 0, with a free port",
        ) from error
    number = str(found[4][0])
    local_name = bare == "localhost" or bare.startswith(LOOPBACK)
    if number.startswith(LOOPBACK) and not local_name:
        raise Refused(
            f"--coordinator {coordinator}: {bare} is {number} on this machine, which "
            "other machines cannot reach",
            "give a numeric address",
        )


def _knock(coordinator: str, patience: int) -> None:
    """Wait until process 0 listens. Errors: PeerLost if it does not in time."""
    host, _, port = coordinator.rpartition(":")
    until = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise PeerLost(
                    f"{coordinator}: process 0 does not answer: {in_words(error)}",
                    "start process 0 there, and check that the port is open",
                ) from error
            time.sleep(0.2)


def _result(decide: Callable[[], Any]) -> dict[str, Any]:
    """Result of `decide`, or the failure it raises, as JSON."""
    try:
        return {"decided": decide()}
    except Failure as failure:
        return {"failed": [failure.sentence, failure.hint, failure.code]}


def _broadcast(answer: dict[str, Any] | None) -> dict[str, Any]:
    """The answer of process 0, which alone has one, in every process."""
    text = json.dumps(answer).encode() if answer is not None else b""
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    # In multiples of a kilobyte: every other size would have to be compiled.
    padded = np.zeros(-(-size // 1024) * 1024, np.uint8)
    padded[: len(text)] = np.frombuffer(text, np.uint8)
    received = multihost_utils.broadcast_one_to_all(padded)
    result: dict[str, Any] = json.loads(received.tobytes()[:size])
    return result


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Redirect the output of libraries (gloo greets peers): stdout is for results."""
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
