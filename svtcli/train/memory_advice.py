"""What to do where a device has too little memory for a stage."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax

from svtcli.recipe.schema import Precision, Recipe
from svtcli.run.device_memory import OutOfMemory, out_of_memory


@contextmanager
def within_memory(work: str, hint: Callable[[], str]) -> Iterator[None]:
    """What is done inside is `work` on a device, and `hint` says what needs less.

    Errors: OutOfMemory instead of jax's own, whenever it comes: from the compiler, at
    the start of a program, where a result is read, or out of the background.
    """
    try:
        yield
    except (RuntimeError, ValueError, OutOfMemory) as error:
        full = out_of_memory(error)
        if full is None or full.work:
            raise
        raise OutOfMemory(full.said, work, _device(), hint()) from error


def _device() -> str:
    """What jax calls the devices here; empty where it could not start them."""
    try:
        return str(jax.local_devices()[0].device_kind)
    except RuntimeError:
        return ""


def less_for_training(
    recipe: Recipe, data: int, shard: int, saved: int | None = None
) -> str:
    """Keys that need less on `data` × `shard` devices, the cheapest first.

    With a step `saved`, keys that would be another training are told apart.
    """
    ways = [*_more_parts(recipe, data * shard)]
    if not recipe.train.remat:
        ways.append("train.remat=true")
    ways += _more_shards(recipe, data, shard)
    others = []
    if recipe.train.precision == "float32":
        others.append("train.precision=bfloat16")
    rows = recipe.train.batch // recipe.train.accumulate // (data * shard)
    others.append("a smaller train.batch" if rows > 1 else "a smaller model")
    plan = "`svt plan RECIPE --compile` says beforehand how much"
    if saved is None:
        return f"{_or(ways + others)} needs less; {plan}"
    goes_on = f"{_or(ways)} needs less and goes on from step {saved}; " if ways else ""
    return f"{goes_on}{_or(others)} needs less in a new run (--run NAME); {plan}"


def _more_parts(recipe: Recipe, devices: int) -> Iterator[str]:
    """Twice as many parts of a batch, or the next number of them that divides it."""
    train = recipe.train
    first = recipe.model.first_rows(train.batch)
    for parts in (2 * train.accumulate, *range(train.accumulate + 1, train.batch + 1)):
        if train.batch % (parts * devices) == 0 and first % parts == 0:
            yield f"train.accumulate={parts}"
            return


def _more_shards(recipe: Recipe, data: int, shard: int) -> Iterator[str]:
    """Each device keeps half of the parameters that it keeps now, if it can."""
    if data % 2 == 0:
        rest = "" if recipe.mesh.data == -1 else f"mesh.data={data // 2} "
        yield f"{rest}mesh.shard={2 * shard}"


def less_for_batches(
    section: str,
    at_once: int,
    devices: int,
    precision: Precision,
    kept: str,
    least: int = 1,
) -> str:
    """Flags that need less, and their keys in a recipe's `section`.

    `kept` is what a call with a smaller batch finds again; `at_once` are made on all
    `devices` together, as many on each, and `least` at least.
    """
    ways = []
    if (own := -(-at_once // devices)) > least:
        batch = max(least, own // 2) * devices
        ways.append(f"--batch {batch} ({section}.batch) needs less and keeps {kept}")
    if precision == "float32":
        key = f"{section}.precision"
        ways.append(f"--precision bfloat16 ({key}) needs less and begins anew")
    if not ways:
        ways.append(f"nothing here needs less; {kept} are kept for a larger device")
    return "; ".join(ways)


def less_for_validation(recipe: Recipe, clips: int, devices: int) -> str:
    """Keys of the scoring of `clips` that goes on beside a training."""
    settings = recipe.eval
    ways = []
    if (own := -(-min(settings.batch, clips) // devices)) > 1:
        ways.append(f"eval.batch={own // 2 * devices}")
    if settings.precision == "float32":
        ways.append("eval.precision=bfloat16")
    ways.append("train.validate_every=null")
    return f"{_or(ways)} needs less; training goes on from what was saved"


def less_for_features(at_once: str, kept: str) -> str:
    """Where no setting helps: the processor, or more of the device."""
    return (
        f"it takes {at_once} at once on a device, whatever the settings; nvidia-smi "
        "tells whether another process has the memory; with JAX_PLATFORMS=cpu the same "
        f"command goes on without the device; {kept}"
    )


def _or(ways: list[str]) -> str:
    *others, last = ways
    return f"{', '.join(others)} or {last}" if others else last
