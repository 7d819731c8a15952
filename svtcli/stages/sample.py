"""Continue held-out clips with a trained network, into a folder of samples."""

import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from jaxtyping import Int

from svtcli.failure import Refused
from svtcli.recipe.schema import Sample
from svtcli.run.progress import Progress
from svtcli.run.samples import SampleFacts, Samples, read_facts, write_samples
from svtcli.run.whole_file import sync_folder
from svtcli.sampling.choice import Choice
from svtcli.sampling.guess import guess_slice
from svtcli.sampling.noise import row_keys
from svtcli.sampling.parallel import sample_slice_in_steps
from svtcli.sampling.sampler import Continuation, MakeSlice, Sampler
from svtcli.sampling.sequential import sample_slice
from svtcli.stages.held_out import (
    HeldOut,
    HeldOutPlan,
    full_batches,
    plan_held_out,
    read_held_out,
)
from svtcli.stages.interrupt import no_interrupt_lost
from svtcli.stages.trained import Checkpoint, load_network


@dataclass(frozen=True)
class SamplePlan(HeldOutPlan):
    """What a call of `sample` will make; making one checks all that it needs."""

    settings: Sample
    out: Path

    @property
    def finished(self) -> bool:
        """These very samples are there already."""
        if not (self.out / "samples.json").is_file():
            return False
        return read_facts(self.out).fingerprint == self.fingerprint


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
    """Make the samples; the folder appears when they are whole.

    Errors: StorageFailed for a broken checkpoint, Refused for another model's.
    """
    if plan.finished:
        progress.note(f"{plan.out}: these samples are there already")
        return plan.out
    held_out = read_held_out(plan)
    made = _continue_all(plan, held_out, progress)
    N, M = len(held_out.video), plan.settings.per_prime
    samples = Samples(
        video=made.video.reshape(N, M, *held_out.video.shape[1:]),
        truth=held_out.video,
        log_prob=-made.nats.reshape(N, M, plan.frames),
        facts=_facts(plan, held_out, made),
    )
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(prefix=".sampling-", dir=plan.out.parent))
    try:
        write_samples(aside, samples)
        aside.chmod(0o755)  # mkdtemp keeps others out
        aside.rename(plan.out)
        sync_folder(plan.out.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return plan.out


def _continue_all(
    plan: SamplePlan, held_out: HeldOut, progress: Progress
) -> Continuation:
    """Every continuation of every clip: N·M videos, those of a clip side by side."""
    network = load_network(plan.checkpoint)
    sampler = Sampler(
        plan.checkpoint.recipe.model,
        network.graphdef,
        network.params,
        _schedule(plan.settings),
    )
    rows, continuations = np.divmod(
        np.arange(len(held_out.video) * plan.settings.per_prime),
        plan.settings.per_prime,
    )
    keys = row_keys(plan.settings.seed, np.array(plan.numbers)[rows], continuations)
    batches = full_batches(len(rows), plan.settings.batch)
    clock = _Clock(progress, plan, len(rows), plan.slices * len(batches))
    settings, actions = plan.settings, held_out.actions
    choice = Choice.of(settings.temperature, settings.top_k, settings.top_p)
    made = []

    def on_slice(positions: int, passes: Int[np.ndarray, " B"]) -> None:
        clock.slice_done(positions, passes)
        raise_interrupt()

    try:
        with no_interrupt_lost() as raise_interrupt:
            for batch in batches:
                clock.first_video = int(batch[0])
                made.append(
                    sampler.continue_video(
                        held_out.video[rows[batch]],
                        plan.prime,
                        plan.overlap,
                        keys[batch],
                        choice,
                        None if actions is None else actions[rows[batch]],
                        on_slice,
                    )
                )
    finally:
        progress.end()
    return Continuation(
        np.concatenate([part.video for part in made])[: len(rows)],
        np.concatenate([part.nats for part in made])[: len(rows)],
        made[0].pixels,
        np.concatenate([part.passes for part in made])[: len(rows)],
    )


def _schedule(settings: Sample) -> MakeSlice:
    match settings.schedule:
        case "sequential":
            return sample_slice
        case "parallel":
            return sample_slice_in_steps
        case "guess":
            return partial(guess_slice, window=settings.window)


class _Clock:
    """Tells the progress of sampling: slices done, videos, pixels a second."""

    def __init__(
        self, progress: Progress, plan: SamplePlan, videos: int, slices: int
    ) -> None:
        self.progress, self.plan, self.videos = progress, plan, videos
        self.first_video = 0  # of the batch that is being made
        _, H, W = plan.checkpoint.recipe.model.video
        pixels = videos * (plan.frames - plan.prime) * H * W
        self.pixels_per_slice = pixels / slices
        self.done, self.begun = 0, time.perf_counter()
        self.positions, self.passes = 0, 0
        progress.note("compiling the sampler (once per batch and slice shape)")
        progress.begin("sample", slices, "slices")

    def slice_done(self, positions: int, passes: Int[np.ndarray, " B"]) -> None:
        """One more slice of the batch is made."""
        self.done += 1
        self.positions += positions * len(passes)
        self.passes += int(passes.sum())
        if self.done == 1:  # the first one has waited for the compiler
            self.begun = time.perf_counter()
            rate = ""
        else:
            seconds = time.perf_counter() - self.begun
            pixels = (self.done - 1) * self.pixels_per_slice / max(seconds, 1e-9)
            rate = f"{pixels:,.0f}"
        first = self.first_video
        last = min(first + self.plan.settings.batch, self.videos)
        facts = {"videos": f"{first + 1} to {last} of {self.videos}"}
        if rate:
            facts["pixels/s"] = rate
        if self.plan.settings.schedule == "guess":
            facts["pixels/pass"] = f"{self.positions / self.passes:.1f}"
        self.progress.advance(self.done, facts)


def _facts(plan: SamplePlan, held_out: HeldOut, made: Continuation) -> SampleFacts:
    return SampleFacts(
        run=plan.checkpoint.run.name,
        step=plan.checkpoint.step,
        prime=plan.prime,
        frames=plan.frames,
        overlap=plan.overlap,
        temperature=plan.settings.temperature,
        seed=plan.settings.seed,
        schedule=plan.settings.schedule,
        split=plan.settings.split,
        clips=held_out.ids,
        fingerprint=plan.fingerprint,
        pixels_per_pass=round(made.pixels_per_pass, 3),
        top_k=plan.settings.top_k,
        top_p=plan.settings.top_p,
    )
