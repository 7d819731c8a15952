"""Bytes in words, and how a device says that it has too few of them; no jax here."""

import re

from svtcli.failure import Failure


class OutOfMemory(Failure):
    """A device has too little memory for the `work` that was asked of it.

    `said` is what its library told of bytes; where `work` is empty, who knows it may
    still name it, and what needs less.
    """

    def __init__(
        self, said: str, work: str = "", device: str = "", hint: str | None = None
    ) -> None:
        named = f"the device ({device})" if device else "the device"
        begun = f"{work}: " if work else ""
        super().__init__(f"{begun}{named} has too little memory{said}", hint or FREE_IT)
        self.said, self.work = said, work


FREE_IT = (
    "a smaller batch or model needs less; nvidia-smi tells whether another process has "
    "it; of a GPU jax takes 75 %, or what XLA_PYTHON_CLIENT_MEM_FRACTION says"
)
FULL = re.compile(
    r"out[ _]of[ _]memory|OutOfMemory|Failed to allocate|_STATUS_ALLOC_FAILED"
    r"|Attempting to (allocate|reserve)|unlikely to have enough memory"
    r"|would exceed memory",
    re.IGNORECASE,
)
"""What jax and its libraries say of a full device; they have no class for it."""
SMALLER = re.compile(r"shared memory|memory space [a-z]*mem\b|space=[a-z]*mem\b")
"""The memory of one kernel on a chip: a smaller batch would not help."""
QUANTITY = r"(\d+(?:\.\d+)?) ?(bytes|[KMGT]i?B?|B)\b"
WANTED = re.compile(rf"(?:allocat\w+|reserve)[^\d\n]{{0,40}}{QUANTITY}")
OF_ALL = re.compile(rf"(?:Used|Requires) {QUANTITY}(?: of|, has) {QUANTITY}")
POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def out_of_memory(error: BaseException) -> OutOfMemory | None:
    """What `error` is, where a device had too little memory; None for any other.

    Told by its text, without jax. TensorStore says RESOURCE_EXHAUSTED of a full disk.
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
    return OutOfMemory(_bytes_in(text))


def _bytes_in(text: str) -> str:
    """How much was wanted, as far as it is said."""
    if found := OF_ALL.search(text):
        used, there = _of(found[1], found[2]), _of(found[3], found[4])
        return f" ({used} are needed, it has {there})"
    if found := WANTED.search(text):
        return f" ({_of(found[1], found[2])} more were asked for)"
    return ""


def _of(number: str, unit: str) -> str:
    """In words; XLA's G is its GiB."""
    return size(float(number) * 1024 ** POWERS.get(unit[0], 0))


def size(count: int | float) -> str:
    """Bytes, in powers of 1000: `9.83 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
