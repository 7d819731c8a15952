"""Continue held-out clips with a trained network, into a folder of samples."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Int

from svtcli.failure import Refused, StorageFailed
from svtcli.recipe.schema import Sample
from svtcli.run.job_array import PATIENCE, Part
from svtcli.run.lock import only_writer
from svtcli.run.partial_samples import Finished, KeptSamples
from svtcli.run.progress import Progress
from svtcli.run.samples import SampleFacts, Samples, read_facts
from svtcli.sample.noise import row_keys
from svtcli.sample.progress import SamplingClock
from svtcli.sample.sampler import Continuation, OnSlice, Sampler
from svtcli.sample.sampling_rule import Choice
from svtcli.sample.schedules import Schedule, schedule_of
from svtcli.sample.sharded import over_devices
from svtcli.train.compilation_cache import use_compilation_cache
from svtcli.train.distributed import ALONE
from svtcli.train.held_out import (
    HeldOut,
    HeldOutPlan,
    full_batches,
    plan_held_out,
    read_held_out,
)
from svtcli.train.load_network import Checkpoint, load_network
from svtcli.train.memory_advice import less_for_batches, within_memory
from svtcli.train.mesh import Layout, side_by_side
from svtcli.train.stop import StopSignals, stop_signals


@dataclass(frozen=True)
class SamplePlan(HeldOutPlan):
    """What a call of `sample` will make; making one checks all that it needs."""

    settings: Sample
    out: Path

    @property
    def videos(self) -> int:
        """All continuations of all clips."""
        return len(self.numbers) * self.settings.per_prime

    @property
    def kept(self) -> KeptSamples:
        """Those of the videos that are finished, while the folder is not."""
        return KeptSamples(self.out, self.fingerprint)

    @property
    def finished(self) -> bool:
        """These very samples are there already."""
        if not (self.out / "samples.json").is_file():
            return False
        return read_facts(self.out).fingerprint == self.fingerprint


@dataclass(frozen=True)
class UnfinishedSamples:
    """A job array's samples to which other tasks still owe videos."""

    folder: Path
    videos: int
    """How many are finished."""
    of: int


def plan_samples(
    checkpoint: Checkpoint,
    settings: Sample,
    clips: Path | None = None,
    out: Path | None = None,
) -> SamplePlan:
    """Check settings, clips and output against the checkpoint; writes nothing.

    `out` defaults to a folder of the run whose name tells the settings apart. Errors:
    Refused, as `plan_held_out`, where something else is in `out`, and for a choice
    among the codes of a model that draws none.
    """
    _refuse_idle_choice(checkpoint, settings)
    held_out = plan_held_out(checkpoint, settings, clips, settings.count)
    name = (
        f"{checkpoint.step}-prime{held_out.prime}-temp{settings.temperature:g}"
        f"-seed{settings.seed}-{held_out.fingerprint[:6]}"
    )
    place = out or checkpoint.run.samples / name
    plan = SamplePlan(**vars(held_out), settings=settings, out=place)
    if plan.out.exists() and not plan.finished:
        raise Refused(
            f"{plan.out}: already there, and not these samples",
            "choose another folder with --out",
        )
    return plan


def _refuse_idle_choice(checkpoint: Checkpoint, settings: Sample) -> None:
    for name in ("top_k", "top_p"):
        idle = checkpoint.recipe.model.loss == "deterministic"
        if idle and getattr(settings, name) is not None:
            raise Refused(
                f"sample.{name}: {checkpoint.name} draws no codes, for its loss is "
                "deterministic",
                f"leave sample.{name} out",
            )


