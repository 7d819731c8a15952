"""Build groups on a Ray cluster: one CPU and one worker process for each group.

Ray moves a group elsewhere when a machine is lost; within a group, a decoder that
crashes or hangs loses only its file, as on one machine. Frames go straight to the
shared folder, and only counts travel through Ray.
"""

import io
import os
import pickle
import socket
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from svtcli.clips.format import Layout
from svtcli.failure import Failure, Refused, in_words
from svtcli.prepare.build import PrepareOptions, build_here
from svtcli.prepare.journal import Built, Journal
from svtcli.prepare.plan import Group
from svtcli.prepare.workers import POLL
from svtcli.run.distribution import install_command
from svtcli.run.signals import RESUME, handlers_kept

PATIENCE = 10.0
"""Seconds that a cluster may take to answer."""
RETRIES = 3
"""Machines that a group may lose before it is given up."""


class ClusterFailed(Failure):
    """The cluster lost machines again and again, or one of them lacks a file."""


class Parcel(pickle.Pickler):
    """Pickler that makes paths absolute: each worker of Ray has its own folder."""

    def reducer_override(self, value: Any) -> Any:
        """Make a path absolute; leave all else to pickle."""
        if isinstance(value, Path):
            return type(value), (str(value.absolute()),)
        return NotImplemented


def build_on_ray(
    groups: tuple[Group, ...],
    layout: Layout,
    journal: Journal,
    options: PrepareOptions,
    check: Callable[[], None],
) -> Generator[tuple[Group, Built], None, None]:
    """Build groups wherever there is room, and yield each when it is finished.

    `options.address` is a cluster's (`auto` finds the one of this machine), None starts
    Ray here with `options.workers` CPUs. All machines must see the source and
    `journal.out` under the same paths. `check` is called often, and may raise to stop.
    Errors: `Refused` without Ray or cluster, `ClusterFailed`, those of a group.
    """
    ray = _connect(options.address, options.workers)
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(build_one)
        single = replace(options, workers=1)
        running = {
            remote.remote(_packed(group, layout, journal, single)): group
            for group in groups
        }
        while running:
            check()
            done, _ = ray.wait(list(running), num_returns=1, timeout=POLL)
            for reference in done:
                group = running.pop(reference)
                yield group, _result(ray, reference, group)
    finally:
        ray.shutdown()


def build_one(packed: bytes) -> Built:
    """Build one group on some machine, or read it if it is finished already.

    Errors: `ClusterFailed` where this machine lacks the source or the clips' folder.
    """
    # Bytes of `_packed` in the calling process; Ray unpickles arguments all the same.
    group, layout, journal, options = pickle.loads(packed)  # noqa: S301
    files = (file for task in group.tasks for file in task.files)
    for path in (journal.folder, *files):
        if not path.exists():
            raise ClusterFailed(
                f"{path}: missing on {socket.gethostname()}, a machine of the cluster",
                f"is the folder shared? Finished shards are kept; {RESUME}",
            )
    if (built := journal.read(group)) is not None:
        return built
    ((_, built),) = build_here((group,), layout, journal, options, group.name)
    return built


def _packed(*work: Group | Layout | Journal | PrepareOptions) -> bytes:
    """Pickle work with absolute paths."""
    buffer = io.BytesIO()
    Parcel(buffer).dump(work)
    return buffer.getvalue()


def _connect(address: str | None, workers: int | None) -> Any:
    """Join a cluster without output, or start one of this machine alone."""
    try:
        import ray
    except ImportError:
        raise Refused(
            "--engine ray: Ray is not installed",
            f"install it: {install_command('ray')}",
        ) from None
    settings: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address is None:
        settings |= {"num_cpus": workers, "include_dashboard": False}
    where = "there"
    try:
        if address is not None:
            known = _known(address)
            where = where if known == address else f"at {known}"
            _knock(known)
        with handlers_kept():
            ray.init(address=address or "local", **settings)
    except (OSError, ValueError, RuntimeError) as error:
        raise Refused(
            f"--address {address}: no Ray cluster {where} ({in_words(error)})",
            "start one with `ray start --head`, or leave out --address",
        ) from error
    return ray


def _known(address: str) -> str:
    """Address to which `auto` leads: `RAY_ADDRESS`, or what Ray knows of this machine.

    The cluster there may have died. Errors: `OSError` where Ray knows of none.
    """
    if address != "auto":
        return address
    if stated := os.environ.get("RAY_ADDRESS"):
        return stated
    from ray._private.services import canonicalize_bootstrap_address_or_die

    return canonicalize_bootstrap_address_or_die("auto")


def _knock(address: str) -> None:
    """Require that something listens: without an answer Ray waits for minutes.

    A cluster that `ray start` began on this machine wants the token that Ray keeps
    here, if there is one. Errors: `OSError`.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    with socket.create_connection((host.strip("[]"), int(port)), PATIENCE) as knock:
        here = knock.getsockname()[0] == knock.getpeername()[0]
    if here:
        with suppress(ImportError):  # an older Ray has no tokens
            from ray._private.authentication import authentication_token_setup as setup

            setup.logger.setLevel("ERROR")
            setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _result(ray: Any, reference: Any, group: Group) -> Built:
    """Return a group's result, or raise its error."""
    try:
        built: Built = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, BaseException):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise ClusterFailed(
            f"{group.name}: lost {RETRIES + 1} times by the cluster",
            f"finished shards are kept; {RESUME}",
        ) from error
    return built
