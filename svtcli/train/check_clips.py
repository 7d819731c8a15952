"""Whether prepared clips are those of a recipe, and such that its model takes them."""

from collections.abc import Iterator
from pathlib import Path

from svtcli.clips.manifest import read_manifest
from svtcli.clips.reader import Clips, open_clips
from svtcli.failure import Refused
from svtcli.prepare.plan import spec_of
from svtcli.recipe.schema import Recipe


def fitting_clips(folder: Path, recipe: Recipe) -> Clips:
    """The training clips in `folder`.

    Errors: `Refused` when they are not what the recipe describes, with every
    difference; and what `open_clips` says of broken ones.
    """
    clips = open_clips(folder, "train")
    misfits = [*_other_pixels(clips, recipe), *_other_settings(folder, recipe)]
    if misfits:
        raise Refused(
            f"{folder}: clips do not fit the recipe: {'; '.join(misfits)}",
            "name another place with data.clips=FOLDER, and prepare them there",
        )
    return clips


def _other_pixels(clips: Clips, recipe: Recipe) -> Iterator[str]:
    height, width, channels = clips.shape
    _, wanted_height, wanted_width = recipe.model.video
    if (height, width) != (wanted_height, wanted_width):
        wanted = f"{wanted_height} by {wanted_width}"
        yield f"frames are {height} by {width}, model.video wants {wanted}"
    if channels != recipe.model.channels:
        wanted = f"model.channels is {recipe.model.channels}"
        yield f"frames have {channels} channels, {wanted}"
    if recipe.model.actions not in (0, clips.action_size):
        wanted = f"model.actions is {recipe.model.actions}"
        yield f"frames have {clips.action_size} numbers of action, {wanted}"


def _other_settings(folder: Path, recipe: Recipe) -> Iterator[str]:
    """Settings that the clips were prepared with and the recipe says otherwise."""
    made_with = read_manifest(folder).spec
    for key, wanted in spec_of(recipe.data).items():
        if key in made_with and made_with[key] != wanted:
            yield f"made with {key} {made_with[key]}, data.{key} is {wanted}"
