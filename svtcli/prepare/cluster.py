"""Build groups on a Ray cluster: one CPU and one worker process for each group.

Ray moves a group elsewhere when a machine is lost; within a group, a decoder that
crashes or hangs loses only its file, as on one machine. Frames go straight to the
shared folder, and only counts travel through Ray.
"""

import socket
from collections.abc import Callable, Generator
from dataclasses import replace
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
    """The cluster lost machines again and again."""


def build_on_ray(
    groups: tuple[Group, ...],
    layout: Layout,
    journal: Journal,
    options: PrepareOptions,
    check: Callable[[], None],
) -> Generator[tuple[Group, Built], None, None]:
    """Build groups wherever there is room, and yield each when it is finished.

    `options.address` is a cluster's (`auto` finds the one of this machine), None starts
    Ray here with `options.workers` CPUs. All machines must see `journal.out` under the
    same path. `check` is called often, and may raise to stop. Errors: `Refused` without
    Ray or cluster, `ClusterFailed`, those of a group.
    """
    ray = _connect(options.address, options.workers)
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(build_one)
        # Absolute, because the workers of Ray run in folders of their own.
        place = replace(journal, out=journal.out.absolute())
        single = replace(options, workers=1)
        running = {
            remote.remote(group, layout, place, single): group for group in groups
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
    group: Group, layout: Layout, journal: Journal, options: PrepareOptions
) -> Built:
    """Build one group on some machine, or read it if it is finished already."""
    if (built := journal.read(group)) is not None:
        return built
    ((_, built),) = build_here((group,), layout, journal, options, group.name)
    return built


def _connect(address: str | None, workers: int | None) -> Any:
    """Join a cluster without output, or start one of this machine alone."""
    try:
        import ray
    except ImportError:
        raise Refused(
            "--engine ray: Ray is not installed",
            f"install it: {install_command('ray')}",
        ) from None
    settings: dict[str, Any] = {
        "logging_level": "ERROR",
        "log_to_driver": False,
        "address": address or "local",
    }
    if address is None:
        settings |= {"num_cpus": workers, "include_dashboard": False}
    try:
        host, _, port = (address or "").removeprefix("ray://").rpartition(":")
        if host and port.isdecimal():  # without an answer Ray waits for minutes
            to = host.strip("[]"), int(port)
            socket.create_connection(to, PATIENCE).close()
        with handlers_kept():
            ray.init(**settings)
    except (OSError, ValueError, RuntimeError) as error:
        raise Refused(
            f"--address {address}: no Ray cluster there ({in_words(error)})",
            "start one with `ray start --head`, or leave out --address",
        ) from error
    return ray


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
