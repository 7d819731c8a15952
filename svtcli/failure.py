"""What can go wrong, said once: a sentence, a hint, and the exit code it ends in."""

import re


class Failure(Exception):
    """One clear line for the user: what, where, and (as `hint`) what to do.

    `cli/failures.py` prints it and exits with `code`; nobody sees a traceback.
    """

    code = 1

    def __init__(self, sentence: str, hint: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class Refused(Failure):
    """Not started: a wrong flag or recipe, a missing input, would overwrite."""

    code = 2


class CheckFailed(Failure):
    """A check that was asked for said no."""

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
    """Stopped from outside with everything saved: 75 for SIGTERM, 130 for Ctrl-C."""

    def __init__(self, sentence: str, hint: str | None = None, code: int = 75) -> None:
        super().__init__(sentence, hint)
        self.code = code


class PeerLost(Failure):
    """Another process of the same training is gone, or was never there."""

    code = 76


class OutOfMemory(Failure):
    """A device has too little memory for what was asked of it."""

    def __init__(self, work: str, said: str, hint: str) -> None:
        super().__init__(f"{work}: the device has too little memory{said}", hint)


FULL = re.compile(
    r"RESOURCE_EXHAUSTED|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED"
    r"|ran out of memory in memory space",
    re.IGNORECASE,
)
WANTED = re.compile(r"(\d+) ?(?:bytes\b|B\))")
USED = re.compile(r"Used ([\d.]+[KMGT])\w* of ([\d.]+[KMGT])")


def memory_wanted(error: BaseException) -> str | None:
    """What `error` says of a device's memory that was too small; None for any other.

    Empty where it is not said how much was wanted. Told by its text, for jax has no
    class of its own for it, and is not loaded here.
    """
    text = str(error)
    if not isinstance(error, RuntimeError) or not FULL.search(text):
        return None
    if used := USED.search(text):
        return f" ({used[1]}B of {used[2]}B)"
    if wanted := WANTED.search(text):
        return f" (another {int(wanted[1]) / 1e9:,.2f} GB were asked for)"
    return ""
