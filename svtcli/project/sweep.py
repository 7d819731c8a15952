"""Sweep: train and score the runs of all combinations, one after the other or shared.

A run that fails does not end the others. What is finished is found again, so the same
command resumes; so do the tasks of a job array, each with its share of the runs.
"""

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from svtcli.evaluate.run_scores import Scored, Scores, log_scores, result_scores
from svtcli.failure import Failure, Locked, Refused, Stopped, in_words
from svtcli.project.chain import run_chain
from svtcli.project.combinations import Sweep, SweepRun
from svtcli.project.survey import Status, refuse_early, survey
from svtcli.project.sweep_cluster import Outcome, runs_on_ray
from svtcli.recipe.data import clips_folder
from svtcli.recipe.schema import STAGES, Stage
from svtcli.run.partial import ArrayTask
from svtcli.run.progress import Progress, Silent
from svtcli.run.signals import RESUME, StopSignals
from svtcli.train.commit_record import latest_step, was_saved
from svtcli.train.plan import changes_in

WAIT = 2.0
"""Seconds between two looks at clips that another task prepares."""


@dataclass
class SweepResult:
    """Scores of a sweep, as far as there are any."""

    scored: list[Scored] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)
    """Name of a run → the error that ended it."""
    waiting: list[str] = field(default_factory=list)
    """Names of runs that other tasks have not finished."""


@dataclass(frozen=True)
class RunState:
    """State of one run of a sweep."""

    run: SweepRun
    status: Status
    """Of the first stage that is not done, else of the last."""
    seconds: float | None
    """Time of the remaining training, about; None if unknown."""

    @property
    def done(self) -> bool:
        """Nothing is left to do."""
        return self.status.state == "done"


def sweep_stages(last: Stage) -> tuple[Stage, ...]:
    """Stages of each run up to `last`; samples alone are for pictures."""
    stages = STAGES[: STAGES.index(last) + 1]
    return tuple(each for each in stages if each != "sample" or last != "eval")


def refuse_sweep(sweep: Sweep, stages: tuple[Stage, ...]) -> None:
    """Refuse, before any work, what a run would refuse; writes nothing."""
    for run in sweep.runs:
        for each in run.combinations:
            changes = changes_in(run.folder, each.loaded.recipe)
            if changes and was_saved(run.folder.checkpoints):
                raise Refused(
                    f"{run.folder.path}: was trained with another recipe: "
                    f"{'; '.join(changes)}",
                    "start the names of this sweep's runs with another word: --run "
                    f"NAME; or move {run.folder.path} away",
                )
            try:
                refuse_early(each.loaded, run.folder, stages)
            except Refused:
                raise
            except Failure:  # ends this run alone, when it is its turn
                continue


def run_sweep(
    sweep: Sweep,
    stages: tuple[Stage, ...],
    progress: Progress,
    task: ArrayTask | None = None,
) -> SweepResult:
    """Run the stages of every run that are not done; of a `task`, of its share.

    Errors: Stopped. Errors of a run end that run alone, and are part of the result.
    """
    result = SweepResult()
    numbers = task.share(len(sweep.runs)) if task else range(len(sweep.runs))
    own = [sweep.runs[number] for number in numbers]
    with StopSignals() as stop:
        for number, run in enumerate(own, 1):
            finished = f"{number - 1} of {len(own)} runs are finished"
            stop.check(finished)
            progress.note(f"run {number} of {len(own)}: {run.folder.name}")
            if task:
                _prepare_once(run, progress, stop)
            outcome = partial(run_stages, run, stages, progress)
            try:
                _collect(result, run, outcome, progress)
            except Stopped as stopped:
                what = f"{stopped.sentence}; {finished}"
                raise Stopped(what, RESUME, stopped.code) from None
        for run in sweep.runs:
            if run not in own:
                _collect_of_others(result, run, stages)
    return _in_order(result, sweep)


