"""What a recipe needs, before any of it is there: no array of the network is made."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from svtcli.failure import Refused
from svtcli.model.flops import Part, hardware_flops, parts
from svtcli.model.heads import unit_of
from svtcli.model.svt import abstract_params, structure
from svtcli.project.sampling_steps import SamplingPlan, plan_sampling
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Mesh, Recipe
from svtcli.train.chips import CHIPS, Chip, find_chip
from svtcli.train.mesh import Layout, layout_of
from svtcli.train.state import abstract_state
from svtcli.train.step import jit_update, recipe_update


@dataclass(frozen=True)
class Compiled:
    """What XLA says of the step as one device of the mesh does it."""

    flops: float
    """All arithmetic; the body of a loop over parts of a batch counts once."""
    bytes_moved: float
    memory: int
    """Arguments and results, what they share once, and temporary buffers: bytes."""
    temporary: int


@dataclass(frozen=True)
class Share:
    """What each device of the recipe's mesh has of a training."""

    data: int
    """Groups of devices that see different slices."""
    shard: int
    """Devices of a group."""
    simulated: bool
    """There are not so many here: they are CPUs that jax makes up."""
    rows: int
    """Slices of a batch; those of all its parts, with `train.accumulate`."""
    state_memory: int
    """Bytes of parameters, optimizer and average that it keeps."""

    @property
    def devices(self) -> int:
        """How many devices take part."""
        return self.data * self.shard


@dataclass(frozen=True)
class TrainingPlan:
    """The sizes of a recipe's training, and the steps of its sampling."""

    parameters: int
    by_part: dict[str, int]
    """Parameters of the encoder and each decoder."""
    slices: int
    slice_pixels: int
    pixels_in_turn: int
    """Pixels of a sample, in all of its windows, that are made one after the other."""
    codes_in_turn: int
    sampling: SamplingPlan
    """In how many steps, and what pixels do not see of each other."""
    work: tuple[Part, ...]
    """Matrix products of one step."""
    model_flops: float
    """Of one step, forward and backward."""
    hardware_flops: float
    """With what remat computes twice."""
    state_memory: int
    """Parameters, optimizer and average, once: bytes."""
    share: Share
    chip: Chip | None
    """Of each device: the one named, or the one here; None if not in the table."""
    at_peak: float | None
    """Seconds of one step if the chips did nothing but products at their full rate."""
    compiled: Compiled | None

    @property
    def fits(self) -> bool | None:
        """Whether a device's part of the compiled step fits in it; None if unknown."""
        if self.chip is None or self.compiled is None:
            return None
        return self.compiled.memory <= self.chip.memory


def plan(
    recipe: Recipe, device: str | None = None, *, compiled: bool = False
) -> TrainingPlan:
    """Sizes and costs of a step on the recipe's mesh, simulated where it is not here.

    `compiled` asks XLA for the memory of the step, as it is for the devices here.
    Errors: `Refused` for a `device` that is not in the table, a batch or devices that
    the mesh does not divide, more devices than jax can still be told to simulate,
    samples whose frames cannot be laid out in windows.
    """
    model, train = recipe.model, recipe.train
    devices = _devices(recipe.mesh)
    chip = _chip(device)
    layout = layout_of(recipe.mesh, train, devices)
    params = abstract_params(model)
    counts = {
        name: sum(leaf.size for leaf in jax.tree.leaves(part))
        for name, part in params.items()
    }
    work = tuple(parts(model, train.batch))
    whole = sum(part.trained for part in work)
    executed = hardware_flops(model, train.batch, remat=train.remat)
    t, h, w = model.slice_shape
    sampling = plan_sampling(recipe)
    pixels = sampling.sequential_steps
    codes = unit_of(model).scored
    leaves = jax.tree.leaves(abstract_state(params, train))
    rate = chip.peak(train.precision) * layout.devices if chip else None
    return TrainingPlan(
        parameters=sum(counts.values()),
        by_part=counts,
        slices=model.slices,
        slice_pixels=t * h * w,
        pixels_in_turn=pixels,
        codes_in_turn=pixels * codes,
        sampling=sampling,
        work=work,
        model_flops=whole,
        hardware_flops=executed,
        state_memory=sum(leaf.size * leaf.dtype.itemsize for leaf in leaves),
        share=_share(recipe, layout),
        chip=chip,
        at_peak=executed / rate if rate else None,
        compiled=_compile(recipe, layout) if compiled else None,
    )


def _devices(mesh: Mesh) -> Sequence[jax.Device]:
    """Those here where they are enough for the mesh, else CPUs that are simulated.

    jax learns how many CPUs to simulate before it starts, or not at all.
    """
    least = mesh.shard * max(mesh.data, 1)
    if least > max(jax.config.jax_num_cpu_devices, 1):  # type: ignore[attr-defined]
        with suppress(RuntimeError):  # It has been started.
            jax.config.update("jax_num_cpu_devices", least)
    if len(jax.devices()) >= least:
        return jax.devices()
    simulated = jax.devices("cpu")
    if len(simulated) < least:
        raise Refused(
            f"mesh of {least} devices: jax has been started with {len(simulated)}",
            f"JAX_NUM_CPU_DEVICES={least} simulates them",
        )
    return simulated[:least]


def _share(recipe: Recipe, layout: Layout) -> Share:
    """A device's part of batch and state."""
    state = layout.placed(abstract_state(abstract_params(recipe.model), recipe.train))
    kept = sum(
        int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(state)
    )
    data, shard = layout.mesh.devices.shape
    return Share(
        data=data,
        shard=shard,
        simulated=layout.devices > 1 and layout.mesh.devices.flat[0].platform == "cpu",
        rows=recipe.train.batch // layout.devices,
        state_memory=kept,
    )


def _chip(device: str | None) -> Chip | None:
    if device is None:
        return find_chip(jax.devices()[0].device_kind)
    chip = find_chip(device)
    if chip is None:
        known = ", ".join(chip.name for chip in CHIPS)
        raise Refused(f"--device {device}: is not known", f"known are: {known}")
    return chip


def _compile(recipe: Recipe, layout: Layout) -> Compiled:
    """The real step, from shapes alone."""
    model, train = recipe.model, recipe.train
    graphdef, shapes = structure(model)
    update = recipe_update(graphdef, model, train, layout)
    state = layout.placed(abstract_state(shapes, train))
    batch = layout.abstract_batch(_abstract_batch(model, train.batch), train.batch)
    step: Any = jit_update(update, state, batch)
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
