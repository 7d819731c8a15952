"""Costs of a recipe before anything runs: parameters, FLOPs, memory, sampling steps.

Everything is computed from shapes: no array of the network is allocated.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import jax
import jax.numpy as jnp

from svtcli.clips.held_out import slices_per_batch
from svtcli.evaluate.fvd.protocol import windows_of
from svtcli.failure import Refused
from svtcli.model.connectivity import connectivity
from svtcli.model.flops import Part, forward_flops, hardware_flops, parts
from svtcli.model.heads import unit_of
from svtcli.model.svt import abstract_params, structure
from svtcli.model.windows import count_passes
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Mesh, Recipe
from svtcli.run.progress import counted
from svtcli.sample.schedules import Cpu, machine_of, slice_costs
from svtcli.train.backend import devices
from svtcli.train.chips import Chip, find_chip
from svtcli.train.duration import cpu_rate, seconds_per_step
from svtcli.train.mesh import Layout, layout_of
from svtcli.train.state import State, abstract_state
from svtcli.train.step import jit_update, recipe_update

LARGEST = 2**12
"""Most pixels of a slice that is analysed: the paper's, within a second or two."""


@dataclass(frozen=True)
class Compiled:
    """XLA's analysis of the step on one device of the mesh."""

    flops: float
    """FLOPs of all kinds; the body of a loop over micro-batches counts once."""
    bytes_moved: float
    memory: int
    """Bytes of arguments, results (shared buffers once) and temporary buffers."""
    temporary: int


@dataclass(frozen=True)
class Share:
    """Share of each device of the recipe's mesh in a training run."""

    data: int
    """Groups of devices with different slices."""
    shard: int
    """Devices per group."""
    simulated: bool
    """The devices are CPUs that JAX simulates, for lack of real ones."""
    rows: int
    """Slices of a batch, in all micro-batches together."""
    state_memory: int
    """Bytes of weights + optimizer state."""
    devices: int


@dataclass(frozen=True)
class DecoderReach:
    """Earlier pixels of its slice that a pixel sees through a decoder (appendix C)."""

    steps: int
    """Steps of the shortest exact schedule of a slice without prime frames."""
    widest_step: int
    """Maximum number of pixels in a step."""
    reachable_share: float
    """Share of visible pairs among all pairs of a pixel and an earlier one."""
    mean_blind_spots: float
    """Mean number of earlier pixels that a pixel cannot see."""
    most_blind_spots: int


@dataclass(frozen=True)
class SamplingSteps:
    """Steps that sample one video."""

    frames: int
    """Frames of the video, prime frames included."""
    slices: int
    """Slices that are sampled."""
    sequential_steps: int
    """Steps of one pixel each."""
    parallel_steps: int | None
    """Steps of the shortest exact schedule; None for slices too large to analyse."""
    widest_step: int | None
    """Maximum number of pixels in one of these steps."""
    decoders: dict[str, DecoderReach]
    """Reach of each decoder; empty for slices too large to analyse."""


@dataclass(frozen=True)
class LikelihoodCost:
    """Cost of scoring held-out clips."""

    clips: int | None
    """Maximum number of clips of each split; None for all."""
    models: tuple[str, ...]
    """Models that score every clip."""
    frames: int
    """Frames of a clip, prime frames included."""
    slices: int
    """Slices of a clip that are scored, one pass of the model each."""
    flops: float
    """FLOPs of one model and clip, as `forward_flops`."""


@dataclass(frozen=True)
class TrialsCost:
    """Cost of sampling and of comparing the samples with clips."""

    metrics: tuple[str, ...]
    samples: int
    """Sampled videos of each split: clips x trials x continuations."""
    frames: int
    """Frames of a video, prime frames included."""
    features: int
    """Maximum number of clips that I3D sees; 0 where no metric needs it."""


@dataclass(frozen=True)
class EvalCost:
    """Cost of the stage `eval`; None for metrics that the recipe does not ask for."""

    splits: tuple[str, ...]
    likelihood: LikelihoodCost | None
    trials: TrialsCost | None


