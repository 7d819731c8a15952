"""`svt eval RUN`: likelihood of held-out clips, metrics of samples of them.

`svt eval SAMPLES --reference CLIPS`: metrics of samples of any model.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svtcli.cli import console
from svtcli.cli.eval_tables import paper_data, paper_table, result_text
from svtcli.cli.flags import find_model, flag
from svtcli.failure import Refused
from svtcli.recipe.schema import UNITS
from svtcli.run.names import run_argument, samples_argument, typed
from svtcli.run.progress import counted

if TYPE_CHECKING:
    from svtcli.evaluate.plan import LikelihoodPlan
    from svtcli.evaluate.trials import TrialsPlan
    from svtcli.recipe.schema import Eval
    from svtcli.run.directory import RunFolder
    from svtcli.run.partial import ArrayTask
    from svtcli.train.commit_record import Checkpoint

WORDS = {unit.partition("_")[0]: unit for unit in UNITS}
"""Likelihoods as --metric names them: `bits` and `nats`."""
ARRAYS = (".npy", ".npz")
BOTH = ("batch", "precision")
"""Settings that scoring and sampling share."""


@dataclass(frozen=True)
class Call:
    """Changes to the recipe, and how results are shown."""

    clips: Path | None
    """Clips to use instead of the run's own."""
    scoring: dict[str, Any]
    """Keys of the section `eval`."""
    sampling: dict[str, Any]
    """Keys of the section `sample`, for the samples of the other metrics."""
    names: tuple[str, ...]
    """Metrics as named by --metric."""
    most: int | None
    """Maximum number of clips, for every metric."""
    i3d: Path | None
    out: Path | None
    """Folder for `eval/` and `samples/`, in place of each run's own."""
    task: tuple[int | None, int | None]
    """The values of --task-index and --task-count."""
    per_frame: bool
    table: bool
    dry_run: bool


def score_runs(runs: list[str], call: Call) -> None:
    """Score these runs by all metrics of the call."""
    checkpoints = [find_model(run, call.dry_run) for run in runs]
    from svtcli.run.partial import ArrayTask
    from svtcli.train.commit_record import open_checkpoint
    from svtcli.train.held_out import open_held_out

    task = ArrayTask.from_flags(*call.task)
    out = _out_folder(call.out, {run.path for run, _ in checkpoints})
    opened = [
        replace(open_checkpoint(*each, console.note), out=out) for each in checkpoints
    ]
    for checkpoint in opened:  # refuse before JAX is imported
        open_held_out(checkpoint, _settings(checkpoint, call), call.clips)
    of_runs = [_plans(each, call) for each in opened]
    plans = [plan for scores, _ in of_runs for plan in scores]
    trials = [plan for _, sampled in of_runs for plan in sampled]
    if trials and task is not None:
        raise Refused(
            "--task-index: only likelihoods are shared between tasks",
            "sample first: svt sample RUN --per-prime TRIALS --task-index I",
        )
    if call.dry_run:
        _show_plans(plans, trials, task)
    else:
        _score(opened, plans, trials, task, call)


def _out_folder(out: Path | None, runs: Collection[Path]) -> "RunFolder | None":
    """Folder in place of the run's own. Errors: Refused for a file, or several runs."""
    from svtcli.run.directory import RunFolder

    if out is None:
        return None
    if len(runs) > 1:
        raise Refused(f"--out {out}: one folder, and {len(runs)} runs")
    if out.exists() and not out.is_dir():
        raise Refused(f"{out}: not a folder", "scores of a run go to a folder")
    return RunFolder(out)


def _plans(
    checkpoint: "Checkpoint", call: Call
) -> "tuple[tuple[LikelihoodPlan, ...], tuple[TrialsPlan, ...]]":
    """Plan the likelihoods and the trials of one run."""
    from svtcli.evaluate.plan import plan_likelihoods
    from svtcli.evaluate.trials import plan_trials
    from svtcli.model.heads import unit_of
    from svtcli.recipe.schema import Compare

    recipe = checkpoint.recipe
    unit = unit_of(recipe.model).name
    for word in call.names:
        if WORDS.get(word, unit) != unit:
            other = next(each for each, of_unit in WORDS.items() if of_unit == unit)
            raise Refused(
                f"--metric {word}: the loss of {checkpoint.name} gives {UNITS[unit]}",
                f"use --metric {other}",
            )
    settings = _settings(checkpoint, call)
    # --prime and --frames are for likelihood, too.
    shared = {"metrics", "sampled_prime", "sampled_frames"}
    of_samples = {field.name for field in fields(Compare)} - shared
    given = [*sorted(of_samples & call.scoring.keys()), *call.sampling]
    refuse_idle([*given, *(["i3d"] if call.i3d else [])], settings.metrics)
    both = {key: call.scoring[key] for key in BOTH if key in call.scoring}
    sampling = replace(recipe.sample, **call.sampling, **both)
    return (
        plan_likelihoods(checkpoint, settings, call.clips),
        plan_trials(checkpoint, settings, sampling, call.clips, call.i3d),
    )


def _settings(checkpoint: "Checkpoint", call: Call) -> "Eval":
    """Settings of the recipe's section `eval`, changed by the call."""
    settings = replace(checkpoint.recipe.eval, **call.scoring)
    if call.most is None:
        return settings
    videos = min(call.most, settings.videos)
    return replace(settings, clips=call.most, videos=videos)


