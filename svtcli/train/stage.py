"""Train a recipe's model on its prepared clips, or resume its training."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax

from svtcli.clips.loader import Batches, prefetch, training_batches
from svtcli.failure import Failure
from svtcli.model.heads import unit_of
from svtcli.model.svt import create, parameter_count, structure
from svtcli.model.windows import slice_choices
from svtcli.recipe.load import LoadedRecipe, read_needs
from svtcli.recipe.schema import UNITS, Train
from svtcli.run.directory import RunFolder, versions, write_run
from svtcli.run.durable import fingerprint, remove_leftovers
from svtcli.run.lock import only_writer
from svtcli.run.metrics_log import MetricsLog, Row, Rows, Together, read_metrics
from svtcli.run.progress import Progress, Silent
from svtcli.run.signals import NOTHING, StopSignals, uninterrupted
from svtcli.train.backend import key_of, start_jax
from svtcli.train.checkpoint import Checkpoints
from svtcli.train.commit_record import holds, latest_step
from svtcli.train.distributed import ALONE, Peers, stop_signals
from svtcli.train.duration import forecast, seconds_per_step
from svtcli.train.loop import model_inputs, train_until
from svtcli.train.memory import less_for_training, within_memory
from svtcli.train.mesh import Layout, layout_of
from svtcli.train.plan import TrainPlan, move_aside, plan_training
from svtcli.train.state import State, abstract_state, first_state
from svtcli.train.step import Update, jit_update, recipe_update
from svtcli.train.step_log import Profile, StepLog, throughput_of
from svtcli.train.trackers import open_trackers
from svtcli.train.validate import make_validation

SEEN_WITHIN = 60
"""Seconds within which a shared file system shows a new file to every machine."""


@dataclass(frozen=True)
class Trained:
    """A run that has reached the requested step."""

    run: RunFolder
    step: int
    score: float | None
    """Score of the last logged training batch; None before the first row."""
    score_name: str
    """`bits_per_dim` or `nats_per_frame`."""
    validation: float | None
    """Last score on held-out clips; None without one."""

    @property
    def unit(self) -> str:
        """Unit of the score for people."""
        return UNITS[self.score_name]


@dataclass(frozen=True)
class Setup:
    """Devices and batches of a planned training, and its model's size."""

    layout: Layout
    batches: Batches
    parameters: int


def train(
    loaded: LoadedRecipe,
    run: RunFolder,
    progress: Progress,
    stop_at: int | None = None,
    fresh: bool = False,
    profile: int = 0,
    peers: Peers = ALONE,
) -> Trained:
    """Train to the recipe's last step, or `stop_at`, from the newest checkpoint.

    `fresh` starts over and moves earlier files aside; `profile` steps are traced, after
    the first few. All `peers` make the same call; process 0 reports for them. Errors:
    those of `plan_training` and `set_up`; Locked while another process trains this run;
    Stopped after a signal, with everything saved; BadData; StorageFailed;
    PeerLost; OutOfMemory.
    """
    progress = progress if peers.first else Silent()
    with stop_signals(peers) as stop, ExitStack() as lock:
        plan = plan_training(loaded, run, stop_at, fresh, profile)
        setup = set_up(plan)
        peers.refuse_differing(
            {
                "recipe": fingerprint(loaded.recipe),
                "clips": plan.clips.fingerprint,
                "number of steps": f"{plan.until} {plan.starts_over} {plan.profile}",
                "package versions": str(versions()),
            }
        )
        done = peers.decided(lambda: _is_done(plan))
        damage = peers.decided(lambda: _damage(plan))
        if not done or damage:
            if damage:
                progress.note(f"{damage}; recipe.yaml and run.json are written anew")
            peers.decided(lambda: _open_run(plan, setup, lock, progress))
            _refuse_other_folder(run, peers)
        if done:
            progress.note(f"{run.path}: already trained to step {plan.start}")
            return _trained(plan, plan.start)
        stop.saved = f"step {plan.start} is saved" if plan.start else NOTHING

        def advice() -> str:
            data, shard = setup.layout.mesh.devices.shape
            saved = latest_step(run.checkpoints)
            return less_for_training(plan.recipe, data, shard, saved)

        with within_memory("training", advice), ExitStack() as compiling:
            compiling.enter_context(peers.compiling())
            return _train(plan, setup, progress, stop, peers, compiling)


