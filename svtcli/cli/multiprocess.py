"""A command that several processes carry out together, and how one of them leaves."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from svtcli.cli import failures
from svtcli.failure import Stopped
from svtcli.train.distributed import Meeting, Peers, joined


@contextmanager
def together(meeting: Meeting | None) -> Iterator[Peers]:
    """Meet the others; alone where `meeting` is None.

    What ends only this process ends it at once: Python's clean-up would wait for the
    others, who are told by its silence.
    """
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
