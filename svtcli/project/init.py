"""A first recipe for one's own videos, by their headers and this machine's speed.

The model is the quickstart's, or a larger one for an accelerator.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil
from shlex import quote
from statistics import median

import jax

from svtcli.evaluate.quality import WINDOW
from svtcli.failure import Refused
from svtcli.prepare.contents import Contents
from svtcli.prepare.sources.video_file import Cutting, TimeSplit
from svtcli.project.estimate import sampling_seconds
from svtcli.recipe.load import flow, recipe_from_text
from svtcli.recipe.schema import Recipe
from svtcli.run.names import printable
from svtcli.run.progress import about, counted
from svtcli.train.backend import devices
from svtcli.train.duration import seconds_per_step

CLIP_FRAMES = (16, 12, 8, 6)
"""Frames of a clip, the first that the videos are long enough for."""
RATES = (10.0, 15.0)
"""Frames per second to keep, the first that leaves enough clips."""
ENOUGH, FASTER = 64, 1.3
"""Clips for training that a lower rate must leave; least ratio of two rates that
differ."""
LEAST_STEPS, UNTIMED_STEPS = 300, 2_000
MANY = 20
"""Videos of which whole ones are held out, and not the end of each."""
BLOCK = 8
"""Side of a block of the attention."""
COUNT = 4
"""Clips that are continued, and validated."""


HEADER = """\
# A first model that continues {told}.
#
# needs    {where}
# command  svt run {file}
"""
SECTIONS = """\
about: {about}

data:
{data}

# The single-frame variant with a window of four frames: three prime frames, one
# predicted.
model:
  video: [4, {size}, {size}]  # four frames of data.size
  s: [4, 1, 1]
  k: [6, 1, 1]
  de: 64
  d: {tier.d}  # the width; twice as much makes a step almost four times as long
  na: {tier.na}
  da: {tier.da}
  encoder_layers: {tier.layers}
  decoder_layers: {tier.layers}
  blocks: [[1, {block}, {block}]]{extra}

train:
  steps: {steps}  # for a first look; more steps give better samples
  batch: {tier.batch}  # slices per step
  prime: 3
  optimizer: adamw
  learning_rate: {tier.learning_rate}  # less for a longer training
  schedule: cosine
  warmup: 20
  clip_norm: 1.0
  save_every: {save_every}
  log_every: {log_every}
  validate_every: {validate_every}  # scores held-out clips: do more steps help?
  validate_clips: {count}

sample:{split}
  prime: {prime}  # frames of a clip that each sample continues
  frames: {frames}
  count: {count}
  per_prime: 4
  temperature: 0.5  # after a longer training 0.9: more diverse

eval:{split}
  prime: {prime}
  frames: {frames}
  baselines: [uniform, untrained]
  metrics: [{metrics}]
  videos: {count}
  trials: 1
  per_prime: 4

render:
  formats: [png, gif, mp4, html]
  every: 2
  rows: {count}
  scale: 3
