"""Which schedule makes the samples: the one that is asked for, or the fastest."""

from dataclasses import dataclass
from functools import partial
from math import prod

import jax

from svtcli.failure import Refused
from svtcli.model.connectivity import LARGEST
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Sample
from svtcli.sample.cost import Accelerator, Cpu, Machine, Name, fastest
from svtcli.sample.jacobi import guess_slice
from svtcli.sample.parallel import sample_slice_in_steps
from svtcli.sample.sampler import MakeSlice
from svtcli.sample.sequential import sample_slice
from svtcli.train.chips import find_chip

UNKNOWN = "A100"
"""What an accelerator is taken for that is not in the table of chips."""

BYTES = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Schedule:
    """How slices are made; every one makes the same."""

    name: str
    make_slice: MakeSlice
    window: int | None = None
    """Pixels of a pass, where that can be chosen."""


def schedule_of(settings: Sample, config: Model, rows: int) -> Schedule:
    """The schedule of the settings for `rows` videos at once on each device here.

    Errors: Refused for `parallel` where a slice is too large to tell its relation.
    """
    device = jax.local_devices()[0]
    if settings.schedule != "auto":
        return _schedule(settings.schedule, settings.window, config)
    machine = machine_of(device.platform, device.device_kind, settings.precision)
    return _schedule(*fastest(config, rows, machine), config)


def machine_of(platform: str, kind: str, precision: str) -> Machine:
    """What decides about the schedule on a device, as jax names it."""
    if platform == "cpu":
        return Cpu()
    chip = find_chip(kind) or find_chip(UNKNOWN)
    assert chip is not None  # UNKNOWN is in the table
    return Accelerator(chip.peak(precision), chip.bandwidth, BYTES[precision])


def _schedule(name: Name, window: int | None, config: Model) -> Schedule:
    match name:
        case "sequential":
            return Schedule(name, sample_slice)
        case "parallel":
            pixels = prod(config.slice_shape)
            if pixels > LARGEST:
                raise Refused(
                    f"--schedule parallel: a slice has {pixels:,} pixels, and what "
                    f"depends on what is worked out up to {LARGEST:,}",
                    "take another schedule: guess, or sequential",
                )
            return Schedule(name, sample_slice_in_steps)
        case "guess":
            return Schedule(name, partial(guess_slice, window=window), window)