def sample(plan: SamplePlan, progress: Progress) -> Path:
    """Make the samples; their folder appears when they are whole.

    An interrupted call goes on when it is repeated, however many videos are made at
    once then. Errors: `Stopped` after SIGTERM or Ctrl-C, with all finished videos kept;
    `Locked`; StorageFailed for a broken checkpoint, Refused for another model's;
    OutOfMemory.
    """
    kept = plan.kept
    with stop_signals(ALONE) as stop, kept.at_work():
        if found := _found(plan, progress):
            return found
        with kept.alone():
            held_out = read_held_out(plan)
            rows = np.arange(plan.videos)
            with _within_memory(plan, len(rows)):
                _make_missing(plan, held_out, kept, rows, progress, stop)
            made = kept.all_of(plan.videos)
            if made is None:
                raise StorageFailed(f"{kept.folder}: does not hold what was written")
            kept.publish(_samples(plan, held_out, made))
        _leave_if_stopped_late(plan, stop)
    return plan.out


def sample_part(
    plan: SamplePlan, progress: Progress, part: Part
) -> Path | UnfinishedSamples:
    """Make the videos of one task of a job array; the last task makes the folder.

    Errors: those of `sample`; `Refused` while other samples are made there.
    """
    kept = plan.kept
    with stop_signals(ALONE) as stop, kept.at_work():
        if found := _found(plan, progress):
            return found
        with kept.as_task(f"{part.index}-of-{part.count}", PATIENCE):
            held_out = read_held_out(plan)
            rows = np.array(part.share(plan.videos), int)
            with _within_memory(plan, len(rows)):
                _make_missing(plan, held_out, kept, rows, progress, stop)
        with only_writer(kept.folder, PATIENCE):
            if found := _found(plan, progress):
                return found
            made = kept.all_of(plan.videos)
            if made is None:
                return UnfinishedSamples(plan.out, len(kept.rows()), plan.videos)
            kept.publish(_samples(plan, held_out, made))
        _leave_if_stopped_late(plan, stop)
    return plan.out


def _within_memory(plan: SamplePlan, videos: int) -> AbstractContextManager[None]:
    """What makes so many `videos`, of this call, says what needs less."""

    def needs_less() -> str:
        at_once, precision = plan.settings.batch, plan.settings.precision
        devices, kept = sampling_layout(videos).devices, "the finished videos"
        return less_for_batches(
            "sample", min(at_once, videos), devices, precision, kept, _least_rows()
        )

    return within_memory("sampling", needs_less)


def _leave_if_stopped_late(plan: SamplePlan, stop: StopSignals) -> None:
    """Let nothing begin that follows, though the samples are there."""
    if stop.now() is not None:
        raise stop.stopped(f"all {plan.videos} videos are in {plan.out}")


def _found(plan: SamplePlan, progress: Progress) -> Path | None:
    """These very samples, if they are there."""
    if not plan.finished:
        return None
    progress.note(f"{plan.out}: these samples are there already")
    return plan.out


def _make_missing(
    plan: SamplePlan,
    held_out: HeldOut,
    kept: KeptSamples,
    rows: Int[np.ndarray, " n"],
    progress: Progress,
    stop: StopSignals,
) -> None:
    """Make those of the videos `rows` that are not finished; keep batch after batch."""
    missing = np.setdiff1d(rows, kept.rows())
    done = len(rows) - len(missing)
    if done:
        progress.note(f"{done} of {len(rows)} videos were finished before")
    if not len(missing):
        return
    use_compilation_cache()
    layout, size = sampling_layout(len(rows)), plan.settings.batch
    batches = full_batches(len(missing), size, layout.devices, len(rows), _least_rows())
    continued = _continuing(plan, held_out, layout, len(batches[0]))
    clock = _clock(plan, progress, len(missing), len(batches))

    def leave_if_stopped() -> None:
        if stop.now() is not None:
            raise stop.stopped(f"{done} of {len(rows)} videos are finished and kept")

    def on_slice(positions: int, passes: Int[np.ndarray, " B"]) -> None:
        clock.slice_done(positions, passes)
        if clock.slices_done % plan.slices:  # after its last one, a batch is kept first
            leave_if_stopped()

    try:
        for batch in batches:
            real = slice(len(missing) - batch[0])  # what fills up the last is cut off
            own = missing[batch][real]
            clock.begin_batch(done + 1, done + len(own), len(rows))
            made = continued(missing[batch], on_slice)
            kept.keep(
                Finished(
                    own,
                    made.video[real],
                    made.nats[real],
                    made.passes[real],
                    made.pixels,
                )
            )
            done += len(own)
            leave_if_stopped()
    finally:
        progress.end()


