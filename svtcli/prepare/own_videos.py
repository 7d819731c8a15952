"""Videos that a person names for a model to continue, made like the clips it knows."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import UInt8

from svtcli.clips.in_memory import MemoryClips, memory_clips
from svtcli.failure import Refused
from svtcli.model.windows import check_lengths
from svtcli.prepare.sources.source_folder import Video
from svtcli.recipe.resolve import Lengths
from svtcli.recipe.schema import Recipe
from svtcli.run.names import printable
from svtcli.run.progress import counted
from svtcli.video.array_files import list_arrays
from svtcli.video.array_layout import Axes
from svtcli.video.decode import WrongStamps
from svtcli.video.resize import Resizer

Frames = UInt8[np.ndarray, "F H W C"]
ARRAY = ".npy"
AXES = Axes("THWC")


def open_own(videos: Iterable[Path], recipe: Recipe, lengths: Lengths) -> MemoryClips:
    """Decode, crop and resize the first frames of each video as `svt prepare` does.

    Size and frame rate are those of the recipe's clips. A video may end after its prime
    frames. Errors: Refused for a video that is missing, too short, or of colours that
    the model does not take; BadData for a damaged one.
    """
    check_lengths(recipe.model, **vars(lengths))
    found = dict[str, np.ndarray]()
    for path in videos:
        name = printable(path)
        if name in found:
            raise Refused(f"{name}: named twice")
        frames = _fitting(name, _read(path, recipe, lengths.frames), recipe)
        if (there := len(frames)) < lengths.prime:
            raise Refused(
                f"{name}: {counted(there, 'frame')}, and {lengths.prime} prime frames "
                "are continued",
                f"take a longer video, or fewer prime frames: --prime {there}",
            )
        found[name] = frames
    return memory_clips(found, lengths.frames, recipe.model.actions)


def _read(path: Path, recipe: Recipe, most: int) -> Frames:
    """Read the first frames, at most `most`. Errors: Refused, BadData."""
    if not path.exists():
        raise Refused(f"{printable(path)}: no such file")
    if path.suffix.lower() == ARRAY:
        return _read_array(path, recipe.data.size, most)
    size, fps = recipe.data.size, getattr(recipe.data, "fps", None)
    pictures = path.is_dir()
    rate = getattr(recipe.data, "source_fps", None)
    if pictures and fps is not None and rate is None:
        raise Refused(
            f"{printable(path)}: numbered pictures state no frame rate, and the model "
            f"knows {fps:g} frames a second",
            "make a video of them, which states its rate",
        )
    video = Video(path.parent, path.name, 0, int(pictures), rate)

    def decoded(stamped: bool) -> Iterator[np.ndarray]:
        with video.open() as opened:
            yield from islice(opened.decode(size, fps, stamped=stamped), most)

    try:
        return np.stack([*decoded(True)])
    except WrongStamps:
        return np.stack([*decoded(False)])


def _read_array(path: Path, size: int, most: int) -> Frames:
    """Read an array of bytes, [T, H, W, C]. Errors: Refused, BadData."""
    array = list_arrays(path)[""]
    wrong = array.problem or AXES.problem(array.shape)
    if wrong or array.dtype != "uint8":
        what = wrong or f"its numbers are {array.dtype}"
        raise Refused(
            f"{printable(path)}: {what}",
            "one video is an array of bytes (uint8), [T, H, W, C]",
        )
    resizer = Resizer(size)
    with TemporaryDirectory() as aside, array.open(Path(aside) / "unpacked") as read:
        pixels = AXES.frames(read(AXES.index(0, slice(0, most))))
    return np.stack([resizer.array(frame) for frame in pixels])


def _fitting(name: str, frames: Frames, recipe: Recipe) -> UInt8[np.ndarray, "F H W I"]:
    """Frames with the model's number of channels. Errors: Refused for colours."""
    wanted, there = recipe.model.channels, frames.shape[-1]
    if wanted == 1 and (frames != frames[..., :1]).any():
        raise Refused(
            f"{name}: has colours, and the model takes gray videos",
            "make it gray first: ffmpeg -i VIDEO -vf format=gray GRAY.mkv",
        )
    return frames[..., :1] if wanted < there else np.repeat(frames, wanted // there, -1)
