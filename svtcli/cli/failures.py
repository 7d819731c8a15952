"""Errors as one sentence, a hint and an exit code, without a traceback."""

import errno
import sys
import traceback
from typing import Protocol, runtime_checkable

import typer

from svtcli.cli import console
from svtcli.failure import Failure
from svtcli.run.device_memory import out_of_memory

STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@runtime_checkable
class UsageFault(Protocol):
    """A wrong command line, as Typer's parser reports it."""

    exit_code: int

    def format_message(self) -> str:
        """Return the parser's sentence."""
        ...


def report(error: BaseException) -> int:
    """Print what went wrong on stderr, below a closed bar; return the exit code."""
    console.end_progress()
    if console.settings().debug:
        traceback.print_exception(error)
    sentence, hint, code = explain(error)
    if sentence:
        name = console.paint("svt: error:", "1;31")
        print(f"{name} {sentence}", file=sys.stderr)  # noqa: T201
    if hint:
        print(f"{console.paint('hint:', '1')} {hint}", file=sys.stderr)  # noqa: T201
    return code


def explain(error: BaseException) -> tuple[str, str | None, int]:
    """Return the sentence, hint and exit code of an error; print no empty sentence."""
    error = out_of_memory(error) or error
    match error:
        case Failure():
            return error.sentence, error.hint, error.code
        case KeyboardInterrupt() | typer.Abort():
            return "interrupted", None, 130
        case BrokenPipeError():
            return "", None, 1
        case OSError(errno=number) if number in STORAGE:
            place = f"{error.filename}: " if error.filename else ""
            return f"{place}{error.strerror}", "free some space, then run again", 74
        case OSError(strerror=str(why), filename=name) if name is not None:
            return f"{name}: {why}", _unexpected_hint(), 1
        case UsageFault():
            sentence = " ".join(error.format_message().split())
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "svt"
            # Typer reports enums this way.
            sentence = sentence.replace(": Value error, ", ": ")
            return sentence, f"see: {command} --help", error.exit_code
        case MemoryError():
            return "out of memory", "a smaller batch needs less", 1
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}", _unexpected_hint(), 1


def _unexpected_hint() -> str | None:
    return None if console.settings().debug else "run with --debug for the traceback"
