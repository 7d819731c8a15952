"""Kinds of failure: each has a sentence, a hint, and an exit code."""


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
    """Stopped by a signal with everything saved: 75 for SIGTERM, 130 for Ctrl-C."""

    def __init__(self, sentence: str, hint: str | None = None, code: int = 75) -> None:
        super().__init__(sentence, hint)
        self.code = code


class PeerLost(Failure):
    """Another process of the same training was lost, or never appeared."""

    code = 76
