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
from svtcli.stages.prepare import clips_folder
from svtcli.stages.trained import (
    Checkpoint,
    HeldOut,
    load_network,
    open_fitting,
    read_held_out,
)

SCHEDULE = "sequential"


@dataclass(frozen=True)
class SamplePlan:
    """What a call of `sample` will make; making one checks all that it needs."""

    checkpoint: Checkpoint
    settings: Sample
    clips: Clips
    prime: int
    frames: int
    overlap: int
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
    folder = clips or clips_folder(recipe.data, checkpoint.run.name)
    opened = open_fitting(folder, settings.split, recipe)
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
        prime,
        frames,
        overlap,
        out or checkpoint.run.samples / name,
        made_from,
    )
    _check_windows(plan)
    if plan.out.exists() and not plan.finished:
        raise Refused(
            f"{plan.out}: already there, and not these samples",
            "choose another folder with --out",
        )
    return plan


def sample(plan: SamplePlan, progress: Progress) -> Path:
    """Make the samples; the folder appears when they are whole.

    Errors: a broken checkpoint; Refused when no clip is long enough.
    """
    if plan.finished:
        progress.note(f"{plan.out}: these samples are there already")
        return plan.out
    held_out = read_held_out(plan.clips, plan.frames, plan.settings.count)
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


def _check_windows(plan: SamplePlan) -> int:
    """How many slices a batch takes; Refused when the frames cannot be laid out."""
    sampler = Sampler(plan.checkpoint.recipe.model, graphdef=None, params={})
    try:
        return sampler.slices_of(plan.frames, plan.prime, plan.overlap)
    except ValueError as error:
        raise Refused(str(error)) from error


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
    keys = row_keys(plan.settings.seed, np.array(held_out.numbers)[rows], continuations)
    size = min(plan.settings.batch, len(rows))
    chunks = [np.arange(i, i + size) % len(rows) for i in range(0, len(rows), size)]
    slices = _check_windows(plan)
    clock = _Clock(progress, plan, videos=len(rows), slices=slices * len(chunks))
    made = []
    for number, chunk in enumerate(chunks):
        clock.batch = (number * size, min(size, len(rows) - number * size))
        actions = held_out.actions
        made.append(
            sampler.continue_video(
                held_out.video[rows[chunk]],
                plan.prime,
                plan.overlap,
                keys[chunk],
                plan.settings.temperature,
                None if actions is None else actions[rows[chunk]],
                clock.slice_done,
            )
        )
    progress.end()
    # A last batch is filled up with rows from the start, so that it compiles no more.
    return Continuation(
        np.concatenate([part.video for part in made])[: len(rows)],
        np.concatenate([part.nats for part in made])[: len(rows)],
    )


class _Clock:
    """Tells the progress of sampling: slices done, videos, pixels a second."""

    def __init__(
        self, progress: Progress, plan: SamplePlan, videos: int, slices: int
    ) -> None:
        self.progress, self.videos = progress, videos
        self.batch = (0, 0)  # videos before this batch, and in it
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
        before, here = self.batch
        facts = {"videos": f"{before + 1} to {before + here} of {self.videos}"}
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
