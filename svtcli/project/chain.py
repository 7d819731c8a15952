"""All stages of a recipe in order, each only if what it makes is not there already.

A stage is done when the result that its inputs call for exists: every result carries
the fingerprint of what went in. Nothing that exists is deleted or overwritten; what is
stale stays beside what replaces it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from svtcli.evaluate import stage as evaluating
from svtcli.evaluate.plan import LikelihoodPlan, plan_likelihoods, require_weights
from svtcli.evaluate.results import LikelihoodResult, MetricsResult
from svtcli.evaluate.trials import TrialsPlan, plan_all_trials, run_trials
from svtcli.failure import Refused
from svtcli.prepare import find_clips as prepared_clips
from svtcli.prepare import stage as preparing
from svtcli.project.staleness import why_evaluation, why_samples
from svtcli.recipe.load import LoadedRecipe
from svtcli.recipe.schema import Recipe
from svtcli.render import stage as rendering
from svtcli.render.curves import (
    any_curves,
    curves_fresh,
    draw_curves,
    planned_curves,
)
from svtcli.run.directory import RunFolder
from svtcli.run.progress import Progress
from svtcli.sample import stage as sampling
from svtcli.train import stage as training
from svtcli.train.commit_record import latest_step
from svtcli.train.load_network import Checkpoint
from svtcli.train.plan import changes_in

Stage = Literal["prepare", "train", "sample", "eval", "render"]
STAGES: tuple[Stage, ...] = ("prepare", "train", "sample", "eval", "render")


@dataclass(frozen=True)
class Status:
    """Where one stage stands, and why."""

    stage: Stage
    state: Literal["done", "to do", "waiting"]
    why: str


@dataclass(frozen=True)
class Results:
    """What a chain has made or found; None for stages that were not asked for."""

    prepared: prepared_clips.Prepared | None = None
    trained: training.Trained | None = None
    samples: Path | None = None
    evaluations: tuple[LikelihoodResult, ...] | None = None
    """One for each split that is scored."""
    comparisons: tuple[MetricsResult, ...] | None = None
    """One for each split, where a metric looks at samples."""
    pictures: tuple[Path, ...] | None = None


def chosen_stages(first: Stage | None, last: Stage | None) -> tuple[Stage, ...]:
    """The stages from `first` to `last`. Errors: Refused if they are out of order."""
    start, end = STAGES.index(first or STAGES[0]), STAGES.index(last or STAGES[-1])
    if start > end:
        raise Refused(f"--from {first} --to {last}: {last} comes before {first}")
    return STAGES[start : end + 1]


def survey(loaded: LoadedRecipe, run: RunFolder) -> tuple[Status, ...]:
    """Where every stage stands; writes nothing."""
    recipe = loaded.recipe
    clips = prepared_clips.clips_folder(recipe.data, loaded.name)
    statuses = [_prepare_status(loaded, clips), _train_status(loaded, run)]
    step = latest_step(run.checkpoints)
    if step is None or any(status.state != "done" for status in statuses):
        waiting = "for clips and a trained model"
        missing = {"eval": _missing_network(recipe)}
        return (
            *statuses,
            *(
                Status(stage, "waiting", missing.get(stage) or waiting)
                for stage in STAGES[2:]
            ),
        )
    checkpoint = Checkpoint(run, step, recipe)
    later: dict[Stage, Callable[[Checkpoint], Status]] = {
        "sample": _sample_status,
        "eval": _eval_status,
        "render": _render_status,
    }
    for stage, told in later.items():
        try:
            statuses.append(told(checkpoint))
        except Refused as problem:
            # Running it would say the same; the other stages are told all the same.
            statuses.append(Status(stage, "to do", problem.sentence))
    return tuple(statuses)


def run_chain(
    loaded: LoadedRecipe,
    run: RunFolder,
    stages: tuple[Stage, ...],
    progress: Progress,
) -> Results:
    """Run those of `stages` that are not done. Errors: those of the stages."""
    recipe = loaded.recipe
    clips = prepared_clips.clips_folder(recipe.data, loaded.name)
    prepared = trained = samples = evaluations = comparisons = pictures = None
    if "eval" in stages:
        require_weights(recipe.eval)  # not after days of training
    if "prepare" in stages:
        prepared = preparing.prepare(recipe.data, clips, progress)
    if "train" in stages:
        trained = training.train(loaded, run, progress)
    if "sample" in stages:
        plan = sampling.plan_samples(_checkpoint(loaded, run), recipe.sample)
        samples = sampling.sample(plan, progress)
    if "eval" in stages:
        scored = _checkpoint(loaded, run)
        scores = plan_likelihoods(scored, recipe.eval)
        trials = plan_all_trials(scored, recipe.eval, recipe.sample)
        evaluations = tuple(evaluating.evaluate(each, progress) for each in scores)
        comparisons = tuple(run_trials(each, progress) for each in trials)
    if "render" in stages:
        made = sampling.plan_samples(_checkpoint(loaded, run), recipe.sample)
        pictures = _render(made, loaded, progress)
    return Results(prepared, trained, samples, evaluations, comparisons, pictures)


def _missing_network(recipe: Recipe) -> str | None:
    """Which network of a metric is not here, though nothing can begin without it."""
    try:
        require_weights(recipe.eval)
    except Refused as problem:
        return f"{problem.sentence}; {problem.hint}"
    return None


def _render(
    plan: sampling.SamplePlan, loaded: LoadedRecipe, progress: Progress
) -> tuple[Path, ...]:
    if not plan.finished:
        raise Refused(f"{plan.out}: no samples to draw yet", "leave out --from render")
    run, settings = plan.checkpoint.run, loaded.recipe.render
    out = run.figures / plan.out.name
    curves = _curves(run, progress) if "curves" in settings.formats else ()
    if rendering.fresh(plan.out, out, settings):
        progress.note(f"{out}: these pictures are there already")
        return (*rendering.planned(plan.out, out, settings, force=True), *curves)
    # Only pictures of these very samples, drawn with other settings, can stand there.
    drawn = rendering.render(plan.out, out, settings, progress, force=True)
    return (*drawn, *curves)


def _curves(run: RunFolder, progress: Progress) -> tuple[Path, ...]:
    """Of this run alone; older ones of it are replaced."""
    if not any_curves(run):
        progress.note(f"{run.path}: nothing was logged, so there are no curves")
        return ()
    if curves_fresh((run,), run.figures):
        return tuple(planned_curves((run,), run.figures, force=True))
    return tuple(draw_curves((run,), run.figures, progress, force=True))


def _checkpoint(loaded: LoadedRecipe, run: RunFolder) -> Checkpoint:
    """The run's newest checkpoint, with the recipe as it is now."""
    step = latest_step(run.checkpoints)
    if step is None:
        raise Refused(
            f"{run.path}: not trained yet",
            f"leave out --from, or: svt train {loaded.name}",
        )
    return Checkpoint(run, step, loaded.recipe)


