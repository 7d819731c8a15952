"""What a recipe's training needs, before any of it is there: no array is made."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from svtcli.failure import Refused
from svtcli.model.flops import Part, hardware_flops, parts
from svtcli.model.priming import slices_to_make
from svtcli.model.svt import abstract_params, structure
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Recipe
from svtcli.training.chips import CHIPS, Chip, find_chip
from svtcli.training.objective import recipe_update
from svtcli.training.state import abstract_state
from svtcli.training.step import jit_update


@dataclass(frozen=True)
class Compiled:
    """What XLA says of the whole step on one device that keeps everything."""

    flops: float
    """All arithmetic; the body of a loop over parts of a batch counts once."""
    bytes_moved: float
    memory: int
    """Arguments and results, what they share once, and temporary buffers: bytes."""
    temporary: int


@dataclass(frozen=True)
class TrainingPlan:
    """The sizes of a recipe's training."""

    parameters: int
    by_part: dict[str, int]
    """Parameters of the encoder and each decoder."""
    slices: int
    slice_pixels: int
    pixels_in_turn: int
    """Pixels of a video that sampling makes one after the other."""
    codes_in_turn: int
    work: tuple[Part, ...]
    """Matrix products of one step."""
    model_flops: float
    """Of one step, forward and backward."""
    hardware_flops: float
    """With what remat computes twice."""
    state_memory: int
    """Parameters, optimizer and average: bytes."""
    chip: Chip | None
    """The device that was named, or the one here; None if it is not in the table."""
    at_peak: float | None
    """Seconds of one step if the chip did nothing but products at its full rate."""
    compiled: Compiled | None

    @property
    def fits(self) -> bool | None:
        """Whether the compiled step fits in the chip's memory; None if unknown."""
        if self.chip is None or self.compiled is None:
            return None
        return self.compiled.memory <= self.chip.memory


def plan(
    recipe: Recipe, device: str | None = None, *, compiled: bool = False
) -> TrainingPlan:
    """Sizes and costs of the whole batch on one device.

    `compiled` asks XLA for the memory of the step, as it is for the device here.
    Errors: `Refused` for a `device` that is not in the table.
    """
    model, train = recipe.model, recipe.train
    chip = _chip(device)
    params = abstract_params(model)
    counts = {
        name: sum(leaf.size for leaf in jax.tree.leaves(part))
        for name, part in params.items()
    }
    work = tuple(parts(model, train.batch))
    whole = sum(part.trained for part in work)
    executed = hardware_flops(model, train.batch, remat=train.remat)
    t, h, w = model.slice_shape
    made = slices_to_make(model, recipe.sample.prime or train.prime, model.video[0])
    pixels, codes = len(made) * t * h * w, 1 if model.loss != "codes" else model.codes
    leaves = jax.tree.leaves(abstract_state(params, train))
    return TrainingPlan(
        parameters=sum(counts.values()),
        by_part=counts,
        slices=model.slices,
        slice_pixels=t * h * w,
        pixels_in_turn=pixels,
        codes_in_turn=pixels * codes,
        work=work,
        model_flops=whole,
        hardware_flops=executed,
        state_memory=sum(leaf.size * leaf.dtype.itemsize for leaf in leaves),
        chip=chip,
        at_peak=executed / chip.peak(train.precision) if chip else None,
        compiled=_compile(recipe) if compiled else None,
    )


def _chip(device: str | None) -> Chip | None:
    if device is None:
        return find_chip(jax.devices()[0].device_kind)
    chip = find_chip(device)
    if chip is None:
        known = ", ".join(chip.name for chip in CHIPS)
        raise Refused(f"--device {device}: is not known", f"known are: {known}")
    return chip


def _compile(recipe: Recipe) -> Compiled:
    """The real step, from shapes alone."""
    model, train = recipe.model, recipe.train
    graphdef, shapes = structure(model)
    update = recipe_update(graphdef, model, train)
    state = abstract_state(shapes, train)
    step: Any = jit_update(update, state, _abstract_batch(model, train.batch))
    memory, cost = step.memory_analysis(), step.cost_analysis()
    kept = memory.argument_size_in_bytes + memory.output_size_in_bytes
    temporary = memory.temp_size_in_bytes
    return Compiled(
        flops=cost["flops"],
        bytes_moved=cost["bytes accessed"],
        memory=kept - memory.alias_size_in_bytes + temporary,
        temporary=temporary,
    )


def _abstract_batch(model: Model, rows: int) -> dict[str, Any]:
    """Shapes of what the loader gives to the step."""
    frames = model.video[0]
    actions = jax.ShapeDtypeStruct((rows, frames, model.actions), jnp.float32)
    return {
        "video": jax.ShapeDtypeStruct((rows, *model.video, model.channels), jnp.uint8),
        "slice_index": jax.ShapeDtypeStruct((rows,), jnp.int32),
        "actions": actions if model.actions else None,
    }
