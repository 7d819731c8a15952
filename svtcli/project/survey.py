"""State of every stage, and everything that `svt run` refuses before it begins.

Every result carries a fingerprint of its inputs: a stage is done if the result with the
fingerprint of today's inputs exists. Stages are imported when they are surveyed, so
that refusing clips needs no JAX.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from svtcli.clips.format import MANIFEST
from svtcli.failure import BadData, Refused
from svtcli.prepare import find_clips
from svtcli.recipe.data import clips_folder
from svtcli.recipe.load import LoadedRecipe
from svtcli.recipe.schema import STAGES, Recipe, Stage
from svtcli.recipe.setting import influential, written
from svtcli.run.directory import RunFolder, refuse_unwritable
from svtcli.run.durable import read_record
from svtcli.run.metrics_log import read_rows
from svtcli.run.names import recipe_command
from svtcli.run.progress import Progress, Silent
from svtcli.run.samples import check_samples

if TYPE_CHECKING:
    from svtcli.evaluate.plan import LikelihoodPlan
    from svtcli.evaluate.trials import TrialsPlan
    from svtcli.sample.plan import SamplePlan
    from svtcli.train.commit_record import Checkpoint


@dataclass(frozen=True)
class Status:
    """State of one stage, and the reason."""

    stage: Stage
    state: Literal["done", "to do", "waiting", "damaged"]
    why: str


def survey(loaded: LoadedRecipe, run: RunFolder) -> tuple[Status, ...]:
    """State of every stage; writes nothing."""
    from svtcli.train.commit_record import Checkpoint, latest_step

    statuses = [
        _looked_at("prepare", lambda: _prepare_status(loaded)),
        _looked_at("train", lambda: _train_status(loaded, run)),
    ]
    step = latest_step(run.checkpoints)
    if step is None or any(status.state != "done" for status in statuses):
        waiting = dict.fromkeys(STAGES[2:], "for the stages before")
        for problem in refusals(loaded.recipe, ("eval",)):
            waiting["eval"] = f"{problem.sentence}; {problem.hint}"
        statuses += [Status(stage, "waiting", why) for stage, why in waiting.items()]
        return tuple(statuses)
    checkpoint = Checkpoint(run, step, loaded.recipe)
    for stage, status in LATER.items():
        statuses.append(_looked_at(stage, partial(status, checkpoint)))
    return tuple(statuses)


def _looked_at(stage: Stage, status: Callable[[], Status]) -> Status:
    """State of a stage; running it raises the same problem, which hides no other."""
    try:
        return status()
    except Refused as problem:
        return Status(stage, "to do", problem.sentence)
    except BadData as problem:
        return Status(stage, "damaged", problem.sentence)


def refusals(
    recipe: Recipe, stages: Iterable[Stage] = STAGES, clips: Path | None = None
) -> Iterator[Refused]:
    """Refusals of the stages that follow from the recipe and from this installation.

    With prepared `clips`, also those that follow from the clips: one a stage.
    """
    from svtcli.evaluate import trials as evaluation
    from svtcli.render import stage as rendering
    from svtcli.sample import plan as sampling
    from svtcli.train import plan as training

    checks: dict[Stage, Callable[[], object]] = {
        "train": lambda: training.check(recipe, clips),
        "sample": lambda: sampling.check(recipe, recipe.sample, clips),
        "eval": lambda: evaluation.check(recipe, clips),
        "render": lambda: rendering.check(recipe),
    }
    for stage, check in checks.items():
        try:
            if stage in stages:
                check()
        except Refused as problem:
            yield problem


def refuse_early(
    loaded: LoadedRecipe, run: RunFolder, stages: tuple[Stage, ...]
) -> tuple[str, ...]:
    """Refuse, before any work, what `run_chain` would refuse; writes nothing.

    Return notes on the videos. Errors: Refused, and others of prepared clips or a run
    that cannot be read.
    """
    from svtcli.train.commit_record import Checkpoint, latest_step
    from svtcli.train.plan import plan_training, refuse_changes

    recipe, folder = loaded.recipe, clips_folder(loaded.recipe.data, loaded.name)
    prepared = (folder / MANIFEST).is_file()
    for problem in refusals(recipe, stages):
        raise problem
    notes: tuple[str, ...] = ()
    if "prepare" in stages:
        notes = find_clips.check(recipe.data, folder)
        if not prepared:
            refuse_unwritable(folder)
    if prepared:
        for problem in refusals(recipe, stages, folder):
            raise problem
    if stages[-1] != "prepare":
        refuse_unwritable(run.path)
        if os.environ.get("JAX_PLATFORMS", "cpu") != "cpu":
            from svtcli.train.backend import devices

            devices()
    if "train" in stages:
        if prepared or "prepare" not in stages:
            plan_training(loaded, run)
        else:
            refuse_changes(loaded, run)
    elif stages[-1] != "prepare":
        newest_checkpoint(loaded, run, Silent())
    step = latest_step(run.checkpoints)
    if step is not None and step >= recipe.train.steps and prepared:
        for stage, status in LATER.items():
            if stage in stages:
                status(Checkpoint(run, step, recipe))
    if "train" in stages:
        from svtcli.train.mesh import layout_of  # brings jax

        layout_of(recipe.mesh, recipe.train)
    return notes


def newest_checkpoint(
    loaded: LoadedRecipe, run: RunFolder, progress: Progress
) -> "Checkpoint":
    """Newest checkpoint of the run, with the recipe as it is now."""
    from svtcli.train.commit_record import latest_step, open_checkpoint

    if latest_step(run.checkpoints) is None:
        raise Refused(
            f"{run.path}: not trained yet",
            f"leave out --from, or: {recipe_command('train', loaded, run)}",
        )
    newest = open_checkpoint(run, note=progress.note)
    return replace(newest, recipe=loaded.recipe)


def _prepare_status(loaded: LoadedRecipe) -> Status:
    data = loaded.recipe.data
    folder = clips_folder(data, loaded.name)
    done = find_clips.find_finished(data, folder) is not None
    return _status("prepare", done, folder)


def _train_status(loaded: LoadedRecipe, run: RunFolder) -> Status:
    from svtcli.train.commit_record import latest_step
    from svtcli.train.plan import changes_in

    step, steps = latest_step(run.checkpoints), loaded.recipe.train.steps
    if step is None:
        return Status("train", "to do", f"{run.path}: no checkpoint yet")
    read_rows(run.metrics)  # refuses a damaged log
    if changes := changes_in(run, loaded.recipe):
        return Status("train", "to do", f"the recipe has changed: {'; '.join(changes)}")
    if step < steps:
        return Status("train", "to do", f"{run.path}: at step {step} of {steps}")
    return Status("train", "done", f"{run.path}: at step {step}")


def _sample_status(checkpoint: "Checkpoint") -> Status:
    from svtcli.sample.plan import plan_samples

    plan = plan_samples(checkpoint, checkpoint.recipe.sample)
    if plan.finished:
        check_samples(plan.out)
    earlier = _read(checkpoint.run.samples.glob("*/samples.json"))
    return _status("sample", plan.finished, plan.out, _changes(earlier, _inputs(plan)))


def _eval_status(checkpoint: "Checkpoint") -> Status:
    """State of all splits together; the reason is that of the first unfinished one."""
    from svtcli.evaluate.plan import plan_likelihoods
    from svtcli.evaluate.trials import plan_trials

    recipe = checkpoint.recipe
    scores = plan_likelihoods(checkpoint, recipe.eval)
    trials = plan_trials(checkpoint, recipe.eval, recipe.sample)
    plans: tuple[LikelihoodPlan | TrialsPlan, ...] = (*scores, *trials)
    if not plans:
        return Status("eval", "done", "no metric is asked for")
    unfinished = [plan for plan in plans if not plan.finished]
    if not unfinished:
        return _status("eval", True, plans[0].out)
    first, finished = unfinished[0], len(plans) - len(unfinished)
    if finished:
        why = f"does not exist yet; {finished} of {len(plans)} results exist"
        return _status("eval", False, first.out, why)
    inputs = _inputs(first)
    earlier = [
        facts
        for facts in _read(first.out.parent.glob("*.json"))
        if (facts.get("kind") == "comparison") is (first in trials)
        and facts.get("split") == inputs["split"]
    ]
    return _status("eval", False, first.out, _changes(earlier, inputs))


def _render_status(checkpoint: "Checkpoint") -> Status:
    from svtcli.render import stage as rendering
    from svtcli.render.curves import any_curves, draw_curves
    from svtcli.sample.plan import plan_samples

    run, settings = checkpoint.run, checkpoint.recipe.render
    plan = plan_samples(checkpoint, checkpoint.recipe.sample)
    if not plan.finished:
        return Status("render", "waiting", "for samples")
    figures = run.figures / plan.out.name
    stale = rendering.render(plan.out, figures, settings, Silent(), dry_run=True)
    if "curves" in settings.formats and any_curves(run):
        stale += draw_curves((run,), run.figures, Silent(), dry_run=True)
    if not stale:
        return _status("render", True, figures)
    redraw = "drawn with other settings, or changed since"
    return _status("render", False, stale[0], redraw if stale[0].exists() else None)


LATER: "Mapping[Stage, Callable[[Checkpoint], Status]]" = {
    "sample": _sample_status,
    "eval": _eval_status,
    "render": _render_status,
}
"""States of the stages that begin with a checkpoint."""


def _status(stage: Stage, done: bool, place: Path, why: str | None = None) -> Status:
    """State of the result at `place`; `why` explains a stale one."""
    if done:
        return Status(stage, "done", f"{place}")
    return Status(stage, "to do", f"{place}: {why or 'does not exist yet'}")


def _inputs(plan: "SamplePlan | LikelihoodPlan | TrialsPlan") -> dict[str, Any]:
    """Inputs of a result by the names of recipe keys, as its file states them."""
    from svtcli.evaluate.plan import LikelihoodPlan
    from svtcli.evaluate.trials import TrialsPlan

    if isinstance(plan, TrialsPlan):
        return _inputs(plan.samples) | influential(plan.metrics.settings)
    stated: dict[str, Any] = {
        "step": plan.checkpoint.step,
        "clips": len(plan.numbers),
        "prime": plan.prime,
        "frames": plan.frames,
        "overlap": plan.overlap,
    }
    if isinstance(plan, LikelihoodPlan):
        stated["models"] = plan.models
    return stated | influential(plan.settings) | stated


def _changes(earlier: list[dict[str, Any]], inputs: Mapping[str, Any]) -> str | None:
    """Differences between the newest of the `earlier` results and today's inputs.

    None if there are no earlier results.
    """
    if not earlier:
        return None
    then = earlier[-1]
    now = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in inputs.items()
        if key in then
    }
    differ = [
        f"{key}: was {_text(then[key])}, now {_text(value)}"
        for key, value in now.items()
        if then[key] != value
    ]
    # The fingerprint differs even if nothing does that a result states.
    return "; ".join(differ) or "the weights, the clips or svt itself have changed"


def _read(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Contents of result files by the names of recipe keys, the newest last.

    Files that cannot be read are skipped.
    """
    found = []
    for file in sorted(files, key=lambda file: (file.stat().st_mtime_ns, file)):
        try:
            facts = read_record(file, "")
        except (OSError, BadData):
            continue
        facts = (facts.get("made") or {}) | (facts.get("settings") or {}) | facts
        if isinstance(clips := facts.get("clips"), list):
            facts["clips"] = len(clips)
        if isinstance(rows := facts.get("rows"), list):
            facts["models"] = [row.get("model") for row in rows]
        found.append(facts)
    return found


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(written, value))
    return "none" if value is None else written(value)
