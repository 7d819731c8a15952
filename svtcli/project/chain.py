"""Stages of a recipe in order, each only if its result is missing or stale.

Nothing is deleted or overwritten: stale results stay beside the new ones. Stages are
imported when they are run, so that preparing clips needs no JAX.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from svtcli.failure import Refused
from svtcli.prepare import find_clips
from svtcli.project.survey import newest_checkpoint, refusals, refuse_early
from svtcli.recipe.data import clips_folder
from svtcli.recipe.load import LoadedRecipe
from svtcli.recipe.schema import STAGES, Render, Stage
from svtcli.run.directory import RunFolder, run_of_samples
from svtcli.run.progress import Progress

if TYPE_CHECKING:
    from svtcli.evaluate.results import LikelihoodResult, MetricsResult
    from svtcli.sample.plan import SamplePlan
    from svtcli.train.stage import Trained


@dataclass(frozen=True)
class Results:
    """Results of a chain, new or found; None for stages that were not asked for."""

    prepared: find_clips.Prepared | None = None
    trained: "Trained | None" = None
    samples: Path | None = None
    evaluations: "tuple[LikelihoodResult, ...] | None" = None
    """Likelihoods, by split."""
    comparisons: "tuple[MetricsResult, ...] | None" = None
    """Metrics of samples, by split."""
    pictures: tuple[Path, ...] | None = None


def chosen_stages(first: Stage | None, last: Stage | None) -> tuple[Stage, ...]:
    """Stages from `first` to `last`. Errors: Refused if they are out of order."""
    start, end = STAGES.index(first or STAGES[0]), STAGES.index(last or STAGES[-1])
    if start > end:
        raise Refused(f"--from {first} --to {last}: {last} comes before {first}")
    return STAGES[start : end + 1]


def run_chain(
    loaded: LoadedRecipe,
    run: RunFolder,
    stages: tuple[Stage, ...],
    progress: Progress,
) -> Results:
    """Run those of `stages` that are not done. Errors: those of the stages."""
    recipe, folder = loaded.recipe, clips_folder(loaded.recipe.data, loaded.name)
    prepared = trained = samples = evaluations = comparisons = pictures = None
    refuse_early(loaded, run, stages)
    if "prepare" in stages:
        from svtcli.prepare.stage import prepare

        prepared = prepare(recipe.data, folder, progress)
        for line in () if prepared.existed else prepared.summary:
            progress.note(line)
        for problem in refusals(recipe, stages, folder):
            raise problem
    if "train" in stages:
        from svtcli.train.stage import train

        trained = train(loaded, run, progress)
    if "sample" in stages:
        from svtcli.sample.plan import plan_samples
        from svtcli.sample.stage import sample

        plan = plan_samples(newest_checkpoint(loaded, run, progress), recipe.sample)
        samples = sample(plan, progress)
    if "eval" in stages:
        from svtcli.evaluate.plan import plan_likelihoods
        from svtcli.evaluate.stage import evaluate
        from svtcli.evaluate.trials import plan_trials, run_trials

        checkpoint = newest_checkpoint(loaded, run, progress)
        scores = plan_likelihoods(checkpoint, recipe.eval)
        trials = plan_trials(checkpoint, recipe.eval, recipe.sample)
        evaluations = tuple(evaluate(each, progress) for each in scores)
        comparisons = tuple(run_trials(each, progress) for each in trials)
    if "render" in stages:
        pictures = _render(loaded, run, progress)
    if {"eval", "render"} & {*stages}:
        from svtcli.project.showing import send_results

        send_results(run, progress, recipe.train.log)
    return Results(prepared, trained, samples, evaluations, comparisons, pictures)


def _render(
    loaded: LoadedRecipe, run: RunFolder, progress: Progress
) -> tuple[Path, ...]:
    from svtcli.sample.plan import plan_samples

    plan = plan_samples(newest_checkpoint(loaded, run, progress), loaded.recipe.sample)
    if not plan.finished:
        raise Refused(f"{plan.out}: no samples to draw yet", "leave out --from render")
    return draw_samples(plan, loaded.recipe.render, progress)


def draw_samples(
    plan: "SamplePlan", settings: Render, progress: Progress
) -> tuple[Path, ...]:
    """Draw finished samples among the figures of their run, where that is not done.

    Samples outside of a run have the pictures in their folder. Errors: those of the
    stage.
    """
    from svtcli.render import stage as rendering

    run = plan.checkpoint.run
    inside = run_of_samples(plan.out) is not None
    out = run.figures / plan.out.name if inside else plan.out / "figures"
    curves = _render_curves(run, progress) if "curves" in settings.formats else ()
    return (*rendering.render(plan.out, out, settings, progress), *curves)


def _render_curves(run: RunFolder, progress: Progress) -> tuple[Path, ...]:
    """Curves of this run alone."""
    from svtcli.render import curves

    if not curves.any_curves(run):
        progress.note(f"{run.path}: nothing was logged, so there are no curves")
        return ()
    return tuple(curves.draw_curves((run,), run.figures, progress))