def _least_rows() -> int:
    """How many videos a device makes at once, at least.

    Of a product with one row XLA's GPU compiler writes all summands to memory, rounded:
    two videos take less time than one, and come nearer to what was trained.
    """
    return 1 if jax.local_devices()[0].platform == "cpu" else 2


def _continuing(
    plan: SamplePlan, held_out: HeldOut, layout: Layout, batch: int
) -> Callable[[Int[np.ndarray, " B"], OnSlice], Continuation]:
    """Makes `batch` of the N·M videos at once, those of a clip side by side."""
    settings, config = plan.settings, plan.checkpoint.recipe.model
    network = load_network(plan.checkpoint, settings.precision)
    make_slice = chosen_schedule(plan, batch // layout.devices).make_slice
    sampler = Sampler(
        config,
        network.graphdef,
        layout.whole_copy(network.params),
        over_devices(make_slice, layout.mesh) if layout.devices > 1 else make_slice,
        layout.spread,
    )
    choice = Choice.of(settings.temperature, settings.top_k, settings.top_p)

    def continued(rows: Int[np.ndarray, " B"], on_slice: OnSlice) -> Continuation:
        clips, continuations = np.divmod(rows, settings.per_prime)
        actions = held_out.actions
        return sampler.continue_video(
            held_out.video[clips],
            plan.prime,
            plan.overlap,
            row_keys(settings.seed, np.array(plan.numbers)[clips], continuations),
            choice,
            None if actions is None else actions[clips],
            on_slice,
        )

    return continued


def chosen_schedule(plan: SamplePlan, batch: int | None = None) -> Schedule:
    """How slices are made, `batch` of them at once on a device; None: a full one."""
    layout = sampling_layout(plan.videos)
    size = -(-min(plan.settings.batch, plan.videos) // layout.devices)
    return schedule_of(plan.settings, plan.checkpoint.recipe.model, batch or size)


def sampling_layout(videos: int) -> Layout:
    """All devices of this machine, but no more of them than there are videos."""
    return side_by_side(jax.local_devices()[: max(1, videos)])


def _clock(
    plan: SamplePlan, progress: Progress, videos: int, batches: int
) -> SamplingClock:
    """Of a call that makes so many videos in so many batches."""
    model = plan.checkpoint.recipe.model
    _, H, W = model.video
    pixels, slices = videos * (plan.frames - plan.prime) * H * W, batches * plan.slices
    programs = 1 if model.first_slice_layers is None else 2
    return SamplingClock(progress, slices, pixels / slices, programs)


def _samples(plan: SamplePlan, held_out: HeldOut, made: Finished) -> Samples:
    """The folder's contents: the M continuations of each of N clips."""
    N, M = len(held_out.video), plan.settings.per_prime
    return Samples(
        video=made.video.reshape(N, M, *held_out.video.shape[1:]),
        truth=held_out.video,
        log_prob=-made.nats.reshape(N, M, plan.frames),
        facts=_facts(plan, held_out, made),
    )


def _facts(plan: SamplePlan, held_out: HeldOut, made: Finished) -> SampleFacts:
    return SampleFacts(
        run=plan.checkpoint.run.name,
        step=plan.checkpoint.step,
        prime=plan.prime,
        frames=plan.frames,
        overlap=plan.overlap,
        temperature=plan.settings.temperature,
        seed=plan.settings.seed,
        schedule=chosen_schedule(plan).name,
        split=plan.settings.split,
        clips=held_out.ids,
        fingerprint=plan.fingerprint,
        pixels_per_pass=round(made.pixels_per_pass, 3),
        top_k=plan.settings.top_k,
        top_p=plan.settings.top_p,
        precision=plan.settings.precision,
        deterministic=plan.checkpoint.recipe.model.loss == "deterministic",
    )