"""


@dataclass(frozen=True)
class Tier:
    """Model and training that suit a kind of device."""

    size: int
    d: int
    layers: int
    na: int
    da: int
    batch: int
    learning_rate: str
    seconds: float
    """Time to train, about."""
    most_steps: int

    def for_devices(self, count: int) -> "Tier":
        """Return it with a batch that is divided evenly among devices."""
        return replace(self, batch=count * max(1, round(self.batch / count)))


CPU = Tier(48, 128, 1, 2, 32, 4, "4e-3", 300.0, 2_000)
ACCELERATOR = Tier(64, 256, 4, 4, 64, 16, "1e-3", 1800.0, 20_000)


@dataclass(frozen=True)
class Choice:
    """Clips to cut from the videos."""

    frames: int
    clips: dict[str, int]
    """Number of clips of each split, about."""
    fps: float | None = None
    split: str = ""
    """`time`, or whole videos or arrays; empty where the source decides."""
    test: float = 0.0


@dataclass(frozen=True)
class NewRecipe:
    """A recipe, its text, and its time on this machine."""

    text: str
    recipe: Recipe
    choice: Choice
    seconds: dict[str, float | None]
    """Time of `training` and `sampling`; None if unknown."""
    device: str
    notes: tuple[str, ...] = ()


def new_recipe(contents: Contents, file: str) -> NewRecipe:
    """Choose the settings of a recipe for these contents, to be written to `file`.

    Errors: `Refused` for videos too short to train on and to hold out.
    """
    choice = choose_clips(contents)
    found = devices(jax.devices)
    kind, platform = found[0].device_kind, found[0].platform
    tier = (CPU if platform == "cpu" else ACCELERATOR).for_devices(len(found))
    trial = recipe_from_text(_text(contents, choice, tier, LEAST_STEPS, ""), file)
    each = seconds_per_step(trial.model, trial.train, [kind] * len(found), platform)
    wanted = UNTIMED_STEPS if each is None else round(tier.seconds / each, -2)
    steps = int(min(max(wanted, LEAST_STEPS), tier.most_steps))
    seconds = {
        "training": None if each is None else each * steps,
        "sampling": sampling_seconds(trial),
    }
    where = "this CPU" if platform == "cpu" else kind
    where = f"{len(found)} x {kind}" if len(found) > 1 else where
    known = {what: time for what, time in seconds.items() if time is not None}
    time = ", ".join(f"{what} about {about(known[what])}" for what in known)
    header = HEADER.format(
        file=printable(quote(file)),
        told=printable(contents.told),
        where=f"{where}: {time}, estimated" if time else where,
    )
    text = _text(contents, choice, tier, steps, header)
    recipe = recipe_from_text(text, file)
    return NewRecipe(text, recipe, choice, seconds, where, _too_short(contents, choice))


def _too_short(contents: Contents, choice: Choice) -> tuple[str, ...]:
    """Note on videos that give no clip, if there are any."""
    lengths = [facts.frames_at(choice.fps) for _, facts in contents.videos]
    if not (short := sum(length < choice.frames for length in lengths)):
        return ()
    of, are = counted(len(lengths), "video"), "is" if short == 1 else "are"
    return (f"{short} of {of} {are} too short for a clip of {choice.frames} frames",)


def choose_clips(contents: Contents) -> Choice:
    """Choose length, rate and held-out part of the clips.

    The longest clips come first, and of these the lowest rate that leaves enough of
    them. Errors: `Refused` where nothing could be trained on, or held out.
    """
    if contents.clips is not None:
        held_out = [split for split in contents.clips if split != "train"]
        frames = next((n for n in CLIP_FRAMES if n <= contents.frames), 0)
        if frames and held_out and "train" in contents.clips:
            return Choice(frames, contents.clips)
    else:
        for frames, fps, split in product(
            CLIP_FRAMES, _rates(contents), _splits(contents)
        ):
            test = 0.3 if split == "time" and len(contents.videos) < MANY else 0.1
            clips = _count(contents, Cutting(0, fps, frames), split, test)
            least = ENOUGH if fps in RATES and fps != _rates(contents)[-1] else 1
            if clips["train"] >= least and clips["test"]:
                return Choice(frames, clips, fps, split, test)
    raise Refused(
        f"too short, or too few: a clip has at least {CLIP_FRAMES[-1]} frames, and one "
        "must be left to train on and one to hold out",
        "take more videos, or longer ones",
    )


def _rates(contents: Contents) -> list[float | None]:
    """Rates to try; None keeps every frame, where videos have about the same rate."""
    rates = [facts.fps for _, facts in contents.videos]
    known = [rate for rate in rates if rate]
    if not known or len(known) < len(rates):
        return [None]
    alike = max(known) < FASTER * min(known)
    usual = median(known)
    last = None if alike else float(round(usual))
    return [*(rate for rate in RATES if rate * FASTER <= usual), last]


def _splits(contents: Contents) -> tuple[str, ...]:
    """Ways to hold out clips, the preferred one first."""
    whole = "clip" if contents.data["kind"] == "arrays" else "video"
    several = len(contents.videos) * contents.scale
    if several < 2:
        return ("time",)
    return (whole, "time") if several >= MANY else ("time", whole)


def _count(
    contents: Contents, cutting: Cutting, split: str, test: float
) -> dict[str, int]:
    """Count the clips of each split, about; cuts are not known."""
    found = {"train": 0.0, "test": 0.0}
    for _, facts in contents.videos:
        frames = facts.frames_at(cutting.fps)
        ranges = {"train": (0, frames)}
        if split == "time":
            ranges = TimeSplit(0.0, test).ranges(frames)
        for name, between in ranges.items():
            found[name] += len(cutting.clips(*between)[0])
    if split != "time" and len(contents.videos) > 1:
        videos = len(contents.videos)
        share = min(max(1, round(test * videos)), videos - 1) / videos
        found["test"] = found["train"] * share
        found["train"] -= found["test"]
    return {name: int(contents.scale * count) for name, count in found.items()}


def _size(contents: Contents, tier: Tier) -> int:
    """Side of a frame: the tier's, or less where videos are smaller."""
    if contents.clips is not None and "clips" in contents.data:
        return contents.side
    return max(min(tier.size, contents.side // BLOCK * BLOCK), 2 * BLOCK)


def _text(
    contents: Contents, choice: Choice, tier: Tier, steps: int, header: str
) -> str:
    """Text of the recipe."""
    held_out = [split for split in choice.clips if split != "train"]
    split = "test" if "test" in held_out else held_out[0]
    size = _size(contents, tier)
    extra = {
        "channels": "" if contents.channels == 3 else contents.channels,
        "actions": contents.actions or "",
    }
    return header + SECTIONS.format(
        about=flow(printable(f"continues {contents.told}")),
        data="\n".join(_data_lines(contents, choice, size)),
        tier=tier,
        size=size,
        block=next(each for each in range(BLOCK, 0, -1) if size % each == 0),
        extra="".join(f"\n  {key}: {n}" for key, n in extra.items() if n),
        steps=steps,
        save_every=steps // 3,
        log_every=max(1, steps // 25),
        validate_every=steps // 5,
        split="" if split == "test" else f"\n  split: {split}",
        prime=5 if choice.frames >= 12 else 3,
        frames=choice.frames,
        metrics="likelihood, psnr" + (", ssim" if size >= WINDOW else ""),
        count=max(1, min(COUNT, choice.clips[split])),
    )


def _data_lines(contents: Contents, choice: Choice, size: int) -> Iterator[str]:
    """Keys of `data`, with the reason of each choice."""
    prepared = "clips" in contents.data
    if prepared:
        yield "  # The settings that these clips were prepared with."
    for key, value in contents.data.items():
        yield f"  {key}: {flow(value)}"
    if prepared:
        return
    of = f", of the videos' {contents.side}" if contents.side > size else ""
    yield f"  size: {size}  # pixels{of}; twice as many make a step four times as long"
    if not choice.split:
        return
    cut = " and ".join(f"{number} for {name}" for name, number in choice.clips.items())
    yield f"  frames: {choice.frames}  # of a clip: about {cut}"
    rates = [facts.fps for _, facts in contents.videos if facts.fps]
    if choice.fps:
        why = "lower than the videos' own: more happens in a clip"
        if choice.fps not in RATES:
            why = "for all videos, whose own rates differ"
        lasts = choice.frames / choice.fps
        yield f"  fps: {choice.fps:g}  # {why}; it lasts {lasts:.2g} s"
    part = "the end of every one" if choice.split == "time" else "whole ones"
    yield f"  split: {choice.split}  # holds out {part}, for scores and samples"
    yield f"  test: {choice.test}  # the share that is held out"
    if contents.data["kind"] == "folder" and rates:
        yield "  cuts: 0.1  # no clip has a cut in it; delete it for videos without any"
    lost, read = len(contents.unreadable), len(contents.videos)
    if lost > max(1, 0.05 * (lost + read)) and contents.data["kind"] == "folder":
        share = ceil(20 * lost / (lost + read)) / 20
        yield f"  max_failures: {share:g}  # {lost} of {lost + read} cannot be read"
