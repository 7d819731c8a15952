"""Train a recipe's model on its prepared clips, or go on where it was stopped."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax

from svtcli.clips.loader import prefetch
from svtcli.model.loss import score_name
from svtcli.model.svt import create, structure
from svtcli.recipe.load import LoadedRecipe
from svtcli.recipe.schema import UNITS, Train
from svtcli.run.directory import RunFolder
from svtcli.run.fingerprint import fingerprint
from svtcli.run.lock import only_writer
from svtcli.run.manifest import versions, write_run
from svtcli.run.metrics_log import MetricsLog, Row, Rows, Together, read_metrics
from svtcli.run.progress import Progress, Silent
from svtcli.run.signals import StopSignals
from svtcli.train.checkpoint import Checkpoints, holds, latest_step
from svtcli.train.compilation_cache import use_compilation_cache
from svtcli.train.distributed import ALONE, Peers
from svtcli.train.loop import model_inputs, train_until
from svtcli.train.memory_advice import less_for_training, within_memory
from svtcli.train.objective import recipe_update
from svtcli.train.plan import Plan, plan_training
from svtcli.train.profile import Profile
from svtcli.train.resume import move_aside
from svtcli.train.state import State, abstract_state, first_state
from svtcli.train.step import Update, jit_update
from svtcli.train.step_log import Watch
from svtcli.train.stop import stop_signals
from svtcli.train.tensorboard import TensorBoard
from svtcli.train.throughput import pace_of
from svtcli.train.validate import make_validation

SEEN_WITHIN = 60
"""Seconds in which a shared file system shows a new file to every machine."""


@dataclass(frozen=True)
class Trained:
    """A run that has reached the steps it was asked for."""

    run: RunFolder
    step: int
    score: float | None
    """Of the last logged training batch; None before the first row."""
    score_name: str
    """`bits_per_dim` or `nats_per_frame`."""
    validation: float | None
    """The last score on held-out clips; None where none was taken."""

    @property
    def unit(self) -> str:
        """How the score is called on the screen."""
        return UNITS[self.score_name]


def train(
    loaded: LoadedRecipe,
    run: RunFolder,
    progress: Progress,
    stop_at: int | None = None,
    fresh: bool = False,
    profile: int = 0,
    peers: Peers = ALONE,
) -> Trained:
    """Train until the recipe's last step, or `stop_at`; go on from the last checkpoint.

    `fresh` starts over and moves what was there aside; `profile` steps are traced,
    after the first few. All `peers` call this alike; process 0 speaks for them. Errors:
    what `plan_training` refuses; `Locked` while another process trains this run;
    `Stopped` after SIGTERM or Ctrl-C, with everything saved; `BadData`;
    `StorageFailed`; `PeerLost`; `OutOfMemory`.
    """
    progress = progress if peers.first else Silent()
    with stop_signals(peers) as stop, ExitStack() as held:
        plan = _agreed_plan(loaded, run, stop_at, fresh, profile, peers)
        if peers.decided(lambda: _is_done(plan)):
            progress.note(f"{run.path}: already trained to step {plan.start}")
            return _trained(plan, plan.start)
        peers.decided(lambda: _open_run(plan, loaded, held, progress))
        _refuse_other_folder(run, peers)
        with within_memory("training", lambda: _needs_less(plan)):
            return _train(plan, progress, stop, peers)


def _needs_less(plan: Plan) -> str:
    data, shard = plan.layout.mesh.devices.shape
    saved = latest_step(plan.run.checkpoints)
    return less_for_training(plan.recipe, data, shard, saved)


def _agreed_plan(
    loaded: LoadedRecipe,
    run: RunFolder,
    stop_at: int | None,
    fresh: bool,
    profile: int,
    peers: Peers,
) -> Plan:
    """The plan, once it was found to be that of all `peers`."""
    plan = plan_training(loaded, run, stop_at, fresh, profile)
    peers.refuse_differing(
        {
            "a recipe": fingerprint(loaded.recipe),
            "clips": plan.clips.fingerprint,
            "steps to take": f"{plan.until} {plan.starts_over} {plan.profile}",
            "package versions": str(versions()),
        }
    )
    return plan


def _is_done(plan: Plan) -> bool:
    """Whether the last step was taken and scored, and its checkpoint holds."""
    reached = plan.start >= plan.until and not _lacks_score(plan, plan.start)
    return reached and holds(plan.run.checkpoints, plan.start)


def _open_run(
    plan: Plan, loaded: LoadedRecipe, held: ExitStack, progress: Progress
) -> None:
    """Become the one who may write in the run's folder, while `held` is; say what is
    trained there."""
    run = plan.run
    held.enter_context(only_writer(run.path))
    if plan.starts_over and (place := move_aside(run)):
        progress.note(f"starting over; what was here is now in {place}")
    write_run(
        run, loaded, devices=[plan.device], data_fingerprint=plan.clips.fingerprint
    )


def _refuse_other_folder(run: RunFolder, peers: Peers) -> None:
    """Errors: Refused where a process sees another run folder than process 0 does."""
    wanted = peers.decided(lambda: run.run_file.read_text(encoding="utf-8"))
    until = time.monotonic() + SEEN_WITHIN
    while (seen := _text(run.run_file)) != wanted and time.monotonic() < until:
        time.sleep(0.1)
    peers.refuse_differing({f"in {run.path} a run.json": seen})


def _text(file: Path) -> str:
    """What the file holds; nothing where there is none."""
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _train(plan: Plan, progress: Progress, stop: StopSignals, peers: Peers) -> Trained:
    """The run itself, by the only ones who may write there."""
    recipe, run, settings = plan.recipe, plan.run, plan.recipe.train
    use_compilation_cache()
    graphdef, shapes = structure(recipe.model)
    abstract = plan.layout.placed(abstract_state(shapes, settings))
    update = _compiled(
        recipe_update(graphdef, recipe.model, settings, plan.layout),
        abstract,
        plan,
        progress,
    )
    with (
        Checkpoints(
            run.checkpoints,
            settings.keep,
            plan.clips.fingerprint,
            progress.note,
            settings.keep_every,
            peers,
        ) as checkpoints,
        _logs(run, settings, peers) as log,
        Profile(plan.profile * peers.first, run.profile, progress.note) as profile,
    ):
        state = checkpoints.restore(abstract) or _first(plan, abstract)
        start = int(state["step"])
        progress.begin("train", plan.until, "steps")
        progress.advance(start)
        name = score_name(recipe.model)
        pace = pace_of(recipe.model, settings, plan.layout.kinds)
        watch = Watch(
            settings,
            name,
            lambda step: plan.batches.clip_ids(step - 1),
            log,
            progress,
            pace,
        )
        validation = make_validation(
            plan.validation,
            recipe,
            graphdef,
            plan.layout,
            stop.requested,
        )
        if peers.decided(lambda: _lacks_score(plan, start)):
            validation = replace(validation, missed=start)
        batches = prefetch(plan.batches, start)
        try:
            state = train_until(
                plan.until,
                state,
                update,
                batches,
                settings,
                watch,
                checkpoints,
                stop,
                validation,
                profile,
            )
        finally:
            batches.close()
            progress.end()
    return _trained(plan, int(state["step"]))


@contextmanager
def _logs(run: RunFolder, settings: Train, peers: Peers) -> Iterator[Rows]:
    """Where the rows of metrics go: of several processes, process 0 logs."""
    if not peers.first:
        yield Together(())
        return
    with MetricsLog(run.metrics) as log, TensorBoard(run.tensorboard) as board:
        yield Together((log, board)) if settings.tensorboard else log


def _first(plan: Plan, abstract: State) -> State:
    """The state of a new run; its parameters follow from the seed."""
    model, train = plan.recipe.model, plan.recipe.train

    def first() -> State:
        _, params = create(model, jax.random.key(train.seed))
        return first_state(params, train)

    state: State = plan.layout.created(first, abstract)
    return state


def _compiled(
    update: Update, abstract: State, plan: Plan, progress: Progress
) -> Callable[..., Any]:
    """The step for these devices; says how long that took."""
    progress.note(f"compiling the step: {plan.parameters:,} parameters, {plan.device}")
    begun = time.perf_counter()
    layout, size = plan.layout, plan.recipe.train.batch
    batch = layout.abstract_batch(model_inputs(plan.batches[0]), size)
    compiled = jit_update(update, abstract, batch)
    progress.note(f"compiled in {time.perf_counter() - begun:.1f} s")
    return lambda state, inputs: compiled(state, layout.global_batch(inputs, size))


def _lacks_score(plan: Plan, step: int) -> bool:
    """Whether the held-out clips were to be scored after `step`, and are not: a signal
    or worse came before."""
    every = plan.recipe.train.validate_every
    if every is None or step == 0 or step % every:
        return False
    name = f"validation_{score_name(plan.recipe.model)}"
    rows = read_metrics(plan.run.metrics)
    return not any(row["step"] == step and name in row for row in rows)


def _trained(plan: Plan, step: int) -> Trained:
    name, rows = score_name(plan.recipe.model), read_metrics(plan.run.metrics)
    logged = f"validation_{name}"
    return Trained(plan.run, step, _last(rows, name), name, _last(rows, logged))


def _last(rows: list[Row], name: str) -> float | None:
    """The newest value of that name."""
    return next((row[name] for row in reversed(rows) if name in row), None)