def run_sweep_on_ray(
    ray: Any, sweep: Sweep, stages: tuple[Stage, ...], progress: Progress
) -> SweepResult:
    """Run the stages of every run on a Ray cluster, as many at once as it has room for.

    `ray` is connected. Clips are prepared here first. Errors: as `run_sweep`.
    """
    result = SweepResult()
    with StopSignals() as stop:
        by_clips = {
            each.combinations[0].loaded.recipe.data: each for each in sweep.runs
        }
        for run in by_clips.values():
            _prepare_once(run, progress, stop)
        of = len(sweep.runs)

        def check() -> None:
            stop.check(f"{len(done)} of {of} runs are finished")

        done: list[str] = []
        with closing(runs_on_ray(ray, sweep.runs, stages, check)) as outcomes:
            progress.begin("runs", of, "runs")
            for run, outcome in outcomes:
                _collect(result, run, outcome, progress)
                done.append(run.folder.name)
                progress.advance(len(done), {"last": run.folder.name})
            progress.end()
    return _in_order(result, sweep)


def _in_order(result: SweepResult, sweep: Sweep) -> SweepResult:
    """Sort the scores in the order of the sweep."""
    order = {run.folder.name: place for place, run in enumerate(sweep.runs)}
    result.scored.sort(key=lambda each: order[each.run])
    return result


def run_stages(
    run: SweepRun, stages: tuple[Stage, ...], progress: Progress
) -> list[Scores]:
    """Run the chain of each combination of a run; return the scores of each."""
    found = []
    for each in run.combinations:
        results = run_chain(each.loaded, run.folder, stages, progress)
        own = result_scores(results.evaluations or (), results.comparisons or ())
        found.append(log_scores(run.folder) | own)
    return found


def states(sweep: Sweep, stages: tuple[Stage, ...]) -> list[RunState]:
    """State of every run, and the time that its training still takes."""
    found = []
    for run in sweep.runs:
        status = _status(run, stages)
        left = None if status.state == "done" else _training_seconds(run)
        found.append(RunState(run, status, 0.0 if status.state == "done" else left))
    return found


def _status(run: SweepRun, stages: tuple[Stage, ...]) -> Status:
    """State of the first stage that is not done, else of the last."""
    all_stages = [
        status
        for each in run.combinations
        for status in survey(each.loaded, run.folder)
        if status.stage in stages
    ]
    unfinished = (status for status in all_stages if status.state != "done")
    return next(unfinished, all_stages[-1])


def _training_seconds(run: SweepRun) -> float | None:
    from svtcli.train.duration import seconds_per_step
    from svtcli.train.mesh import layout_of

    recipe = run.combinations[0].loaded.recipe
    left = recipe.train.steps - (latest_step(run.folder.checkpoints) or 0)
    layout = layout_of(recipe.mesh, recipe.train)
    each = seconds_per_step(
        recipe.model, recipe.train, layout.device_kinds, layout.platform
    )
    return None if each is None else max(0, left) * each


def _collect(
    result: SweepResult, run: SweepRun, outcome: Outcome, progress: Progress
) -> None:
    """Add the scores of a run, or its error, to the result. Errors: Stopped."""
    found: Sequence[Scores] = [{}] * len(run.combinations)
    try:
        found = outcome()
    except Stopped:
        raise
    except Exception as error:  # whatever it is, the other runs go on
        progress.end()
        progress.note(
            f"{run.folder.name} failed: {in_words(error, 'unexpected error')}"
        )
        result.failed[run.folder.name] = error
    for each, scores in zip(run.combinations, found, strict=True):
        name, recipe = run.folder.name, each.loaded.recipe
        result.scored.append(Scored(name, recipe, each.settings, scores))


def _collect_of_others(
    result: SweepResult, run: SweepRun, stages: tuple[Stage, ...]
) -> None:
    """Add a run that other tasks do: its scores, if it is finished."""
    done = False
    with suppress(Failure):
        done = _status(run, stages).state == "done"
    if done:
        _collect(result, run, partial(run_stages, run, stages, Silent()), Silent())
    else:
        result.waiting.append(run.folder.name)


def _prepare_once(run: SweepRun, progress: Progress, stop: StopSignals) -> None:
    """Prepare the clips of a run, or wait for the task that does."""
    from svtcli.prepare.stage import prepare

    loaded = run.combinations[0].loaded
    folder: Path = clips_folder(loaded.recipe.data, loaded.name)
    told = False
    while True:
        stop.check("waiting for clips")
        try:
            prepare(loaded.recipe.data, folder, progress)
        except Locked as locked:
            if not told:
                progress.note(f"{locked.sentence}; waiting for these clips")
            told = True
            time.sleep(WAIT)
        except Stopped:
            raise
        except Failure:
            return  # the run reports it
        else:
            return
