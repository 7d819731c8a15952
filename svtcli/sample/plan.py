"""Plan of the stage `sample`: clips, settings and folder, already checked; no jax."""

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from svtcli.clips.held_out import HeldOut
from svtcli.clips.reader import Clips
from svtcli.failure import Refused
from svtcli.recipe.schema import OWN, Recipe, Sample
from svtcli.run.partial import PartialResult
from svtcli.run.samples import read_facts
from svtcli.sample.actions import ActionSet, action_sets
from svtcli.train.commit_record import Checkpoint
from svtcli.train.held_out import HeldOutPlan, check_held_out, plan_held_out

MOST_VIDEOS = 10**7
"""Samples of one folder."""


class PartialSamples(PartialResult):
    """Videos finished so far, one a row: N clips with M continuations each.

    video    uint8    [F, H, W, C]
    nll      float32  [F]           nats of each frame; 0 for prime frames
    passes   int64    []            passes of the decoder
    pixels   int64    []            sampled positions
    """

    kind: ClassVar[str] = "samples"


@dataclass(frozen=True)
class SamplePlan(HeldOutPlan):
    """Plan of the samples: clips, settings and the folder they go to."""

    settings: Sample
    action_sets: tuple[ActionSet, ...]
    """Sets of actions that samples follow; none if the model takes no actions."""
    out: Path

    @property
    def continuations(self) -> int:
        """Number of samples of each clip: `per_prime` under each set of actions."""
        return max(1, len(self.action_sets)) * self.settings.per_prime

    @property
    def videos(self) -> int:
        """Number of samples: all continuations of all clips."""
        return len(self.numbers) * self.continuations

    def followed(self, held_out: HeldOut) -> Float32[np.ndarray, "N S F A"] | None:
        """Actions that samples of the clips follow; None for a model without."""
        if held_out.actions is None:
            return None
        own, prime = held_out.actions, self.prime
        return np.stack([each.followed(own, prime) for each in self.action_sets], 1)

    @property
    def partial(self) -> PartialSamples:
        """Videos finished so far, while the folder is not complete."""
        return PartialSamples(self.out, self.fingerprint)

    @property
    def finished(self) -> bool:
        """The folder of these samples is complete."""
        if not (self.out / "samples.json").is_file():
            return False
        return read_facts(self.out).fingerprint == self.fingerprint


def plan_samples(
    checkpoint: Checkpoint,
    settings: Sample,
    clips: Path | Clips | None = None,
    out: Path | None = None,
) -> SamplePlan:
    """Check settings, clips and output against the checkpoint; writes nothing.

    `out` defaults to a folder of the run, named after the settings. Errors: Refused, as
    `plan_held_out`, for an `out` that holds something else, for top-k or top-p with a
    model that draws no codes, and for actions that do not fit; BadData.
    """
    check(checkpoint.recipe, settings)
    sets = action_sets(checkpoint.recipe, settings)
    # The samples depend on the contents of files, not on their places.
    identities = tuple(each.identity for each in sets)
    changed = identities not in ((), (OWN,))
    stated = replace(settings, actions=identities if changed else None)
    held_out = plan_held_out(checkpoint, stated, clips, settings.count)
    for each in sets:
        each.check_clips(len(held_out.numbers))
    name = (
        f"{checkpoint.step}-prime{held_out.prime}-temp{settings.temperature:g}"
        f"-seed{settings.seed}-{held_out.fingerprint[:6]}"
    )
    place = out or checkpoint.results.samples / name
    plan = SamplePlan(**vars(held_out), settings=settings, action_sets=sets, out=place)
    if plan.videos > MOST_VIDEOS:
        raise Refused(
            f"{plan.videos:,} samples of {len(plan.numbers):,} clips: at most "
            f"{MOST_VIDEOS:,} can be sampled",
            "set sample.count or sample.per_prime lower",
        )
    if plan.out.exists() and not plan.finished:
        raise Refused(
            f"{plan.out}: already exists, with something other than these samples",
            "choose another folder with --out",
        )
    return plan


def check(recipe: Recipe, settings: Sample, clips: Path | None = None) -> int:
    """Number of clips to continue, at most: those of the folder `clips`, if given.

    Errors: Refused for settings that sampling refuses, whatever the checkpoint; BadData
    for a damaged file of actions.
    """
    model = recipe.model
    for name in ("top_k", "top_p"):
        if getattr(settings, name) is not None and not model.draws_codes:
            raise Refused(
                f"sample.{name}: the loss is deterministic, so no codes are drawn",
                f"leave sample.{name} out",
            )
    if settings.schedule == "parallel":
        from svtcli.model.connectivity import LARGEST  # brings jax

        if (pixels := prod(model.slice_shape)) > LARGEST:
            raise Refused(
                f"sample.schedule: parallel is for slices of up to {LARGEST:,} pixels, "
                f"and a slice has {pixels:,}",
                "choose guess or sequential",
            )
    sets = action_sets(recipe, settings)
    count = check_held_out(recipe, settings, clips, settings.count)
    if clips is not None:  # else `count` may be more than there are
        for each in sets:
            each.check_clips(count)
    return count
