"""`svt eval RUN`: likelihood on held-out clips, and samples against those clips."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svtcli.cli import console
from svtcli.cli.eval_samples import refuse_idle
from svtcli.cli.eval_tables import comparison_text, curves_text
from svtcli.cli.paper_table import paper_data, paper_table
from svtcli.cli.scores import UNITS, frame_table, score_data, score_table
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.evaluate.comparison import Comparison
    from svtcli.evaluate.likelihood_results import EvalPlan, Evaluation
    from svtcli.evaluate.trials import TrialsPlan
    from svtcli.run.job_array import ArrayTask
    from svtcli.train.load_network import Checkpoint

WORDS = {"bits": "bits_per_dim", "nats": "nats_per_frame"}
"""What --metric calls a likelihood, and its unit."""


BOTH = ("batch", "precision")
"""Settings that mean the same for scoring and for the samples that are compared."""


@dataclass(frozen=True)
class Call:
    """What this call changes of the recipe, and how it shows what it finds."""

    clips: Path | None
    """Other clips than the run's own."""
    scoring: dict[str, Any]
    """Settings of the section `eval`."""
    sampling: dict[str, Any]
    """Settings of the section `sample`, for the samples that are compared."""
    asked: tuple[str, ...]
    """The words of --metric."""
    most: int | None
    """At most so many clips, of either kind of metric."""
    i3d: Path | None
    task: tuple[int | None, int | None]
    """The values of --task-index and --task-count."""
    per_frame: bool
    table: bool
    dry_run: bool


def score_runs(runs: list[str], call: Call) -> None:
    """Everything that `call` asks for of these runs."""
    from svtcli.run.directory import find_checkpoint

    checkpoints = [find_checkpoint(run) for run in runs]
    # Only now, for it brings jax: a typo is answered at once.
    from svtcli.run.job_array import ArrayTask
    from svtcli.train.load_network import open_checkpoint

    task, opened = (
        ArrayTask.from_flags(*call.task),
        [open_checkpoint(*each) for each in checkpoints],
    )
    of_runs = [_plans(each, call) for each in opened]
    plans = [plan for scores, _ in of_runs for plan in scores]
    trials = [plan for _, compared in of_runs for plan in compared]
    if trials and task is not None:
        raise Refused(
            "--task-index: shares out likelihoods only",
            "make the samples first: svt sample RUN --per-prime TRIALS --task-index I",
        )
    if call.dry_run:
        _show_plans(plans, trials, task)
    else:
        _score(opened, plans, trials, task, call)


def _plans(
    checkpoint: "Checkpoint", call: Call
) -> "tuple[tuple[EvalPlan, ...], tuple[TrialsPlan, ...]]":
    """What is to be scored and compared of one run."""
    from svtcli.evaluate.likelihood_results import plan_evaluations
    from svtcli.evaluate.trials import plan_all_trials
    from svtcli.model.loss import score_name
    from svtcli.recipe.schema import Compare

    recipe = checkpoint.recipe
    unit = score_name(recipe.model)
    for word in call.asked:
        if WORDS.get(word, unit) != unit:
            other = next(each for each, of_unit in WORDS.items() if of_unit == unit)
            raise Refused(
                f"--metric {word}: the loss of {checkpoint.name} gives {UNITS[unit]}",
                f"say --metric {other}",
            )
    settings = replace(recipe.eval, **call.scoring)
    if call.most is not None:
        videos = min(call.most, settings.videos)
        settings = replace(settings, clips=call.most, videos=videos)
    named = {field.name for field in fields(Compare)} - {"metrics"}
    own = {"sampled_prime", "sampled_frames"}  # of --prime and --frames, for both kinds
    refuse_idle(sorted((named - own) & call.scoring.keys()), settings.metrics)
    refuse_idle([*call.sampling, *(["i3d"] if call.i3d else [])], settings.metrics)
    both = {key: call.scoring[key] for key in BOTH if key in call.scoring}
    sampling = replace(recipe.sample, **call.sampling, **both)
    return (
        plan_evaluations(checkpoint, settings, call.clips),
        plan_all_trials(checkpoint, settings, sampling, call.clips, call.i3d),
    )


