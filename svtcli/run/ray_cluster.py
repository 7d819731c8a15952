"""Ray: jobs on the machines of a cluster, or on this one.

Ray moves a job elsewhere when a machine is lost. Only small values travel: all machines
see the same files under the same paths.
"""

import os
import socket
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from svtcli.failure import Failure, Refused, in_words
from svtcli.run.distribution import install_command
from svtcli.run.signals import RESUME, handlers_kept

PATIENCE = 10.0
"""Seconds that a cluster may take to answer."""
POLL = 0.2
"""Seconds between two calls of `check`."""
RETRIES = 3
"""Machines that a job may lose before it is given up."""

Result = TypeVar("Result")


class ClusterFailed(Failure):
    """The cluster lost machines again and again, or one of them lacks a file."""


@contextmanager
def connected(address: str | None, workers: int | None = None) -> Iterator[Any]:
    """Yield Ray, connected to a cluster; jax may be imported only afterwards.

    `address` is a cluster's (`auto` finds the one of this machine); None starts Ray
    here, with `workers` CPUs. Errors: `Refused` without Ray or cluster.
    """
    ray = _connect(address, workers)
    try:
        yield ray
    finally:
        ray.shutdown()


def run_on_ray(
    ray: Any,
    work: Callable[[bytes], Result],
    jobs: Sequence[tuple[str, bytes]],
    check: Callable[[], None],
    resources: Mapping[str, Any],
    grace: float = 0.0,
) -> Generator[tuple[int, Callable[[], Result]], None, None]:
    """Call `work` on the bytes of every job; yield each number and its result's getter.

    `jobs` have names, and `resources` each. `check` is called often, and may raise to
    stop; the jobs then have `grace` seconds to save their work. Errors of a result:
    `ClusterFailed` and those of its job.
    """
    remote = ray.remote(max_retries=RETRIES, **resources)(work)
    running = {remote.remote(job): number for number, (_, job) in enumerate(jobs)}
    try:
        while running:
            check()
            done, _ = ray.wait(list(running), num_returns=1, timeout=POLL)
            for reference in done:
                number = running.pop(reference)
                yield number, partial(_result, ray, reference, jobs[number][0])
    finally:
        if grace and running:
            for reference in running:
                ray.cancel(reference)
            ray.wait(list(running), num_returns=len(running), timeout=grace)


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


def _result(ray: Any, reference: Any, name: str) -> Any:
    """Result of a job, or its error raised."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, BaseException):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise ClusterFailed(
            f"{name}: lost {RETRIES + 1} times by the cluster",
            f"what was finished is kept; {RESUME}",
        ) from error
