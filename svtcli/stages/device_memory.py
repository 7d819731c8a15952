"""What to do where a device has too little memory for a stage."""

from collections.abc import Iterator
from contextlib import contextmanager

from svtcli.failure import OutOfMemory, memory_wanted
from svtcli.recipe.schema import Train


@contextmanager
def within_memory(work: str, hint: str) -> Iterator[None]:
    """What is done inside is `work` on a device, and `hint` says what needs less.

    Errors: OutOfMemory instead of jax's own, whenever it comes: from the compiler, at
    the start of a program, or where a result is read.
    """
    try:
        yield
    except RuntimeError as error:
        said = memory_wanted(error)
        if said is None:
            raise
        raise OutOfMemory(work, said, hint) from error


def less_for_training(train: Train) -> str:
    """Settings that need less, beginning with what costs least."""
    ways = []
    if train.precision == "float32":
        ways.append("train.precision=bfloat16")
    more = range(train.accumulate + 1, train.batch + 1)
    parts = next((parts for parts in more if train.batch % parts == 0), None)
    if parts is not None:
        ways.append(f"train.accumulate={parts}")
    if not train.remat:
        ways.append("train.remat=true")
    ways.append("a smaller train.batch" if train.batch > 1 else "a smaller model")
    return (
        f"{_or(ways)} needs less; `svt plan RECIPE --compile` says how much; "
        "what was saved stays"
    )


def less_for_batches(batch: int, precision: str, kept: str) -> str:
    """Flags that need less, of a stage that works batch after batch."""
    ways = [f"--batch {batch // 2}"] if batch > 1 else []
    if precision == "float32":
        ways.append("--precision bfloat16")
    ways = ways or ["a smaller model"]
    return f"{_or(ways)} needs less; {kept}"


def _or(ways: list[str]) -> str:
    *others, last = ways
    return f"{', '.join(others)} or {last}" if others else last
