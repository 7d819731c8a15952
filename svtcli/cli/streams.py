"""Standard streams and the locale: work goes on without a terminal that reads it, and
names of files are UTF-8.
"""

import io
import os
import sys
from typing import Any


def protect_streams() -> None:
    """Open closed standard streams on the null device; let stderr lose its text.

    Call it first: the number of a closed stream goes to the next file that is opened,
    and messages into that file. Stderr may be a closed terminal, a pipe to `head`, or
    a log on a full disk; the work goes on without it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            os.set_inheritable(number, True)
            mode = "r" if name == "stdin" else "w"
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Lossy(2, "w", closefd=False)),
        encoding=sys.stderr.encoding,
        errors=sys.stderr.errors,
        line_buffering=True,
    )


def read_names_as_utf8() -> None:
    """Start this process anew in Python's UTF-8 mode if names have another encoding.

    The same clips and labels have the same names then, whatever the shell's locale. The
    terminal keeps its encoding.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        encoding = os.environ.get("PYTHONIOENCODING") or sys.stdout.encoding
        new = {"PYTHONUTF8": "1", "PYTHONIOENCODING": encoding}
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **new})  # noqa: S606


def discard_stdout() -> None:
    """Discard what stdout cannot take; Python would report it again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


class _Lossy(io.FileIO):
    """File that accepts everything, and drops what cannot be written."""

    def write(self, data: Any) -> int:
        """Return the number of bytes that were written or dropped."""
        try:
            written = super().write(data)
        except OSError:
            written = None
        return memoryview(data).nbytes if written is None else written