def set_up(plan: TrainPlan) -> Setup:
    """Choose the devices and batches for `plan`; writes nothing.

    Errors: Refused where the batch does not suit the devices or the model.
    """
    recipe, train = plan.recipe, plan.recipe.train
    layout = layout_of(recipe.mesh, train)
    batches = training_batches(
        plan.clips,
        recipe.model.video[0],
        slice_choices(recipe.model, train.prime, train.batch),
        train.seed,
        recipe.model.actions > 0,
        layout.own_rows(train.batch),
    )
    return Setup(layout, batches, parameter_count(recipe.model))


def _is_done(plan: TrainPlan) -> bool:
    """Return True if the last step is trained, validated and intact on disk."""
    if plan.start < plan.until or _lacks_score(plan, plan.start):
        return False
    return holds(plan.run.checkpoints, plan.start)


def _damage(plan: TrainPlan) -> str:
    """Damage of the recipe or the facts of a run that is resumed; empty if none."""
    if plan.starts_over or not plan.start:
        return ""
    try:
        plan.run.recipe()
    except Failure as failure:
        return failure.sentence
    return ""


def _open_run(
    plan: TrainPlan, setup: Setup, lock: ExitStack, progress: Progress
) -> None:
    """Lock the run's folder until `lock` is closed; write the facts of the run."""
    run, clips = plan.run, plan.clips.fingerprint
    lock.enter_context(only_writer(run.path))
    remove_leftovers(run.path)
    if plan.starts_over and (place := move_aside(run)):
        progress.note(f"starting over; earlier files are now in {place}")
    devices = [setup.layout.description]
    write_run(run, plan.loaded, devices=devices, data_fingerprint=clips)


def _refuse_other_folder(run: RunFolder, peers: Peers) -> None:
    """Refuse, in every process, a run folder that is not that of process 0."""

    def run_file() -> str:
        file = run.run_file
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    wanted = peers.decided(run_file)
    until = time.monotonic() + SEEN_WITHIN
    while (seen := run_file()) != wanted and time.monotonic() < until:
        time.sleep(0.1)
    peers.refuse_differing({f"run.json in {run.path}": seen})


def _train(
    plan: TrainPlan,
    setup: Setup,
    progress: Progress,
    stop: StopSignals,
    peers: Peers,
    compiling: ExitStack,
) -> Trained:
    """Train, as the only writer of the folder; `compiling` ends with the first step."""
    recipe, run, settings = plan.recipe, plan.run, plan.recipe.train
    layout, batches = setup.layout, setup.batches
    start_jax()
    graphdef, shapes = structure(recipe.model)
    abstract = layout.placed(abstract_state(shapes, settings))
    if peers.first:
        _note_duration(plan, layout, abstract, progress)
    update = recipe_update(graphdef, recipe.model, settings, layout)
    step = _compiled(update, abstract, setup, settings, progress, compiling)
    clips, note, keep = plan.clips.fingerprint, progress.note, settings.keep
    with (
        _rows(run, settings, peers, note) as rows,
        Checkpoints(
            run.checkpoints, keep, clips, note, settings.keep_every, peers
        ) as checkpoints,
        Profile(plan.profile * peers.first, run.profile, note) as profile,
    ):
        state = checkpoints.restore(abstract) or _first(plan, layout, abstract)
        start = int(state["step"])
        progress.begin("train", plan.until, "steps")
        progress.advance(start)
        log = StepLog(
            settings,
            unit_of(recipe.model).name,
            lambda step: batches.clip_ids(step - 1),
            rows,
            progress,
            throughput_of(recipe.model, settings, layout.device_kinds),
            plan.validation.clips.split if plan.validation else "",
        )
        validation = make_validation(
            plan.validation, recipe, graphdef, layout, stop.requested, peers.compiling
        )
        if peers.decided(lambda: _lacks_score(plan, start)):
            validation = replace(validation, missed=start)
        read = prefetch(batches, start)
        try:
            with uninterrupted():
                state = train_until(
                    plan.until,
                    state,
                    step,
                    read,
                    settings,
                    log,
                    checkpoints,
                    stop,
                    validation,
                    profile,
                )
        finally:
            read.close()
            progress.end()
    return _trained(plan, int(state["step"]))