def _score(
    checkpoints: "list[Checkpoint]",
    plans: "list[EvalPlan]",
    trials: "list[TrialsPlan]",
    task: "ArrayTask | None",
    call: Call,
) -> None:
    """Score what is missing; show what is whole, and how much of the rest is owed."""
    from svtcli.evaluate.comparison import comparison_data
    from svtcli.evaluate.trials import run_trials

    evaluations, owed = _evaluations(plans, task)
    comparisons = [run_trials(plan, console.progress()) for plan in trials]
    data: dict[str, object] = {
        "evaluations": [score_data(each) for each in evaluations],
        "comparisons": [comparison_data(each) for each in comparisons],
        "dry_run": False,
    }
    texts = _texts(evaluations, comparisons, call)
    if call.table:
        from svtcli.evaluate.paper_table import paper_lines

        lines = [line for each in checkpoints for line in paper_lines(each)]
        texts, data["table"] = [paper_table(lines)], paper_data(lines)
    console.show("\n\n".join(texts), data | ({"unfinished": owed} if owed else {}))
    written = [plan.out for plan in plans if plan.finished]
    for out in [*written, *(plan.out for plan in trials)]:
        console.note(f"written to {out}")


def _texts(
    evaluations: "list[Evaluation]", comparisons: "list[Comparison]", call: Call
) -> list[str]:
    """The tables of what was found."""
    texts = [score_table(evaluations)] if evaluations else []
    if comparisons:
        texts.append(comparison_text(comparisons))
    if call.per_frame and evaluations:
        texts.append(frame_table(evaluations))
    if call.per_frame and (curves := curves_text(comparisons)):
        texts.append(curves)
    return texts


def _evaluations(
    plans: "list[EvalPlan]", task: "ArrayTask | None"
) -> "tuple[list[Evaluation], list[dict[str, Any]]]":
    """Likelihoods that are whole, and what other tasks owe of the others."""
    from svtcli.evaluate import stage as stage
    from svtcli.run.partial import Unfinished

    progress, whole, owed = console.progress(), [], []
    for plan in plans:
        if task is None:
            whole.append(stage.evaluate(plan, progress))
            continue
        ended = stage.evaluate_task(plan, progress, task)
        if isinstance(ended, Unfinished):
            console.note(
                f"{ended.done} of {ended.of} clips are scored so far: {plan.out}"
            )
            owed.append({"file": str(plan.out), "clips": ended.done, "of": ended.of})
        else:
            whole.append(ended)
    return whole, owed


def _show_plans(
    plans: "list[EvalPlan]", trials: "list[TrialsPlan]", task: "ArrayTask | None"
) -> None:
    """What would be scored, one evaluation a line."""
    from svtcli.evaluate.stage import unfinished

    lines = []
    for plan in plans:
        own = len(task.share(len(plan.numbers))) if task else len(plan.numbers)
        share = f" (task {task.index} of {task.count})" if task else ""
        kept = unfinished(plan)
        so_far = f" ({kept.done} of {kept.of} clips are scored)" if kept.done else ""
        lines.append(
            f"would score {plan.checkpoint.name} on {own} clips{share} of "
            f"{plan.folder}, split {plan.settings.split}, frames {plan.prime + 1} to "
            f"{plan.frames}: {plan.out}" + (" (done)" if plan.finished else so_far)
        )
    lines += [_said(each) for each in trials]
    outs = [*(plan.out for plan in plans), *(plan.out for plan in trials)]
    files = [str(out) for out in outs]
    console.show("\n".join(lines), {"files": files, "dry_run": True})


def _said(plan: "TrialsPlan") -> str:
    """What would be sampled and compared."""
    settings, made = plan.comparison.settings, plan.samples
    metrics, trials = ", ".join(settings.metrics), settings.trials
    ready = " (they are there)" if made.finished else ""
    many = f"{trials} trial{'s' * (trials > 1)} of {len(made.numbers)} clips"
    return (
        f"would measure {metrics} of {made.checkpoint.name}: {made.videos} samples"
        f"{ready} of {made.frames} frames, {many} of {made.folder}, split "
        f"{made.settings.split}: {plan.out}" + (" (done)" if plan.finished else "")
    )
