"""Builds groups on a Ray cluster: one CPU and one crash-proof worker for each group.

Ray moves a group elsewhere when a machine is lost; within a group, a decoder that
crashes or hangs takes only its file with it, as on one machine. Frames go straight to
the shared folder, and nothing but counts travels through Ray.
"""

import socket
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from svtcli.clips.format import Layout
from svtcli.failure import Failure, Refused
from svtcli.prepare.build import build_here
from svtcli.prepare.journal import Built, Journal
from svtcli.prepare.plan import Group, Outcome, Task
from svtcli.prepare.workers import POLL
from svtcli.run.distribution import install_command
from svtcli.run.signals import RESUME

PATIENCE = 10.0
"""Seconds that a cluster may take to answer."""
RETRIES = 3
"""How often a group may lose its machine."""


class ClusterFailed(Failure):
    """A machine of the cluster was lost again and again."""


def build_on_ray(
    groups: tuple[Group, ...],
    layout: Layout,
    journal: Journal,
    address: str | None,
    workers: int | None,
    time_limit: float,
    check: Callable[[], None],
) -> Generator[tuple[Group, Built], None, None]:
    """Build groups wherever there is room, each as soon as it is finished.

    `address` is a cluster's (`auto` finds the one of this machine), None starts Ray
    here with `workers` CPUs. All machines must see `journal.out` under the same path.
    `check` is called often, and may raise to stop. Errors: `Refused` without Ray or
    cluster, `ClusterFailed`, those of a group.
    """
    ray = _import_ray()
    _connect(ray, address, workers)
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(build_one)
        # Absolute, because the workers of Ray stand in folders of their own.
        place = replace(journal, out=journal.out.absolute())
        running = {
            remote.remote(group, layout, place, time_limit): group for group in groups
        }
        while running:
            check()
            done, _ = ray.wait(list(running), num_returns=1, timeout=POLL)
            for reference in done:
                group = running.pop(reference)
                yield group, _result(ray, reference, group)
    finally:
        ray.shutdown()


def build_one(
    group: Group, layout: Layout, journal: Journal, time_limit: float
) -> Built:
    """What Ray runs on some machine. A group that is recorded already is read."""
    if (built := journal.read(group)) is not None:
        return built
    ((_, built),) = build_here(
        (group,), layout, journal, group.name, 1, time_limit, _watch_nothing
    )
    return built


def _watch_nothing(task: Task, outcome: Outcome) -> None:
    """The driver learns of a group when it is whole."""


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise Refused(
            "--engine ray: Ray is not installed",
            f"install it: {install_command('ray')}",
        ) from None
    return ray


def _connect(ray: Any, address: str | None, workers: int | None) -> None:
    """Quietly join a cluster, or start one of this machine alone."""
    settings: dict[str, Any] = {
        "logging_level": "ERROR",
        "log_to_driver": False,
        "address": address or "local",
    }
    if address is None:
        settings |= {"num_cpus": workers, "include_dashboard": False}
    try:
        _knock(address)
        ray.init(**settings)
    except (OSError, ValueError, RuntimeError) as error:
        why = str(error).strip().splitlines()[0]
        raise Refused(
            f"--address {address}: no Ray cluster there ({why})",
            "start one with `ray start --head`, or leave out --address",
        ) from error


def _knock(address: str | None) -> None:
    """Ray itself waits for minutes where nobody answers. Errors: `OSError`."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()


def _result(ray: Any, reference: Any, group: Group) -> Built:
    """What a group gave. An error of its own is raised as if it had happened here."""
    try:
        built: Built = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, BaseException):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise ClusterFailed(
            f"{group.name}: lost {RETRIES + 1} times by the cluster "
            f"({type(error).__name__})",
            f"what is finished is kept; {RESUME}",
        ) from error
    return built
