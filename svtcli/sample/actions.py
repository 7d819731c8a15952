"""Actions that samples follow: the clips' own, changed ones, or those of a file.

Only actions of frames after the prime frames are changed: prime frames keep their own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from svtcli.failure import BadData, Refused, in_words
from svtcli.recipe.addresses import refuse_address
from svtcli.recipe.schema import OWN, Recipe, Sample
from svtcli.run.progress import counted
from svtcli.video.npy_files import file_header, mapped

Actions = Float32[np.ndarray, "N F A"]

RULES: dict[str, Callable[[Actions], Actions]] = {
    OWN: lambda own: own,
    "zero": np.zeros_like,
    "reverse": lambda own: 0 - own,
    "swap": lambda own: np.roll(own, -1, axis=0),
}
WANTED = f"{', '.join(RULES)}, or a file .npy of numbers [F, A] or [N, F, A]"


@dataclass(frozen=True, eq=False)
class ActionSet:
    """Actions of every clip, by a rule or from a file."""

    name: str
    """Rule, or the file's name; without its ending, unless it were a rule then."""
    values: Float32[np.ndarray, "n F A"] | None = None
    """Actions of the file: n = 1 for all clips together; None for a rule."""

    @property
    def identity(self) -> str:
        """Name, and hash of the file's actions, wherever it lies."""
        if self.values is None:
            return self.name
        digest = sha256(f"{self.values.shape}".encode() + self.values.tobytes())
        return f"{self.name} {digest.hexdigest()}"

    def check_clips(self, clips: int) -> None:
        """Compare with the number of clips. Errors: Refused."""
        if self.name == "swap" and clips < 2:
            raise Refused(
                "sample.actions: swap takes the actions of the next clip, and there is "
                "one clip only",
                "set sample.count higher",
            )
        if self.values is not None and len(self.values) not in (1, clips):
            raise Refused(
                f"sample.actions: {self.name} has actions of "
                f"{counted(len(self.values), 'clip')}, "
                f"and {clips} are continued",
                "give one of each clip, or [F, A] for all clips",
            )

    def followed(self, own: Actions, prime: int) -> Actions:
        """Actions to follow, of clips whose `own` are given."""
        changed = RULES[self.name](own) if self.values is None else self.values
        after = np.arange(own.shape[1])[:, None] >= prime
        return np.where(after, changed, own)


def action_sets(recipe: Recipe, settings: Sample) -> tuple[ActionSet, ...]:
    """Sets of actions that the samples follow, in order; none if the model takes none.

    Errors: Refused for actions of a model that takes none, files that are missing or do
    not fit, and two sets of one name; BadData for a damaged file.
    """
    size, frames = recipe.model.actions, recipe.resolved(settings).frames
    if settings.actions is None:
        return (ActionSet(OWN),) if size else ()
    if not size:
        raise Refused(
            "sample.actions: this model takes no actions (its model.actions is 0)",
            "leave sample.actions out, or train a model with actions",
        )
    sets = [each for source in settings.actions for each in _sets(source, frames, size)]
    names = [each.name for each in sets]
    if not names:
        raise Refused("sample.actions: is empty", f"name {WANTED}")
    for name in names:
        if names.count(name) > 1:
            what = f"sample.actions: two sets of actions are called {name}"
            raise Refused(what, "name each once; rename one of two files")
    return tuple(sets)


def _sets(source: str, frames: int, size: int) -> Iterator[ActionSet]:
    """Sets of actions that one item of the setting names."""
    if source in RULES:
        yield ActionSet(source)
        return
    values, path = _read(source, frames, size), Path(source)
    name = path.name if path.stem in RULES else path.stem
    N, S, *_ = (*values.shape[:-2], 1, 1)
    sets = values.reshape(N, S, frames, size).swapaxes(0, 1)
    for number, each in enumerate(sets, start=1):
        yield ActionSet(name if S == 1 else f"{name} {number}", each)


def _read(source: str, frames: int, size: int) -> Float32[np.ndarray, "..."]:
    """Read a file of actions, `frames` of `size` numbers. Errors: Refused, BadData."""
    refuse_address(source, "sample.actions:")
    path, where = Path(source), f"sample.actions: {source}"
    if not path.is_file():
        near = get_close_matches(source, RULES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"name {WANTED}"
        raise Refused(f"sample.actions: no file {source!r}", hint)
    try:
        header = file_header(path)
    except OSError as error:
        raise BadData(f"{where}: cannot be read ({in_words(error)})") from error
    _check_array(where, header.dtype, header.shape, frames, size)
    return _finite(where, mapped(path, header, header.bytes))


def actions_of_array(
    array: np.ndarray, frames: int, size: int
) -> Float32[np.ndarray, "n F A"]:
    """Actions [F, A] or [N, F, A] of N clips; n = 1 for all clips together.

    F may be more than `frames`. Errors: Refused for another shape or type, and NaN.
    """
    first = array[..., :frames, :] if array.ndim in (2, 3) else array
    _check_array("actions", first.dtype, first.shape, frames, size, most_axes=3)
    return _finite("actions", first).reshape(-1, frames, size)


def _check_array(
    where: str,
    dtype: np.dtype,
    shape: tuple[int, ...],
    frames: int,
    size: int,
    most_axes: int = 4,
) -> None:
    """Refuse an array that is not the actions of `frames` of `size` numbers."""
    if dtype.kind not in "iuf":
        raise Refused(f"{where}: holds {dtype.name}, not numbers")
    axes, last = len(shape), (frames, size)
    if not 2 <= axes <= most_axes or shape[-2:] != last or 0 in shape:
        raise Refused(
            f"{where}: its axes are {list(shape)}; samples of {frames} frames with "
            f"{size} numbers each need [{frames}, {size}], or [N, {frames}, {size}] "
            "for N clips",
            "prime frames count too",
        )


def _finite(where: str, array: np.ndarray) -> Float32[np.ndarray, "..."]:
    """Copy in float32. Errors: Refused for NaN and infinity."""
    with np.errstate(over="ignore"):
        values = np.array(array, np.float32, order="C")
    if not (finite := np.isfinite(values)).all():
        place = np.argwhere(~finite)[0].tolist()
        raise Refused(f"{where}: holds NaN or infinity, first at {place}")
    return values
