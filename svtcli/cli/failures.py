"""Exceptions → one sentence, a hint, and the exit code. Nobody sees a traceback."""

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
    """A wrong command line, in the words of the parser."""

    exit_code: int

    def format_message(self) -> str:
        """The parser's sentence."""
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
    """(sentence, hint, exit code) of `error`; an empty sentence says nothing."""
    error = out_of_memory(error) or error
    match error:
        case Failure():
            return error.sentence, error.hint, error.code
        case KeyboardInterrupt() | typer.Abort():
            return "interrupted", None, 130
        case BrokenPipeError():
            return "", None, 1
        case OSError(errno=number) if number in STORAGE:
            return _storage_sentence(error), "free some space, then run again", 74
        case OSError(strerror=str(why), filename=name) if name is not None:
            return f"{name}: {why}", _unexpected_hint(), 1
        case UsageFault():
            return _usage_sentence(error), _help_hint(error), error.exit_code
        case MemoryError():
            return "out of memory", "a smaller batch needs less", 1
    return f"{type(error).__name__}: {_one_line(error)}", _unexpected_hint(), 1


def _storage_sentence(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}"


def _usage_sentence(error: UsageFault) -> str:
    said = " ".join(error.format_message().split())
    return said.replace(": Value error, ", ": ")  # it says it of enums


def _help_hint(error: UsageFault) -> str:
    context = getattr(error, "ctx", None)
    return f"see: {context.command_path if context else 'svt'} --help"


def _unexpected_hint() -> str | None:
    return None if console.settings().debug else "run with --debug for the traceback"


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
