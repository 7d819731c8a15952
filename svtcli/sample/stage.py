"""Stage `sample`: continue held-out clips with a trained network."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from jaxtyping import Int

from svtcli.clips.held_out import HeldOut, full_batches
from svtcli.run.durable import move_into_place
from svtcli.run.partial import ArrayTask, Steps, Unfinished
from svtcli.run.progress import Progress
from svtcli.run.samples import SampleFacts, Samples, read_samples, write_samples
from svtcli.run.signals import NOTHING, StopSignals
from svtcli.sample.plan import PartialSamples, SamplePlan
from svtcli.sample.sampler import Continuation, OnSlice, Sampler
from svtcli.sample.sampling_rule import SamplingRule, row_keys
from svtcli.sample.schedules import schedule_of
from svtcli.sample.slice_state import Schedule
from svtcli.train.backend import devices, start_jax
from svtcli.train.checkpoint import load_network
from svtcli.train.memory import less_for_batches, within_memory
from svtcli.train.mesh import Layout, side_by_side

Rows = np.ndarray | Mapping[str, np.ndarray]
"""Values of all videos, one a row, by the names of `PartialSamples`."""


def sample(plan: SamplePlan, progress: Progress) -> Path:
    """Sample the videos; their folder appears when it is complete.

    An interrupted call resumes when it is repeated, with any batch size. Errors:
    `Stopped` after a signal, with all finished videos kept; `Locked`;
    StorageFailed for a broken checkpoint, Refused for another model's; OutOfMemory.
    """
    return plan.partial.complete(_steps(plan, progress, None))


def sample_task(
    plan: SamplePlan, progress: Progress, task: ArrayTask
) -> Path | Unfinished:
    """Sample the videos of one task of a job array; the last one publishes the folder.

    Errors: those of `sample`; `Refused` while other samples are in progress there.
    """
    done = plan.partial.complete_task(task, _steps(plan, progress, task))
    return done or Unfinished(plan.out, len(plan.partial.finished()), plan.videos)


class RowsInMemory:
    """Finished videos that are written nowhere, in place of `PartialSamples`."""

    def __init__(self) -> None:
        self._batches: list[dict[str, np.ndarray]] = []

    def finished(self) -> Int[np.ndarray, " n"]:
        """No rows: nothing is kept from an earlier call."""
        return np.empty(0, int)

    def add(self, rows: Int[np.ndarray, " n"], **values: np.ndarray) -> None:
        """Keep the values of the next rows."""
        self._batches.append(values)

    def gather(self) -> Rows:
        """Values of all rows, by the names passed to `add`."""
        names = self._batches[0]
        return {
            name: np.concatenate([x[name] for x in self._batches]) for name in names
        }


def sample_in_memory(plan: SamplePlan, progress: Progress) -> Samples:
    """Sample the videos; nothing is written, and Ctrl-C loses what is finished.

    Errors: StorageFailed for a broken checkpoint; OutOfMemory.
    """
    rows = RowsInMemory()
    with _within_memory(plan, plan.videos):
        _sample_missing(plan, rows, np.arange(plan.videos), progress, StopSignals())
    return _samples(plan, plan.read(), rows.gather())


def _steps(plan: SamplePlan, progress: Progress, task: ArrayTask | None) -> Steps[Path]:
    """Functions that find, compute and publish the samples."""

    def found() -> Path | None:
        if not plan.finished:
            return None
        read_samples(plan.out, mapped=True)  # refuses arrays that have changed
        progress.note(f"{plan.out}: these samples already exist")
        return plan.out

    def compute(stop: StopSignals) -> None:
        own = range(plan.videos) if task is None else task.share(plan.videos)
        if plan.clips.filtered:
            progress.note(plan.clips.filtered)
        with _within_memory(plan, len(own)):
            _sample_missing(plan, plan.partial, np.array(own, int), progress, stop)

    def publish() -> Path | None:
        rows = plan.partial.gather(np.arange(plan.videos))
        if rows is None:
            return None
        aside = plan.partial.folder / "whole"
        write_samples(aside, _samples(plan, plan.read(), rows))
        move_into_place(aside, plan.out)
        return plan.out

    return Steps(found, compute, publish)


def _within_memory(plan: SamplePlan, videos: int) -> AbstractContextManager[None]:
    """Report running out of memory with settings that need less."""

    def needs_less() -> str:
        at_once, precision = plan.settings.batch, plan.settings.precision
        devices, kept = sampling_layout(videos).devices, "the finished videos"
        return less_for_batches(
            "sample", min(at_once, videos), devices, precision, kept, _least_rows()
        )

    return within_memory("sampling", needs_less)


def _sample_missing(
    plan: SamplePlan,
    partial: PartialSamples | RowsInMemory,
    rows: Int[np.ndarray, " n"],
    progress: Progress,
    stop: StopSignals,
) -> None:
    """Sample those of the videos `rows` that are not finished; save every batch."""
    missing = np.setdiff1d(rows, partial.finished())
    done = len(rows) - len(missing)
    if done:
        progress.note(f"{done} of {len(rows)} videos were finished before")
    if not len(missing):
        return
    start_jax()
    held_out = plan.read()
    layout, size = sampling_layout(len(rows)), plan.settings.batch
    batches = full_batches(len(missing), size, layout.devices, len(rows), _least_rows())
    sample_rows = _row_sampler(plan, held_out, layout, len(batches[0]))
    _, H, W = plan.checkpoint.recipe.model.video
    pixels = len(missing) * (plan.frames - plan.prime) * H * W
    slices = len(batches) * plan.slices
    programs = 1 if plan.checkpoint.recipe.model.first_slice_layers is None else 2
    clock = SamplingClock(progress, slices, pixels / slices, programs)

    stop.saved = f"{done} of {len(rows)} videos are finished" if done else NOTHING

    def check() -> None:
        stop.check(f"{done} of {len(rows)} videos are finished and kept")

    def on_slice(positions: int, passes: Int[np.ndarray, " B"]) -> None:
        clock.slice_done(positions, passes)
        if clock.slices_done % plan.slices:  # else the batch is saved first
            check()

    try:
        for batch in batches:
            real = slice(len(missing) - batch[0])  # without the padding of the last one
            own = missing[batch][real]
            clock.begin_batch(done + 1, done + len(own), len(rows))
            result = sample_rows(missing[batch], on_slice)
            partial.add(
                own,
                video=result.video[real],
                nll=result.nll[real],
                passes=result.passes[real],
                pixels=np.full(len(own), result.pixels),
            )
            done += len(own)
            check()
    finally:
        progress.end()


def _least_rows() -> int:
    """Minimum number of videos per device and batch.

    XLA's GPU compiler writes all summands of a product with one row to memory, rounded:
    two videos take less time than one, and come nearer to the trained model.
    """
    return 1 if devices()[0].platform == "cpu" else 2


def _row_sampler(
    plan: SamplePlan, held_out: HeldOut, layout: Layout, batch: int
) -> Callable[[Int[np.ndarray, " B"], OnSlice], Continuation]:
    """Return a function that samples `batch` of the N·M videos at once."""
    settings, config = plan.settings, plan.checkpoint.recipe.model
    network = load_network(plan.checkpoint, settings.precision)
    sampler = Sampler(
        config,
        network.graphdef,
        layout.whole_copy(network.params),
        chosen_schedule(plan, batch // layout.devices),
        layout.mesh if layout.devices > 1 else None,
        layout.spread,
    )
    rule, actions = SamplingRule.from_settings(settings), plan.followed(held_out)

    def sample_rows(rows: Int[np.ndarray, " B"], on_slice: OnSlice) -> Continuation:
        clips, samples = np.divmod(rows, plan.continuations)
        # The noise is the same under every set of actions.
        sets, continuations = np.divmod(samples, settings.per_prime)
        return sampler.continue_video(
            held_out.video[clips],
            plan.prime,
            plan.overlap,
            row_keys(settings.seed, np.array(plan.numbers)[clips], continuations),
            rule,
            None if actions is None else actions[clips, sets],
            on_slice,
        )

    return sample_rows


def chosen_schedule(plan: SamplePlan, batch: int | None = None) -> Schedule:
    """Schedule for `batch` videos at once per device; None: a full batch."""
    layout = sampling_layout(plan.videos)
    size = -(-min(plan.settings.batch, plan.videos) // layout.devices)
    return schedule_of(plan.settings, plan.checkpoint.recipe.model, batch or size)


def sampling_layout(videos: int) -> Layout:
    """Devices of this machine, at most one per video."""
    return side_by_side(devices()[: max(1, videos)])


def _samples(plan: SamplePlan, held_out: HeldOut, rows: Rows) -> Samples:
    """Contents of the folder: M continuations of each of N clips."""
    N, M = len(held_out.video), plan.continuations
    settings = {
        **vars(plan.settings),
        "prime": plan.prime,
        "frames": plan.frames,
        "overlap": plan.overlap,
        "schedule": chosen_schedule(plan).name,
    }
    recorded = tuple(plan.clips.recorded(number) for number in plan.numbers)
    facts = SampleFacts(
        **settings,
        run=plan.checkpoint.run.name,
        step=plan.checkpoint.step,
        clips=held_out.ids,
        action_sets=tuple(each.name for each in plan.action_sets),
        truth_frames=recorded if min(recorded) < plan.frames else (),
        fingerprint=plan.fingerprint,
        pixels_per_pass=round(int(rows["pixels"].sum()) / int(rows["passes"].sum()), 3),
        deterministic=not plan.checkpoint.recipe.model.draws_codes,
    )
    return Samples(
        video=rows["video"].reshape(N, M, *held_out.video.shape[1:]),
        truth=held_out.video,
        log_prob=-rows["nll"].reshape(N, M, plan.frames),
        facts=facts,
        actions=plan.followed(held_out),
        truth_actions=held_out.actions,
    )


class SamplingClock:
    """Reports the progress of one call, of only the videos that it samples itself."""

    def __init__(
        self,
        progress: Progress,
        slices: int,
        pixels_per_slice: float,
        programs: int,
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begin to sample `slices` of whole batches.

        Rates leave out the first slices, which wait until `programs` are compiled.
        `pixels_per_slice` leaves out the padding of the last batch.
        """
        self._progress, self._pixels_per_slice = progress, pixels_per_slice
        self._programs, self._seconds = programs, seconds
        self.slices_done, self._begun = 0, 0.0
        self._positions, self._passes = 0, 0
        self._videos = ""
        progress.note("compiling the sampler (once per batch and slice shape)")
        progress.begin("sample", slices, "slices")

    def begin_batch(self, first: int, last: int, videos: int) -> None:
        """Begin videos `first` to `last`, counted from 1."""
        self._videos = f"{first} to {last} of {videos}"

    def slice_done(self, positions: int, passes: Int[np.ndarray, " B"]) -> None:
        """Count a slice of the batch."""
        self.slices_done += 1
        self._positions += positions * len(passes)
        self._passes += int(passes.sum())
        counted, now = self.slices_done - self._programs, self._seconds()
        if counted < 0:
            return
        facts = {"videos": self._videos}
        if counted == 0:  # whatever counts time begins here
            self._begun = now
        else:
            seconds = max(now - self._begun, 1e-9)
            facts["pixels/s"] = f"{counted * self._pixels_per_slice / seconds:,.0f}"
        facts["pixels/pass"] = f"{self._positions / self._passes:.1f}"
        self._progress.advance(self.slices_done, facts)
