"""Clips of one file of arrays: frames read a few at a time, resized and written."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from svtcli.clips.format import FLOAT, ClipFacts, Layout
from svtcli.failure import BadData
from svtcli.prepare.plan import Cut, Failed, Outcome, Promise, beside
from svtcli.prepare.sources.video_file import Cutting, TimeSplit, ranges_of
from svtcli.video.array_files import Read, StoredArray
from svtcli.video.array_layout import Axes, BadNumbers, to_pixels
from svtcli.video.resize import Resizer

BLOCK = 1 << 24
"""Bytes of frames that are read at once, unless one frame is larger."""
TEXTS = ("str", "byt")
"""Starts of the names of NumPy's types of texts."""

Splits = tuple[str | TimeSplit | None, ...]
"""Split of each clip of a file; None for those that are left out."""


@dataclass(frozen=True)
class ClipArrays:
    """Arrays of the clips of one file."""

    name: str
    """Path of the file below the source, and the key of the frames if it has more."""
    folder: str | None
    """Label of clips without one of their own."""
    frames: StoredArray
    axes: Axes
    """Axes of `frames`."""
    beside: Mapping[str, StoredArray]
    """Arrays of `actions` and `states`, if there are any."""
    label: StoredArray | None = None

    @property
    def all(self) -> tuple[StoredArray, ...]:
        """Every array that is read."""
        label = () if self.label is None else (self.label,)
        return (self.frames, *self.beside.values(), *label)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis of the frames."""
        return self.axes.sizes(self.frames.shape)

    @property
    def clips(self) -> int:
        """Number of clips."""
        return self.sizes["N"]

    @property
    def length(self) -> int:
        """Frames of each clip."""
        return self.sizes["T"]

    @property
    def frames_at_once(self) -> int:
        """Number of frames that take about `BLOCK` bytes."""
        sizes = self.sizes
        size = sizes["H"] * sizes["W"] * sizes["C"] * self.frames.itemsize
        return max(1, BLOCK // size)

    def axes_of(self, name: str) -> Axes:
        """Axes of `actions` or `states`; a single number of each frame needs none."""
        axes = self.axes.of_values
        single = len(self.beside[name].shape) < len(axes.layout)
        return Axes(axes.layout.removesuffix("A")) if single else axes

    def width_of(self, name: str) -> int:
        """Numbers of `actions` or `states` for each frame."""
        axes, shape = self.axes_of(name), self.beside[name].shape
        return axes.sizes(shape).get("A", 1)

    @property
    def problem(self) -> str | None:
        """Reason why the arrays beside the frames do not belong to them, if any."""
        problems = map(self._problem_of_values, self.beside)
        return next(filter(None, (*problems, self._problem_of_label())), None)

    def _problem_of_values(self, name: str) -> str | None:
        array, axes = self.beside[name], self.axes_of(name)
        if not array.numeric:
            return f"{name}: {array.problem or f'its type is {array.dtype}'}"
        has, shape = f"{name}: its shape is {list(array.shape)}", array.shape
        if len(axes.layout) != len(shape) or 0 in shape:
            return f"{has}; expected [{', '.join(self.axes.of_values.layout)}]"
        sizes = axes.sizes(shape)
        if (sizes["N"], sizes["T"]) != (self.clips, self.length):
            clips = f"thus {sizes['N']} clips of {sizes['T']} frames"
            return f"{has}, {clips}; there are {self.clips} of {self.length}"
        return None

    def _problem_of_label(self) -> str | None:
        if (label := self.label) is None:
            return None
        if not label.numeric and (label.problem or label.dtype[:3] not in TEXTS):
            return f"label: {label.problem or f'its type is {label.dtype}'}"
        if label.shape != ((self.clips,) if "N" in self.axes.layout else ()):
            has = f"label: its shape is {list(label.shape)}"
            return f"{has}; expected one label for each clip ({self.clips})"
        return None

    def clip_name(self, clip: int) -> str:
        """Name of a clip, unique in the source."""
        return f"{self.name}#{clip}" if "N" in self.axes.layout else self.name


class Output:
    """Files of a task's frames, and of the values beside them; rows of both."""

    def __init__(self, stack: ExitStack, frames: Path, layout: Layout) -> None:
        self.kept = 0
        """Rows of finished clips."""
        widths = {"frames": int(np.prod(layout.shape))}
        widths |= {name: FLOAT.itemsize * n for name, n in layout.beside.items()}
        self._rows = widths
        self._files: dict[str, BinaryIO] = {
            name: stack.enter_context(
                (frames if name == "frames" else beside(frames, name)).open("xb")
            )
            for name in widths
        }

    def write(self, name: str, rows: np.ndarray) -> None:
        """Append rows to one of the files."""
        self._files[name].write(np.ascontiguousarray(rows).data)

    def undo(self) -> None:
        """Remove the rows of an unfinished clip."""
        for name, file in self._files.items():
            file.seek(self.kept * self._rows[name])
            file.truncate()


