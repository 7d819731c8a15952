"""Out of memory on a device, recognized by the messages of jax's libraries."""

import re

from svtcli.failure import Failure


class OutOfMemory(Failure):
    """A device has too little memory for `work`, such as "training".

    `amount` tells what its library said about bytes. If `work` is empty, a caller that
    knows it can add it, together with a hint.
    """

    def __init__(
        self, amount: str, work: str = "", device: str = "", hint: str | None = None
    ) -> None:
        name = f"the device ({device})" if device else "the device"
        start = f"{work}: " if work else ""
        super().__init__(f"{start}{name} has too little memory{amount}", hint or HINT)
        self.amount, self.work = amount, work


HINT = (
    "a smaller batch or model needs less; nvidia-smi tells whether another process has "
    "it; jax takes 75 % of a GPU's memory, or XLA_PYTHON_CLIENT_MEM_FRACTION of it"
)
FULL = re.compile(
    r"out[ _]of[ _]memory|OutOfMemory|Failed to allocate|_STATUS_ALLOC_FAILED"
    r"|Attempting to (allocate|reserve)|unlikely to have enough memory"
    r"|would exceed memory",
    re.IGNORECASE,
)
"""Messages of jax and its libraries about a full device; they have no class for it."""
SMALLER = re.compile(r"shared memory|memory space [a-z]*mem\b|space=[a-z]*mem\b")
"""On-chip memory of a single kernel: a smaller batch would not help."""
QUANTITY = r"(\d+(?:\.\d+)?) ?(bytes|[KMGT]i?B?|B)\b"
WANTED = re.compile(rf"(?:allocat\w+|reserve)[^\d\n]{{0,40}}{QUANTITY}")
OF_ALL = re.compile(rf"(?:Used|Requires) {QUANTITY}(?: of|, has) {QUANTITY}")
POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def out_of_memory(error: BaseException) -> OutOfMemory | None:
    """Return `error` as OutOfMemory; None if it is any other error.

    Its text decides, without jax. TensorStore calls a full disk RESOURCE_EXHAUSTED too.
    """
    if isinstance(error, OutOfMemory):
        return error
    text = str(error)
    if not isinstance(error, RuntimeError | ValueError) or not FULL.search(text):
        return None
    if SMALLER.search(text):
        return None
    if isinstance(error, ValueError) and not text.startswith("RESOURCE_EXHAUSTED"):
        return None
    return OutOfMemory(_amount(text))


def _amount(text: str) -> str:
    """Amount of memory that was requested, if the text tells it."""
    if found := OF_ALL.search(text):
        used, total = _size(found[1], found[2]), _size(found[3], found[4])
        return f" ({used} are needed, it has {total})"
    if found := WANTED.search(text):
        return f" ({_size(found[1], found[2])} more were asked for)"
    return ""


def _size(number: str, unit: str) -> str:
    """Size in words; XLA's G is GiB."""
    return size(float(number) * 1024 ** POWERS.get(unit[0], 0))


def size(count: int | float) -> str:
    """Number of bytes in words, with powers of 1000: `9.83 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