@dataclass(frozen=True)
class CostEstimate:
    """Costs of a recipe: of a training step, of sampling a video, of evaluation."""

    parameters: int
    by_part: dict[str, int]
    """Parameters of the encoder and of each decoder."""
    slices: int
    slice_pixels: int
    pixels_in_turn: int
    """Pixels of a sampled video, one after the other."""
    codes_in_turn: int
    """Codes of these pixels."""
    sampling: SamplingSteps
    work: tuple[Part, ...]
    """Matrix products of a step."""
    model_flops: float
    """FLOPs of a step, forward and backward."""
    hardware_flops: float
    """FLOPs with those that remat repeats."""
    state_memory: int
    """Bytes of weights + optimizer state, without copies."""
    share: Share
    chip: Chip | None
    """Kind of the devices: the named one, or the one here; None if unknown."""
    at_peak: float | None
    """Seconds of a step at the chips' peak rate."""
    training_seconds: float | None
    """Seconds of the whole training on these devices, about; None if unknown."""
    sampling_seconds: float | None
    """Seconds of the samples of the section `sample` on one device; None if unknown."""
    compiled: Compiled | None
    eval: EvalCost

    @property
    def fits(self) -> bool | None:
        """The compiled step fits into a device's memory; None if unknown."""
        if self.chip is None or self.compiled is None:
            return None
        return self.compiled.memory <= self.chip.memory


def estimate(
    recipe: Recipe, chip: Chip | None = None, *, compiled: bool = False
) -> CostEstimate:
    """Estimate costs on the recipe's mesh, which is simulated if it is not here.

    `chip` defaults to the kind of the device here; `compiled` compiles the step for the
    devices here. Errors: `Refused` for a batch or devices that the mesh does not
    divide, more devices than JAX can still simulate, frames that no windows fit.
    """
    model, train = recipe.model, recipe.train
    layout = layout_of(recipe.mesh, train, _devices(recipe.mesh))
    chip = chip or find_chip(jax.devices()[0].device_kind)
    params = abstract_params(model)
    counts = {
        name: sum(leaf.size for leaf in jax.tree.leaves(part))
        for name, part in params.items()
    }
    work = tuple(parts(model, train.batch))
    executed = hardware_flops(model, train.batch, remat=train.remat)
    sampling = estimate_sampling(recipe)
    pixels = sampling.sequential_steps
    state = abstract_state(params, train)
    leaves = jax.tree.leaves(state)
    rate = chip.peak(train.precision) * layout.devices if chip else None
    kinds = [chip.name] * layout.devices if chip else layout.device_kinds
    each = seconds_per_step(model, train, kinds, layout.platform)
    return CostEstimate(
        parameters=sum(counts.values()),
        by_part=counts,
        slices=model.slices,
        slice_pixels=prod(model.slice_shape),
        pixels_in_turn=pixels,
        codes_in_turn=pixels * unit_of(model).scored,
        sampling=sampling,
        work=work,
        model_flops=sum(part.trained for part in work),
        hardware_flops=executed,
        state_memory=sum(leaf.size * leaf.dtype.itemsize for leaf in leaves),
        share=_share(state, train.batch, layout),
        chip=chip,
        at_peak=executed / rate if rate else None,
        training_seconds=None if each is None else train.steps * each,
        sampling_seconds=sampling_seconds(recipe, chip),
        compiled=_compile(recipe, layout) if compiled else None,
        eval=estimate_eval(recipe),
    )


def estimate_sampling(recipe: Recipe) -> SamplingSteps:
    """Steps of one video with the settings of the recipe's section `sample`.

    Errors: `Refused` when no windows fit its frames.
    """
    model = recipe.model
    lengths = recipe.resolved(recipe.sample)
    every = count_passes(model, lengths.frames, lengths.prime, lengths.overlap)
    P, (_, h, w) = prod(model.slice_shape), model.slice_shape
    parallel = widest = None
    decoders = {}
    if P <= LARGEST:
        found = {
            (first, prime): connectivity(model, prime * h * w, first=first)
            for first, prime in every
        }
        parallel = sum(count * found[kind].steps for kind, count in every.items())
        widest = max(each.widest for each in found.values())
        decoders["decoder"] = _reach(model, first=False)
        if model.first_slice_layers is not None:
            decoders["first_decoder"] = _reach(model, first=True)
    return SamplingSteps(
        frames=lengths.frames,
        slices=every.total(),
        sequential_steps=sum(
            count * (P - prime * h * w) for (_, prime), count in every.items()
        ),
        parallel_steps=parallel,
        widest_step=widest,
        decoders=decoders,
    )


def _reach(model: Model, *, first: bool) -> DecoderReach:
    found = connectivity(model, first=first)
    return DecoderReach(
        steps=found.steps,
        widest_step=found.widest,
        reachable_share=found.share,
        mean_blind_spots=float(found.blind.mean()),
        most_blind_spots=int(found.blind.max()),
    )