def _prepare_status(loaded: LoadedRecipe, clips: Path) -> Status:
    try:
        done = prepared_clips.find_finished(loaded.recipe.data, clips) is not None
    except Refused as problem:
        return Status("prepare", "to do", problem.sentence)
    return _status("prepare", done, clips)


def _train_status(loaded: LoadedRecipe, run: RunFolder) -> Status:
    step, steps = latest_step(run.checkpoints), loaded.recipe.train.steps
    if step is None:
        return Status("train", "to do", f"{run.path}: no checkpoint yet")
    if changes := changes_in(run, loaded.recipe):
        return Status("train", "to do", f"the recipe has changed: {'; '.join(changes)}")
    if step < steps:
        return Status("train", "to do", f"{run.path}: at step {step} of {steps}")
    return Status("train", "done", f"{run.path}: at step {step}")


def _sample_status(checkpoint: Checkpoint) -> Status:
    plan = sampling.plan_samples(checkpoint, checkpoint.recipe.sample)
    return _status("sample", plan.finished, plan.out, why_samples(plan))


def _eval_status(checkpoint: Checkpoint) -> Status:
    """Of all splits together; told by the first that is not scored."""
    recipe = checkpoint.recipe
    plans: tuple[LikelihoodPlan | TrialsPlan, ...] = (
        *plan_likelihoods(checkpoint, recipe.eval),
        *plan_all_trials(checkpoint, recipe.eval, recipe.sample),
    )
    if not plans:
        return Status("eval", "done", "no metric is asked for")
    owed = [plan for plan in plans if not plan.finished]
    if not owed:
        return _status("eval", True, plans[0].out)
    if len(owed) < len(plans):
        scored = f"{len(plans) - len(owed)} of {len(plans)} results are there"
        return Status("eval", "to do", f"{owed[0].out}: not there yet; {scored}")
    return _status("eval", False, owed[0].out, why_evaluation(owed[0]))


def _render_status(checkpoint: Checkpoint) -> Status:
    run, settings = checkpoint.run, checkpoint.recipe.render
    samples = sampling.plan_samples(checkpoint, checkpoint.recipe.sample)
    if not samples.finished:
        return Status("render", "waiting", "for samples")
    figures = run.figures / samples.out.name
    done = rendering.fresh(samples.out, figures, settings)
    curves = "curves" in settings.formats and any_curves(run)
    if done and curves and not curves_fresh((run,), run.figures):
        why = "the curves are not those of the newest numbers"
        return Status("render", "to do", f"{run.figures}: {why}")
    redraw = "drawn with other settings, or changed since" if figures.is_dir() else None
    return _status("render", done, figures, redraw)


def _status(stage: Stage, done: bool, place: Path, why: str | None = None) -> Status:
    """`why` it is to be made again, if something is there already."""
    if done:
        return Status(stage, "done", f"{place}")
    return Status(stage, "to do", f"{place}: {why or 'not there yet'}")
