"""Kinds of failure: each has a sentence, a hint, and an exit code."""

import re

KINDS = {
    1: "failed",
    2: "refused",
    3: "check",
    65: "data",
    73: "locked",
    74: "storage",
    75: "stopped",
    76: "peer",
    130: "interrupted",
}
"""Names of the exit codes, for scripts."""


def error_object(sentence: str, hint: str | None, code: int) -> dict[str, object]:
    """JSON object of an error, as `--json` prints it."""
    return {"kind": KINDS[code], "message": sentence, "hint": hint, "code": code}


PYTHON = re.compile(
    r"\b(None|True|False|NoneType|[A-Za-z.]+Error|[A-Z][a-z]+Path)\b|\w\(\)|__|<\w+ "
    r"|\bb['\"]|0x[0-9a-f]{6}"
)
"""Marks of a message that is about the code, not about its input."""
ABOUT_CODE = TypeError, AttributeError, AssertionError, NameError, LookupError
"""Errors whose message is about the code."""


class Failure(Exception):
    """One clear line for the user: what, where, and (as `hint`) what to do.

    `cli/console.py` prints it and exits with `code`; nobody sees a traceback.
    """

    code = 1
    many_lines = False
    """True where the sentence has several lines, and no name of a file breaks one."""

    def __init__(self, sentence: str, hint: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # where Python prints the error


class Refused(Failure):
    """Not started: a wrong flag or recipe, a missing input, would overwrite."""

    code = 2


class CheckFailed(Failure):
    """A check found a problem."""

    code = 3


class BadData(Failure):
    """Data that cannot be used, or a loss that is no longer finite."""

    code = 65


class Locked(Failure):
    """Another process is writing there."""

    code = 73


class StorageFailed(Failure):
    """The disk is full, or a file does not hold what was written."""

    code = 74


class Stopped(Failure):
    """Stopped by a signal with everything saved: 130 for Ctrl-C, else 75."""

    def __init__(self, sentence: str, hint: str | None = None, code: int = 75) -> None:
        super().__init__(sentence, hint)
        self.code = code


class PeerLost(Failure):
    """Another process of the same training was lost, or never appeared."""

    code = 76


def in_words(error: BaseException, otherwise: str = "unexpected content") -> str:
    """Reason that a caught error gives, in one line without words of Python.

    `otherwise` where it gives none that is about the input.
    """
    if why := getattr(error, "strerror", None):  # of the system, or of FFmpeg
        return str(why)
    match error:
        case Failure():
            return error.sentence
        case UnicodeError():
            return "not UTF-8 text"
        case KeyError(args=(str(key),)) if key.isidentifier():
            return f"{key} is missing"
    line = next(iter(str(error).strip().splitlines()), "")
    if not line or isinstance(error, ABOUT_CODE) or PYTHON.search(line):
        return otherwise
    return line[:200]
