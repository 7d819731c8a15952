"""What scoring a recipe's run will take, told by the recipe alone."""

from dataclasses import dataclass

from svtcli.clips.held_out import slices_per_batch
from svtcli.evaluate.fvd.protocol import windows_of
from svtcli.model.flops import forward_flops
from svtcli.recipe.schema import DISTANCES, Eval, Recipe


@dataclass(frozen=True)
class Likelihood:
    """Scoring held-out clips."""

    clips: int | None
    """At most so many of each split; None for all there are."""
    models: tuple[str, ...]
    """Each scores every clip."""
    frames: int
    """Of a clip, given ones included."""
    slices: int
    """In how many passes one model scores a clip."""
    flops: float
    """Of one model and clip, as `forward_flops`."""


@dataclass(frozen=True)
class Trials:
    """Making samples and comparing them with clips."""

    metrics: tuple[str, ...]
    samples: int
    """Videos made of each split: clips x trials x continuations."""
    frames: int
    """Of each, given ones included."""
    features: int
    """Clips that FVD's network looks at, at most; 0 where no metric needs it."""


@dataclass(frozen=True)
class EvalCost:
    """The stage `eval`; None for what the recipe does not ask for."""

    splits: tuple[str, ...]
    likelihood: Likelihood | None
    trials: Trials | None


def eval_cost(recipe: Recipe) -> EvalCost:
    """What its section `eval` asks for.

    Errors: Refused when its frames cannot be laid out in windows.
    """
    settings = recipe.eval
    splits = tuple(dict.fromkeys((settings.split, *settings.also)))
    scored = "likelihood" in settings.metrics
    compared = tuple(each for each in settings.metrics if each != "likelihood")
    return EvalCost(
        splits,
        _likelihood(recipe) if scored else None,
        _trials(recipe, compared) if compared else None,
    )


def _likelihood(recipe: Recipe) -> Likelihood:
    settings, model = recipe.eval, recipe.model
    lengths = recipe.resolved(settings)
    slices = slices_per_batch(model, lengths)
    return Likelihood(
        clips=settings.clips,
        models=("trained", *dict.fromkeys(settings.baselines)),
        frames=lengths.frames,
        slices=slices,
        flops=forward_flops(model, slices),
    )


def _trials(recipe: Recipe, metrics: tuple[str, ...]) -> Trials:
    settings = recipe.eval
    made = settings.trial_samples(recipe.sample)
    frames = recipe.resolved(made).frames
    return Trials(
        metrics=metrics,
        samples=settings.videos * made.per_prime,
        frames=frames,
        features=_features(settings, metrics, frames),
    )


def _features(settings: Eval, metrics: tuple[str, ...], frames: int) -> int:
    """Real clips and samples in every window, and other real ones for the floor."""
    if DISTANCES.isdisjoint(metrics):
        return 0
    windows = len(windows_of(frames, settings.window, settings.stride))
    windows = windows if "fvd-avg" in metrics else min(windows, 1)
    videos, K = settings.videos, settings.per_prime
    return windows * videos * (1 + settings.trials * K) + 2 * videos * K