def _score(
    checkpoints: "list[Checkpoint]",
    plans: "list[LikelihoodPlan]",
    trials: "list[TrialsPlan]",
    task: "ArrayTask | None",
    call: Call,
) -> None:
    """Compute missing results; show the finished ones and progress of the others."""
    from svtcli.evaluate.results import result_data
    from svtcli.evaluate.stage import evaluate, evaluate_task
    from svtcli.evaluate.trials import run_trials
    from svtcli.run.partial import Unfinished

    progress = console.progress()
    every: tuple[LikelihoodPlan | TrialsPlan, ...] = (*plans, *trials)
    before = {each.out for each in every if each.finished}
    evaluations, unfinished = [], []
    for plan in plans:
        ended = (
            evaluate_task(plan, progress, task) if task else evaluate(plan, progress)
        )
        if not isinstance(ended, Unfinished):
            evaluations.append(ended)
            continue
        console.note(f"{ended.done} of {ended.of} clips are scored so far: {plan.out}")
        unfinished.append({"file": str(plan.out), "clips": ended.done, "of": ended.of})
    comparisons = [run_trials(plan, progress) for plan in trials]
    data: dict[str, object] = {
        "evaluations": [result_data(each) for each in evaluations],
        "comparisons": [result_data(each) for each in comparisons],
        "dry_run": False,
    }
    if unfinished:
        data["unfinished"] = unfinished
    text = result_text(evaluations, comparisons, call.per_frame)
    if call.table:
        from svtcli.evaluate.paper_table import paper_lines

        lines = [line for each in checkpoints for line in paper_lines(each)]
        text, data["table"] = paper_table(lines), paper_data(lines)
    console.show(text, data)
    for each in every:
        if each.finished and each.out not in before:
            console.note(f"written to {each.out}")
    if call.out is None:
        from svtcli.project.showing import send_results

        for run in dict.fromkeys(each.run for each in checkpoints):
            send_results(run, progress)
    (run, *others) = {each.run.path: each.run for each in checkpoints}.values()
    if not (others or unfinished or call.table or call.out):
        _suggest_next(run)


def _suggest_next(run: "RunFolder") -> None:
    """Name the command that shows the scores with samples, if there are any."""
    if samples := run.newest_samples():
        page = typed("svt", "open", samples_argument(samples))
        console.suggest("see scores and samples in a browser", page)
    else:
        sample = typed("svt", "sample", run_argument(run))
        console.suggest("sample from it", sample)


def _show_plans(
    plans: "list[LikelihoodPlan]", trials: "list[TrialsPlan]", task: "ArrayTask | None"
) -> None:
    """Show one line for each result that would be computed."""
    lines = []
    for plan in plans:
        own = len(task.share(len(plan.numbers))) if task else len(plan.numbers)
        share = f" (task {task.index} of {task.count})" if task else ""
        kept = plan.progress
        so_far = f" ({kept.done} of {kept.of} clips are scored)" if kept.done else ""
        lines.append(
            f"would score {plan.checkpoint.name} on {own} clips{share} of "
            f"{plan.folder}, split {plan.settings.split}, frames {plan.prime} to "
            f"{plan.frames - 1}: {plan.out}" + (" (done)" if plan.finished else so_far)
        )
    lines += [_describe_trials(each) for each in trials]
    outs = [*(plan.out for plan in plans), *(plan.out for plan in trials)]
    files = [str(out) for out in outs]
    warnings = [line for each in trials for line in each.metrics.warnings]
    facts = {"files": files, "warnings": warnings, "dry_run": True}
    console.show("\n".join(lines), facts)


def _describe_trials(plan: "TrialsPlan") -> str:
    """One line for --dry-run."""
    settings, made = plan.metrics.settings, plan.samples
    metrics, trials = ", ".join(settings.metrics), settings.trials
    warned = "".join(f"\n  ! {warning}" for warning in plan.metrics.warnings)
    ready = " (they are there)" if made.finished else ""
    many = f"{counted(trials, 'trial')} of {counted(len(made.numbers), 'clip')}"
    return (
        f"would measure {metrics} of {made.checkpoint.name}: {made.videos} samples"
        f"{ready} of {made.frames} frames, {many} of {made.folder}, split "
        f"{made.settings.split}: {plan.out}"
        + (" (done)" if plan.finished else "")
        + warned
    )


def refuse_idle(flags: Iterable[str], metrics: Collection[str]) -> None:
    """Refuse settings, given as flags, that none of the metrics reads."""
    from svtcli.evaluate.metrics import metrics_reading

    for name in flags:
        readers = metrics_reading(name)
        if not set(readers).intersection(metrics):
            raise Refused(
                f"{flag(name)}: none of the requested metrics depends on it",
                f"request one that does, as with --metric {readers[0]}",
            )


def is_run(source: str) -> bool:
    """Tell a run or a checkpoint from videos."""
    from svtcli.run.directory import runs_root

    path, videos = Path(source), Path(source.partition(":")[0])
    if any((folder / "recipe.yaml").is_file() for folder in (path, runs_root() / path)):
        return True
    if path.parent.name == "checkpoints":
        return True
    return not videos.exists() and videos.suffix not in ARRAYS
