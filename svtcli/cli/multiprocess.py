"""A command that runs in several processes: its flags, and the exit of one of them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from svtcli.cli import failures
from svtcli.failure import Refused, Stopped

if TYPE_CHECKING:
    from svtcli.train.distributed import Meeting, Peers


def meeting_of(
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    cluster: bool,
    patience: int,
) -> "Meeting | None":
    """Meeting that the command line asks for; None for a single process.

    Errors: Refused for flags that are missing or contradict each other.
    """
    flags = {
        "--coordinator": coordinator,
        "--processes": processes,
        "--process": process,
    }
    missing = [flag for flag, value in flags.items() if value is None]
    if not cluster and len(missing) == len(flags):
        return None
    if cluster:
        if given := [flag for flag in flags if flag not in missing]:
            raise Refused(
                f"--cluster finds out by itself what {given[0]} says", "leave one out"
            )
        from svtcli.train.distributed import Meeting  # which imports JAX

        return Meeting(patience=patience)
    if coordinator is None or processes is None or process is None:
        raise Refused(
            f"{missing[0]} is missing: {', '.join(flags)} belong together",
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
    from svtcli.train.distributed import Meeting

    return Meeting(coordinator, processes, process, patience)


@contextmanager
def together(meeting: "Meeting | None") -> Iterator["Peers"]:
    """Meet the other processes; a single one where `meeting` is None.

    An error of this process alone ends it at once: Python's clean-up would wait for the
    others, which notice its loss.
    """
    from svtcli.train.distributed import joined

    try:
        with joined(meeting) as peers:
            yield peers
    except Stopped:
        raise
    except BaseException as error:
        if meeting is None:
            raise
        code = failures.report(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
