"""Memory: kept on the host between steps; too little of it on a device.

jax's messages are recognized by their text, without importing it.
"""

import ctypes
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from svtcli.failure import Failure
from svtcli.recipe.schema import Precision, Recipe

# Parameters of mallopt(3), as in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; False if the C library cannot.

    XLA's CPU backend allocates the scratch space of a step when it begins and frees it
    at its end; glibc returns blocks of that size to the system at once, so each step
    would begin by faulting in every page again: a quarter of its time, as measured by
    benchmarks/host_memory.py. The process keeps its peak until it ends, so this is for
    commands that train. Call it before any thread starts: each gets a heap of its own.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc
        return False
    # One heap for all threads, grown in place and never trimmed.
    settings = {M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER}
    return all(mallopt(name, value) for name, value in settings.items())


def host_memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


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


@contextmanager
def within_memory(work: str, hint: Callable[[], str]) -> Iterator[None]:
    """Turn jax's errors about a full device into OutOfMemory, naming `work`.

    `hint` gives the advice. The error may come from the compiler, at the start of a
    program, when a result is read, or from the background.
    """
    try:
        yield
    except (RuntimeError, ValueError, OutOfMemory) as error:
        full = out_of_memory(error)
        if full is None or full.work:
            raise
        import jax  # late: keep_freed_memory is called before jax starts threads

        try:
            device = str(jax.local_devices()[0].device_kind)
        except RuntimeError:  # jax could not start the devices
            device = ""
        raise OutOfMemory(full.amount, work, device, hint()) from error


def less_for_training(
    recipe: Recipe, data: int, shard: int, saved: int | None = None
) -> str:
    """Keys that need less on `data` × `shard` devices, the cheapest first.

    With a step `saved`, keys that need a new run are listed apart.
    """
    ways = [*_more_micro_batches(recipe, data * shard)]
    if not recipe.train.remat:
        ways.append("train.remat=true")
    if data % 2 == 0:  # each device keeps half of the parameters it keeps now
        rest = "" if recipe.mesh.data == -1 else f"mesh.data={data // 2} "
        ways.append(f"{rest}mesh.shard={2 * shard}")
    others = []
    if recipe.train.precision == "float32":
        others.append("train.precision=bfloat16")
    rows = recipe.train.batch // recipe.train.accumulate // (data * shard)
    others.append("a smaller train.batch" if rows > 1 else "a smaller model")
    plan = "`svt plan RECIPE --compile` tells in advance how much"
    if saved is None:
        return f"{_or(ways + others)} needs less; {plan}"
    resumes = f"{_or(ways)} needs less and resumes from step {saved}; " if ways else ""
    return f"{resumes}{_or(others)} needs less in a new run (--run NAME); {plan}"


def _more_micro_batches(recipe: Recipe, devices: int) -> Iterator[str]:
    """Twice as many micro-batches, or the next number that divides the batch."""
    train = recipe.train
    first = recipe.model.first_rows(train.batch)
    for count in (2 * train.accumulate, *range(train.accumulate + 1, train.batch + 1)):
        if train.batch % (count * devices) == 0 and first % count == 0:
            yield f"train.accumulate={count}"
            return


def less_for_batches(
    section: str,
    at_once: int,
    devices: int,
    precision: Precision,
    kept: str,
    least: int = 1,
) -> str:
    """Flags that need less, and their keys in a recipe's `section`.

    `kept` names the finished work that a call with a smaller batch reuses; `at_once` is
    the batch of all `devices` together, `least` the smallest batch of one.
    """
    ways = []
    if (own := -(-at_once // devices)) > least:
        batch = max(least, own // 2) * devices
        ways.append(f"--batch {batch} ({section}.batch) needs less and keeps {kept}")
    if precision == "float32":
        key = f"{section}.precision"
        ways.append(f"--precision bfloat16 ({key}) needs less and starts over")
    if not ways:
        ways.append(f"no setting needs less; {kept} are kept for a larger device")
    return "; ".join(ways)


def less_for_validation(recipe: Recipe, clips: int, devices: int) -> str:
    """Keys that need less when `clips` are scored during training."""
    settings = recipe.eval
    ways = []
    if (own := -(-min(settings.batch, clips) // devices)) > 1:
        ways.append(f"eval.batch={own // 2 * devices}")
    if settings.precision == "float32":
        ways.append("eval.precision=bfloat16")
    ways.append("train.validate_every=null")
    return f"{_or(ways)} needs less; training resumes from the last checkpoint"


def less_for_features(at_once: str, kept: str) -> str:
    """Advice where no setting helps: use the CPU, or free the device."""
    return (
        f"a device computes {at_once} at once, whatever the settings; nvidia-smi shows "
        "whether another process has the memory; with JAX_PLATFORMS=cpu the same "
        f"command continues on the CPU; {kept}"
    )


def _or(ways: list[str]) -> str:
    *others, last = ways
    return f"{', '.join(others)} or {last}" if others else last