def sampling_seconds(recipe: Recipe, chip: Chip | None = None) -> float | None:
    """Seconds that the recipe's samples take on one `chip`, or device here, about.

    Compilation is not counted. None on an unknown device.
    """
    settings, model = recipe.sample, recipe.model
    device = devices(jax.local_devices)[0]
    chip = chip or find_chip(device.device_kind)
    if chip is None and device.platform != "cpu":
        return None
    platform = "gpu" if chip else device.platform
    kind = chip.name if chip else device.device_kind
    machine = machine_of(platform, kind, settings.precision)
    lengths = recipe.resolved(settings)
    every = count_passes(model, lengths.frames, lengths.prime, lengths.overlap)
    videos = settings.count * settings.per_prime
    rows = min(videos, settings.batch)
    each = min(slice_costs(model, rows, machine).values())
    if isinstance(machine, Cpu):
        each *= machine.position(model, cpu_rate())
    return every.total() * ceil(videos / rows) * each


def estimate_eval(recipe: Recipe) -> EvalCost:
    """Cost of evaluation with the settings of the recipe's section `eval`.

    Errors: `Refused` when no windows fit its frames.
    """
    settings, model = recipe.eval, recipe.model
    likelihood = trials = None
    if "likelihood" in settings.metrics:
        lengths = recipe.resolved(settings)
        slices = slices_per_batch(model, lengths)
        likelihood = LikelihoodCost(
            clips=settings.clips,
            models=("trained", *dict.fromkeys(settings.baselines)),
            frames=lengths.frames,
            slices=slices,
            flops=forward_flops(model, slices),
        )
    if metrics := tuple(each for each in settings.metrics if each != "likelihood"):
        sample = settings.trial_samples(recipe.sample)
        lengths, K = recipe.resolved(sample), settings.per_prime
        features = 0
        if settings.distances:
            first = lengths.prime if settings.exclude_prime else 0
            every = windows_of(lengths.frames, settings.window, settings.stride, first)
            windows = len(every) if "fvd-avg" in metrics else min(len(every), 1)
            # Real clips and samples by window, and twice as many real clips for FVD of
            # real against real.
            features = windows * settings.videos * (1 + settings.trials * K)
            features += 2 * settings.videos * K
        trials = TrialsCost(
            metrics=metrics,
            samples=settings.videos * sample.per_prime,
            frames=lengths.frames,
            features=features,
        )
    splits = tuple(dict.fromkeys((settings.split, *settings.also)))
    return EvalCost(splits, likelihood, trials)


def _devices(mesh: Mesh) -> Sequence[jax.Device]:
    """Devices here if they are enough for the mesh, else simulated CPUs.

    JAX can be told how many CPUs to simulate only before it starts.
    """
    least = mesh.shard * max(mesh.data, 1)
    if least > max(jax.config.jax_num_cpu_devices, 1):  # type: ignore[attr-defined]
        with suppress(RuntimeError):  # It has been started.
            jax.config.update("jax_num_cpu_devices", least)
    if len(here := devices(jax.devices)) >= least:
        return here
    simulated = devices(lambda: jax.devices("cpu"))
    if len(simulated) < least:
        raise Refused(
            f"mesh of {counted(least, 'device')}: jax has been started with "
            f"{len(simulated)}",
            f"JAX_NUM_CPU_DEVICES={least} simulates them",
        )
    return simulated[:least]


def _share(state: State, batch: int, layout: Layout) -> Share:
    """Share of a device in the batch and in weights + optimizer state."""
    state_memory = layout.own_bytes(layout.placed(state))
    data, shard = layout.mesh.devices.shape
    return Share(
        data=data,
        shard=shard,
        devices=layout.devices,
        simulated=layout.devices > 1 and layout.platform == "cpu",
        rows=batch // layout.devices,
        state_memory=state_memory,
    )


def _compile(recipe: Recipe, layout: Layout) -> Compiled:
    """Compile the training step from shapes alone."""
    model, train = recipe.model, recipe.train
    graphdef, shapes = structure(model)
    update = recipe_update(graphdef, model, train, layout)
    state = layout.placed(abstract_state(shapes, train))
    batch = layout.abstract_batch(_abstract_batch(model, train.batch), train.batch)
    step: Any = jit_update(update, state, batch)
    memory, cost = step.memory_analysis(), step.cost_analysis()
    lasting = memory.argument_size_in_bytes + memory.output_size_in_bytes
    temporary = memory.temp_size_in_bytes
    return Compiled(
        flops=cost["flops"],
        bytes_moved=cost["bytes accessed"],
        memory=lasting - memory.alias_size_in_bytes + temporary,
        temporary=temporary,
    )


def _abstract_batch(model: Model, rows: int) -> dict[str, Any]:
    """Shapes of a batch of the loader."""
    frames = model.video[0]
    actions = jax.ShapeDtypeStruct((rows, frames, model.actions), jnp.float32)
    return {
        "video": jax.ShapeDtypeStruct((rows, *model.video, model.channels), jnp.uint8),
        "slice_index": jax.ShapeDtypeStruct((rows,), jnp.int32),
        "actions": actions if model.actions else None,
    }
