"""Refusals of the stage `eval` that need no checkpoint; no jax here."""

from dataclasses import replace
from pathlib import Path

from svtcli.evaluate.foreign.videos import PlannedVideos
from svtcli.evaluate.plan import plan_metrics
from svtcli.recipe.schema import Recipe
from svtcli.sample import plan as sampling
from svtcli.train.held_out import check_held_out

ENOUGH = 1000
"""Clips that stand for any larger number of them."""


def check(recipe: Recipe, clips: Path | None = None) -> None:
    """Refuse what evaluation refuses, whatever the checkpoint.

    With the folder `clips`, also splits, labels and lengths that it lacks. Errors:
    Refused.
    """
    for split in dict.fromkeys((recipe.eval.split, *recipe.eval.also)):
        settings = replace(recipe.eval, split=split)
        if "likelihood" in settings.metrics:
            check_held_out(recipe, settings, clips, settings.clips)
        if {"likelihood"}.issuperset(settings.metrics):
            continue
        trials = settings.trial_samples(recipe.sample)
        count = sampling.check(recipe, trials, clips)
        lengths = recipe.resolved(trials)
        samples = PlannedVideos(
            name="the samples of section eval",
            count=min(count, ENOUGH),
            continuations=trials.per_prime,
            frames=lengths.frames,
            shape=(*recipe.model.video[1:], recipe.model.channels),
            prime=lengths.prime,
        )
        plan_metrics(samples, samples, settings)
