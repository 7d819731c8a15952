"""In how many steps a recipe's samples are made, and what a pixel cannot see.

Counted by the windows, slices and given frames that `svt sample` goes through.
"""

from dataclasses import dataclass
from math import prod

from svtcli.model.connectivity import LARGEST, Connectivity, connectivity
from svtcli.model.windows import passes
from svtcli.recipe.model import Model
from svtcli.recipe.schema import Recipe


@dataclass(frozen=True)
class Sight:
    """What one decoder shows a pixel of the earlier ones of its slice (appendix C)."""

    steps: int
    """Of the shortest schedule of a slice of which nothing is given."""
    widest_step: int
    reachable_share: float
    """Of all pairs of a pixel and an earlier one: those where it can be seen."""
    mean_blind_spots: float
    """Earlier pixels of the slice that a pixel cannot see, on average."""
    most_blind_spots: int


@dataclass(frozen=True)
class SamplingPlan:
    """The steps that make one video, its given frames being there."""

    frames: int
    """All frames of a video, given ones included."""
    slices: int
    """How many are made."""
    sequential_steps: int
    """One for each pixel that is made."""
    parallel_steps: int | None
    """Of the shortest exact schedule; None for slices that are too large to tell."""
    widest_step: int | None
    """The most pixels that one of those makes."""
    decoders: dict[str, Sight]
    """By the decoder that makes them; none for slices that are too large to tell."""


def plan_sampling(recipe: Recipe) -> SamplingPlan:
    """The steps of one video as the recipe's section `sample` has it.

    Errors: Refused when its frames cannot be laid out in windows.
    """
    model = recipe.model
    lengths = recipe.resolved(recipe.sample)
    every = list(passes(model, lengths.frames, lengths.prime, lengths.overlap))
    P, (_, h, w) = prod(model.slice_shape), model.slice_shape
    whole = {"frames": lengths.frames, "slices": len(every)}
    sequential = sum(P - each.prime_frames * h * w for each in every)
    if P > LARGEST:
        return SamplingPlan(**whole, sequential_steps=sequential, parallel_steps=None,
                            widest_step=None, decoders={})  # fmt: skip
    found = [
        connectivity(model, each.prime_frames * h * w, first=each.first)
        for each in every
    ]
    return SamplingPlan(
        **whole,
        sequential_steps=sequential,
        parallel_steps=sum(each.steps for each in found),
        widest_step=max(each.widest for each in found),
        decoders=_sights(model),
    )


def _sights(model: Model) -> dict[str, Sight]:
    sights = {"decoder": _sight(connectivity(model))}
    if model.first_slice_layers is not None:
        sights["first_decoder"] = _sight(connectivity(model, first=True))
    return sights


def _sight(found: Connectivity) -> Sight:
    return Sight(
        steps=found.steps,
        widest_step=found.widest,
        reachable_share=found.share,
        mean_blind_spots=float(found.blind.mean()),
        most_blind_spots=int(found.blind.max()),
    )
