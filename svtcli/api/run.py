"""A trained model with which a Python program samples and scores."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, UInt8
from numpy.typing import ArrayLike

from svtcli.api.inputs import Frames, choose
from svtcli.evaluate.plan import plan_likelihood
from svtcli.recipe.schema import UNITS, Precision, Recipe
from svtcli.recipe.validate import validate_section
from svtcli.run.progress import Silent
from svtcli.sample.plan import plan_samples
from svtcli.train.commit_record import Checkpoint
from svtcli.train.held_out import Settings

Number = float | int


@dataclass(frozen=True)
class Scores:
    """Log-likelihood of N videos of F frames, of which prime frames do not count."""

    unit: str
    """`bits/dim`; `nats/frame` for the deterministic loss."""
    per_video: Float64[np.ndarray, " N"]
    """Score of each video; lower is better."""
    log_prob: Float64[np.ndarray, "N F"]
    """Log-likelihood of each frame in nats; 0 for prime frames."""
    mean: float
    """Mean of the videos, as `svt eval` prints it."""
    error: float | None
    """Standard error of the mean; None for a single video."""
    per_frame: tuple[float, ...]
    """Mean of each scored frame."""


@dataclass(frozen=True, eq=False)
class Run:
    """A trained network; its weights are loaded at the first use, and kept."""

    checkpoint: Checkpoint

    def __repr__(self) -> str:
        T, H, W = self.recipe.model.video
        return f"<run {self.checkpoint.name}: {T} frames of {H}x{W}>"

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.checkpoint.run.name

    @property
    def step(self) -> int:
        """Training steps of the checkpoint."""
        return self.checkpoint.step

    @property
    def recipe(self) -> Recipe:
        """Recipe that it was trained with: `run.recipe.model.video` is (T, H, W)."""
        return self.checkpoint.recipe

    @property
    def clips(self) -> Path:
        """Folder of the clips that it was trained on, for `open_clips`."""
        return self.checkpoint.clips

    def sample(
        self,
        video: Frames,
        /,
        *,
        prime: int | None = None,
        frames: int | None = None,
        actions: ArrayLike | None = None,
        temperature: Number | None = None,
        seed: int | None = None,
        per_prime: int | None = None,
        overlap: int | None = None,
        top_k: int | None = None,
        top_p: Number | None = None,
        precision: Precision | None = None,
        batch: int | None = None,
        schedule: Literal["auto", "sequential", "parallel", "guess"] | None = None,
        window: int | None = None,
    ) -> UInt8[np.ndarray, "..."]:
        """Continue the first `prime` frames of each video: uint8 [N, F, H, W, C].

        `frames` is F, prime frames included. With `per_prime`, M continuations of each
        video, the result is [N, M, F, H, W, C]. Anything else that is None is as in the
        recipe's section `sample`, as for `svt sample`.

        A model with actions takes them as [F, A] for all videos or [N, F, A]. Clips
        have their own, and follow these after the prime frames.

        Noise depends on the seed and on a video's number: its row, or of a clip its
        number in the split. Errors: Refused for arrays or settings that do not fit.
        """
        changed = _changed(
            self.recipe.sample,
            "sample",
            prime=prime,
            frames=frames,
            temperature=temperature,
            seed=seed,
            per_prime=1 if per_prime is None else per_prime,
            overlap=overlap,
            top_k=top_k,
            top_p=top_p,
            precision=precision,
            batch=batch,
            schedule=schedule,
            window=window,
        )
        settings = replace(changed, actions=None)
        lengths = self.recipe.resolved(settings)
        chosen = choose(video, actions, self.recipe, lengths, lengths.prime)
        plan = plan_samples(self.checkpoint, settings, chosen.clips)
        sets = plan.action_sets if chosen.actions is None else (chosen.actions,)
        plan = replace(plan, numbers=chosen.numbers, action_sets=sets)
        from svtcli.sample.stage import sample_in_memory  # brings jax

        samples = sample_in_memory(plan, Silent()).video
        return samples[:, 0] if per_prime is None else samples

    def score(
        self,
        video: Frames,
        /,
        *,
        prime: int | None = None,
        frames: int | None = None,
        actions: ArrayLike | None = None,
        overlap: int | None = None,
        precision: Precision | None = None,
        batch: int | None = None,
    ) -> Scores:
        """Score the first `frames` frames of each video, but the `prime` first ones.

        What is None is as in the recipe's section `eval`, as for `svt eval`; `actions`
        are as for `sample`. Errors: Refused for arrays or settings that do not fit.
        """
        settings = _changed(
            self.recipe.eval,
            "eval",
            prime=prime,
            frames=frames,
            overlap=overlap,
            precision=precision,
            batch=batch,
        )
        lengths = self.recipe.resolved(settings)
        chosen = choose(video, actions, self.recipe, lengths, lengths.frames)
        plan = plan_likelihood(self.checkpoint, settings, chosen.clips)
        plan = replace(plan, numbers=chosen.numbers)
        held_out = plan.read()
        if chosen.actions is not None and held_out.actions is not None:
            followed = chosen.actions.followed(held_out.actions, plan.prime)
            held_out = replace(held_out, actions=followed)
        from svtcli.evaluate.stage import nll_in_memory  # brings jax
        from svtcli.model.heads import unit_of
        from svtcli.model.likelihood import per_frame, score

        nll, config = nll_in_memory(plan, held_out), self.recipe.model
        mean = score(nll, plan.prime, config)
        return Scores(
            unit=UNITS[unit_of(config).name],
            per_video=per_frame(nll, plan.prime, config).mean(axis=1),
            log_prob=0 - nll,
            mean=mean.mean,
            error=mean.error,
            per_frame=mean.per_frame,
        )


def _changed(section: Settings, name: str, **keys: Any) -> Settings:
    """Section `name` of a recipe with other values of the keys that are not None.

    Errors: Refused.
    """
    given = {key: value for key, value in keys.items() if value is not None}
    valid = validate_section(name, given)
    return replace(section, **{key: getattr(valid, key) for key in given})