@dataclass(frozen=True)
class ArraysTask:
    """Prepares clips `first`, … of one file."""

    arrays: ClipArrays
    cutting: Cutting
    layout: Layout
    range: str | None
    splits: Splits
    """Split of each of its clips."""
    first: int
    whole: bool
    """True if these are all clips of the file."""

    @property
    def source(self) -> str:
        """Name of the file, and its clips if it has more."""
        last = self.first + len(self.splits) - 1
        return self.arrays.name + ("" if self.whole else f"[{self.first}..{last}]")

    @property
    def units(self) -> int:
        return len(self.splits) - self.splits.count(None)

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple({array.path for array in self.arrays.all})

    def promise(self) -> Promise:
        cuts = [cut for clip, split in self._taken() for cut in self._cuts(clip, split)]
        return Promise(len(cuts), sum(frames for _, _, frames in cuts))

    def run(self, frames: Path) -> Outcome:
        """Write the clips; one whose numbers are no pixels is a `Failed`."""
        cuts, failures, left = list[Cut](), list[Failed](), 0
        with ExitStack() as stack:
            try:
                read = self._open(stack, frames)
            except BadData as damage:
                why = self._without_path(damage)
                failed = Failed(self.source, "open", why, lost=self.units)
                return Outcome(failures=(failed,))
            output = Output(stack, frames, self.layout)
            for clip, split in self._taken():
                try:
                    cuts += self._write(clip, split, read, output)
                except BadData as wrong:
                    output.undo()
                    reason = "values" if isinstance(wrong, BadNumbers) else "decode"
                    detail = self._without_path(wrong)
                    failures.append(self._failed(clip, reason, detail))
                else:
                    failures += self._too_short(clip, split)
                    left += self._leftover(split)
        return Outcome(output.kept, tuple(cuts), tuple(failures), left)

    def _taken(self) -> Iterator[tuple[int, str | TimeSplit]]:
        """Yield the clips that are not left out, each with its split."""
        for clip, split in enumerate(self.splits, self.first):
            if split is not None:
                yield clip, split

    def _cuts(
        self, clip: int, split: str | TimeSplit
    ) -> Iterator[tuple[str, int, int]]:
        """Yield split, first frame and length of what is kept of a clip."""
        cutting, there = self.cutting, self.arrays.length
        if cutting.windowed and isinstance(split, str):
            if there >= cutting.least:
                start = cutting.window_start(self.arrays.clip_name(clip), there)
                yield split, start, cutting.least
            return
        for name, own in ranges_of(split, there).items():
            for at, length in cutting.clips(*own)[0]:
                yield name, at, length

    def _open(self, stack: ExitStack, frames: Path) -> Mapping[str, Read]:
        """Open each array, by `frames`, `actions`, `states` and `label`."""
        arrays = {"frames": self.arrays.frames, **self.arrays.beside}
        if self.arrays.label is not None:
            arrays["label"] = self.arrays.label
        return {
            name: stack.enter_context(array.open(beside(frames, f"{name}.unpacked")))
            for name, array in arrays.items()
            if name in ("frames", "label", *self.layout.beside)
        }

    def _write(
        self, clip: int, split: str | TimeSplit, read: Mapping[str, Read], to: "Output"
    ) -> list[Cut]:
        """Write what is kept of a clip. Errors: `BadData`."""
        label, cuts, done = self._label(clip, read), list[Cut](), 0
        sizes = self.arrays.sizes
        for name, start, length in list(self._cuts(clip, split)):
            self._write_frames(clip, start, start + length, read["frames"], to)
            for values in self.layout.beside:
                rows = self._values(values, clip, start, start + length, read[values])
                to.write(values, rows)
            is_whole = length == self.arrays.length
            facts = ClipFacts(
                id=self.arrays.clip_name(clip) + ("" if is_whole else f"@{start}"),
                source=self._record(clip),
                start=start,
                label=label,
                width=sizes["W"],
                height=sizes["H"],
                codec=self.arrays.frames.path.suffix[1:].lower(),
            )
            cuts.append(Cut(name, to.kept + done, length, facts))
            done += length
        to.kept += done
        return cuts

    def _write_frames(
        self, clip: int, first: int, last: int, read: Read, to: "Output"
    ) -> None:
        """Write frames `first` … `last` − 1, a few at a time. Errors: `BadData`."""
        axes, resizer = self.arrays.axes, Resizer(self.cutting.size)
        channels = self.layout.shape[-1]
        for at in range(first, last, step := self.arrays.frames_at_once):
            numbers = axes.frames(
                read(axes.index(clip, slice(at, min(at + step, last))))
            )
            try:
                pixels = to_pixels(numbers, self.range)
            except BadNumbers as wrong:
                frame = at + wrong.frame
                raise BadNumbers(f"frame {frame}: {wrong}", frame) from None
            for frame in pixels:
                small = resizer.array(frame)
                to.write("frames", np.broadcast_to(small, (*small.shape[:2], channels)))

    def _values(
        self, name: str, clip: int, first: int, last: int, read: Read
    ) -> Float32[np.ndarray, "F A"]:
        """Read actions or states. Errors: `BadData`, also where one is not finite."""
        axes = self.arrays.axes_of(name)
        found = read(axes.index(clip, slice(first, last)))
        rows = found.astype(FLOAT).reshape(last - first, -1)
        if not np.isfinite(rows).all():
            frame = first + int(np.flatnonzero(~np.isfinite(rows).all(1))[0])
            raise BadNumbers(f"{name} of frame {frame} are not finite", frame)
        return rows

    def _label(self, clip: int, read: Mapping[str, Read]) -> str | None:
        """Return the label of a clip: its own, else the name of the file's folder."""
        if "label" not in read:
            return self.arrays.folder
        found = read["label"]((clip,) if "N" in self.arrays.axes.layout else ()).item()
        text = (
            found.decode(errors="replace") if isinstance(found, bytes) else str(found)
        )
        return "".join(letter for letter in text if letter.isprintable())

    def _record(self, clip: int) -> str:
        """Source of a clip, as `svt prepare --retry-failed` finds its task by it."""
        if "N" not in self.arrays.axes.layout:
            return self.source
        return f"{self.source}#{clip}"

    def _failed(
        self, clip: int, reason: str, detail: str, split: str | None = None
    ) -> Failed:
        record = clip if "N" in self.arrays.axes.layout else None
        return Failed(self.source, reason, detail, split, record)

    def _too_short(self, clip: int, split: str | TimeSplit) -> Iterator[Failed]:
        """Yield a failure for each split that a clip is too short for."""
        for name, (first, last) in ranges_of(split, self.arrays.length).items():
            if last - first < self.cutting.least or last == first:
                detail = f"{last - first} frames, a clip has {self.cutting.least}"
                yield self._failed(clip, "too-short", detail, name)

    def _leftover(self, split: str | TimeSplit) -> int:
        """Count the frames that do not fill a clip."""
        if self.cutting.windowed:
            return 0
        own = ranges_of(split, self.arrays.length).values()
        return sum(self.cutting.clips(*each)[1] for each in own)

    def _without_path(self, error: BadData) -> str:
        return str(error).removeprefix(str(self.arrays.frames.path)).lstrip(": ")