def _note_duration(
    plan: TrainPlan, layout: Layout, abstract: State, progress: Progress
) -> None:
    """Report the time that the steps will take, where it can be estimated."""
    recipe, steps, on = plan.recipe, plan.until - plan.start, layout.description
    if isinstance(progress, Silent):
        return
    each = seconds_per_step(
        recipe.model, recipe.train, layout.device_kinds, layout.platform
    )
    if each is not None and steps > 0:
        state, needs = layout.own_bytes(abstract), read_needs(Path(plan.loaded.source))
        measured = layout.platform == "cpu"
        progress.note(
            forecast(steps * each, steps, on, state, layout.memory, needs, measured)
        )


@contextmanager
def _rows(
    run: RunFolder, settings: Train, peers: Peers, note: Callable[[str], None]
) -> Iterator[Rows]:
    """Open the logs of metrics; of several processes, process 0 logs."""
    if not peers.first:
        yield Together(())
        return
    with (
        open_trackers(run, settings.log, note) as trackers,
        MetricsLog(run.metrics) as log,
    ):
        yield Together((log, *trackers))


def _first(plan: TrainPlan, layout: Layout, abstract: State) -> State:
    """State of a new run; its parameters follow from the seed."""
    model, train = plan.recipe.model, plan.recipe.train

    def first() -> State:
        _, params = create(model, key_of(train.seed))
        return first_state(params, train)

    state: State = layout.created(first, abstract)
    return state


def _compiled(
    update: Update,
    abstract: State,
    setup: Setup,
    train: Train,
    progress: Progress,
    compiling: ExitStack,
) -> Callable[..., Any]:
    """Compile the step for these devices, and report how long that took.

    Its first call closes `compiling` when its result is there.
    """
    layout, size = setup.layout, train.batch
    what = f"{setup.parameters:,} parameters, {layout.description}"
    progress.note(f"compiling the step: {what}")
    begun = time.perf_counter()
    batch = layout.abstract_batch(model_inputs(setup.batches[0]), size)
    compiled = jit_update(update, abstract, batch)
    progress.note(f"compiled in {time.perf_counter() - begun:.1f} s")
    first = True

    def step(state: State, inputs: Mapping[str, Any]) -> Any:
        nonlocal first
        result = compiled(state, layout.global_batch(inputs, size))
        if first:
            jax.block_until_ready(result)
            compiling.close()
        first = False
        return result

    return step


def _lacks_score(plan: TrainPlan, step: int) -> bool:
    """Return True if validation was due after `step` but did not finish."""
    every = plan.recipe.train.validate_every
    if every is None or step == 0 or step % every:
        return False
    name = f"validation_{unit_of(plan.recipe.model).name}"
    rows = read_metrics(plan.run.metrics)
    return not any(row["step"] == step and name in row for row in rows)


def _trained(plan: TrainPlan, step: int) -> Trained:
    name, rows = unit_of(plan.recipe.model).name, read_metrics(plan.run.metrics)
    logged = f"validation_{name}"
    return Trained(plan.run, step, _last(rows, name), name, _last(rows, logged))


def _last(rows: list[Row], name: str) -> float | None:
    """Newest value of that name."""
    return next((row[name] for row in reversed(rows) if name in row), None)
