"""Facts that follow from several sections of a recipe, and conflicts between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from svtcli.recipe.labels import label_problems
from svtcli.recipe.setting import counted

if TYPE_CHECKING:
    from svtcli.recipe.schema import Eval, Recipe, Sample

Problems = Iterator[tuple[str, str]]
"""Pairs of a key and a sentence about it."""


@dataclass(frozen=True)
class Lengths:
    """Numbers of frames of a sampled or scored video."""

    prime: int
    """Prime frames at its start."""
    frames: int
    """Total frames, prime included."""
    overlap: int
    """Frames of one window that prime the next."""


def resolve(recipe: "Recipe", section: "Sample | Eval") -> Lengths:
    """Lengths that `section` asks for; None stands for the training's and the model's.

    `section` may differ from the recipe's own, by flags of a command.
    """
    return Lengths(
        prime=section.prime or recipe.train.prime,
        frames=section.frames or recipe.model.video[0],
        overlap=section.overlap or recipe.train.prime,
    )


def problems_between_sections(recipe: "Recipe") -> Problems:
    """Conflicts between the sections of a recipe."""
    yield from _data_problems(recipe)
    yield from _training_problems(recipe)
    yield from _length_problems(recipe)
    yield from _split_problems(recipe)
    yield from _trial_problems(recipe)


def _data_problems(recipe: "Recipe") -> Problems:
    """Pixels, actions or a window that the data does not have."""
    data, model = recipe.data, recipe.model
    window, height, width = model.video
    if (height, width) != (data.size, data.size):
        what = f"frames of {height} by {width}, but data.size is {data.size}"
        yield "model.video", what
    yield from _longer_than_clips("model.video", window, recipe)
    if model.channels != data.channels:
        what = f"should be {data.channels}, as {data.kind} videos have it"
        yield "model.channels", what
    if model.pixel_bits != 8:
        yield "model.pixel_bits", "should be 8, as every prepared video has it"
    if data.actions is not None and model.actions not in (0, data.actions):
        either = f"0 or {data.actions}" if data.actions else "0"
        yield "model.actions", f"should be {either}, as {data.kind} clips have it"


def _training_problems(recipe: "Recipe") -> Problems:
    """Batches that cannot be divided, or a validation split that does not exist."""
    model, train = recipe.model, recipe.train
    if model.first_slice_layers and train.batch < 2:
        yield "train.batch", "should be 2 or more: one row is a first slice"
    if (first := model.first_rows(train.batch)) % train.accumulate:
        what = f"should divide the {counted(first, 'first slice')} of a batch too"
        yield "train.accumulate", what
    if train.prime >= model.video[0]:
        what = f"should be less than the model's {counted(model.video[0], 'frame')}"
        yield "train.prime", what
    held_out = [each for each in recipe.data.splits if each != "train"]
    if train.validate_split not in (None, *held_out):
        what = f"should be {' or '.join(held_out) or 'left out'}"
        yield "train.validate_split", f"{what}, not {train.validate_split!r}"
    if train.validate_every is not None and not held_out:
        what = "needs a split beside train, and the data makes none"
        yield "train.validate_every", what


def _length_problems(recipe: "Recipe") -> Problems:
    """More prime frames than frames, or more frames than a clip has."""
    window = recipe.model.video[0]
    for name, section in (("sample", recipe.sample), ("eval", recipe.eval)):
        lengths = resolve(recipe, section)
        if section.prime or section.frames:
            yield from _too_much_prime(f"{name}.prime", lengths)
        if section.overlap is not None and section.overlap >= window:
            what = f"should be less than the model's {counted(window, 'frame')}"
            yield f"{name}.overlap", what
        if section.frames:
            yield from _longer_than_clips(f"{name}.frames", lengths.frames, recipe)


def _trial_problems(recipe: "Recipe") -> Problems:
    """Trials whose samples are too long for the clips, or too short for FVD."""
    settings = recipe.eval
    lengths = resolve(recipe, settings.trial_samples(recipe.sample))
    if settings.sampled_frames:
        yield from _longer_than_clips("eval.sampled_frames", lengths.frames, recipe)
    if settings.sampled_prime or settings.sampled_frames:
        yield from _too_much_prime("eval.sampled_prime", lengths)
    if settings.distances and lengths.frames < settings.window:
        what = f"should be at most the {counted(lengths.frames, 'frame')} of a sample"
        yield "eval.window", what


def _too_much_prime(key: str, lengths: Lengths) -> Problems:
    if lengths.prime >= lengths.frames:
        there = f"the {counted(lengths.frames, 'frame')} there are"
        yield key, f"should be less than {there}, not {lengths.prime}"


def _longer_than_clips(key: str, wanted: int, recipe: "Recipe") -> Problems:
    length = recipe.data.frames
    if isinstance(length, int) and wanted > length:
        yield (
            key,
            f"{counted(wanted, 'frame')}, but data.frames makes clips of {length}",
        )


def _split_problems(recipe: "Recipe") -> Problems:
    """A split that does not exist, or an invalid filter of labels."""
    splits = recipe.data.splits
    for name, section in (("sample", recipe.sample), ("eval", recipe.eval)):
        if section.split not in splits:
            what = f"should be {' or '.join(splits)}, not {section.split!r}"
            yield f"{name}.split", f"{what}, the splits that data makes"
        for key, what in label_problems(section.subset, section.match).items():
            yield f"{name}.{key}", what
    for split in dict.fromkeys(recipe.eval.also):
        if split not in splits:
            what = f"should be of {', '.join(splits)}, not {split!r}"
            yield "eval.also", f"{what}, the splits that data makes"
