"""Continue held-out clips with a trained network, into a folder of samples."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from svtcli.data.clips import Clips
from svtcli.failure import Refused
from svtcli.recipe.schema import Sample
from svtcli.run.fingerprint import fingerprint
from svtcli.run.progress import Progress
from svtcli.run.samples import SampleFacts, Samples, read_facts, write_samples
from svtcli.sampling.noise import row_keys
from svtcli.sampling.sampler import Continuation, Sampler
from svtcli.stages.trained import (
    Checkpoint,
    HeldOut,
    choose_clips,
    full_batches,
    load_network,
    open_fitting,
    read_held_out,
    slices_per_batch,
)

SCHEDULE = "sequential"


@dataclass(frozen=True)
class SamplePlan:
    """What a call of `sample` will make; making one checks all that it needs."""

    checkpoint: Checkpoint
    settings: Sample
    clips: Clips
    numbers: tuple[int, ...]
    """Which clips of the split are continued."""
    prime: int
    frames: int
    overlap: int
    slices: int
    """In how many a batch is made."""
    out: Path
    fingerprint: str

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

    `clips` defaults to the recipe's; `out` to a folder of the run whose name tells the
    settings apart. Errors: Refused.
    """
    recipe = checkpoint.recipe
    opened = open_fitting(clips or checkpoint.clips, settings.split, recipe)
    prime = settings.prime or recipe.train.prime
    frames = settings.frames or recipe.model.video[0]
    overlap = settings.overlap or recipe.train.prime
    # The batch has no influence on the samples, so it is no part of what they are.
    made_from = fingerprint(
        "samples",
        checkpoint.fingerprint,
        opened.fingerprint,
        replace(settings, prime=prime, frames=frames, overlap=overlap, batch=1),
    )
    name = (
        f"{checkpoint.step}-prime{prime}-temp{settings.temperature:g}"
        f"-seed{settings.seed}-{made_from[:6]}"
    )
    plan = SamplePlan(
        checkpoint,
        settings,
        opened,
        choose_clips(opened, frames, settings.count),
        prime,
        frames,
        overlap,
        slices_per_batch(recipe.model, frames, prime, overlap),
        out or checkpoint.run.samples / name,
        made_from,
    )
    if plan.out.exists() and not plan.finished:
        raise Refused(
            f"{plan.out}: already there, and not these samples",
            "choose another folder with --out",
        )
    return plan


def sample(plan: SamplePlan, progress: Progress) -> Path:
    """Make the samples; the folder appears when they are whole.

    Errors: StorageFailed for a broken checkpoint, Refused for another model's.
    """
    if plan.finished:
        progress.note(f"{plan.out}: these samples are there already")
        return plan.out
    held_out = read_held_out(plan.clips, plan.numbers, plan.frames)
    made = _continue_all(plan, held_out, progress)
    N, M = len(held_out.video), plan.settings.per_prime
    samples = Samples(
        video=made.video.reshape(N, M, *held_out.video.shape[1:]),
        truth=held_out.video,
        log_prob=-made.nats.reshape(N, M, plan.frames),
        facts=_facts(plan, held_out),
    )
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(prefix=".sampling-", dir=plan.out.parent))
    try:
        write_samples(aside, samples)
        aside.chmod(0o755)  # mkdtemp keeps others out
        aside.rename(plan.out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return plan.out


def _continue_all(
    plan: SamplePlan, held_out: HeldOut, progress: Progress
) -> Continuation:
    """Every continuation of every clip: N·M videos, those of a clip side by side."""
    network = load_network(plan.checkpoint)
    sampler = Sampler(plan.checkpoint.recipe.model, network.graphdef, network.params)
    rows, continuations = np.divmod(
        np.arange(len(held_out.video) * plan.settings.per_prime),
        plan.settings.per_prime,
    )
    keys = row_keys(plan.settings.seed, np.array(plan.numbers)[rows], continuations)
    batches = full_batches(len(rows), plan.settings.batch)
    clock = _Clock(progress, plan, len(rows), plan.slices * len(batches))
    actions = held_out.actions
    made = []
    try:
        for batch in batches:
            clock.first_video = int(batch[0])
            made.append(
                sampler.continue_video(
                    held_out.video[rows[batch]],
                    plan.prime,
                    plan.overlap,
                    keys[batch],
                    plan.settings.temperature,
                    None if actions is None else actions[rows[batch]],
                    clock.slice_done,
                )
            )
    finally:
        progress.end()
    return Continuation(
        np.concatenate([part.video for part in made])[: len(rows)],
        np.concatenate([part.nats for part in made])[: len(rows)],
    )


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
        progress.note("compiling the sampler (once per batch and slice shape)")
        progress.begin("sample", slices, "slices")

    def slice_done(self) -> None:
        """One more slice of the batch is made."""
        self.done += 1
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
        self.progress.advance(self.done, facts | ({"pixels/s": rate} if rate else {}))


def _facts(plan: SamplePlan, held_out: HeldOut) -> SampleFacts:
    return SampleFacts(
        run=plan.checkpoint.run.name,
        step=plan.checkpoint.step,
        prime=plan.prime,
        frames=plan.frames,
        overlap=plan.overlap,
        temperature=plan.settings.temperature,
        seed=plan.settings.seed,
        schedule=SCHEDULE,
        split=plan.settings.split,
        clips=held_out.ids,
        fingerprint=plan.fingerprint,
    )
