"""`svt prepare`: raw data → clips.

A command is the declaration of its flags, named as the recipe's keys; what all of them
share, the work included, is in `preparing`.
"""

from pathlib import Path
from typing import Annotated

import typer

from svtcli.cli import completion, console
from svtcli.cli.prepare_command import prepares

app = typer.Typer(help="Make clips of raw videos, and check them.")

Source = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Raw data. Default: $SVT_DATA/NAME, else raw/NAME."
    ),
]
Splits = Annotated[
    list[str] | None,
    typer.Option(
        "--split", metavar="train|val|test", help="May be repeated. Default: all."
    ),
]
Size = Annotated[
    int | None, typer.Option(help="Side of the square frame. Default: 64.")
]
Fps = Annotated[
    float | None, typer.Option(help="Frames per second kept. Default: all.")
]
MinFrames = Annotated[
    int | None,
    typer.Option(help="With --frames all: a shorter video gives no clip."),
]
Limit = Annotated[int | None, typer.Option(help="At most so many videos a split.")]
Seed = Annotated[int | None, typer.Option(help="Of everything that is drawn.")]
WINDOWS = "all|start|center|random"


@app.command("kinetics")
@prepares("kinetics")
def kinetics(
    source: Source = None,
    subset: Annotated[
        str | None,
        typer.Option(
            metavar="cooking", help="Only the classes of a subset (appendix E)."
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Only classes that match from their start."),
    ] = None,
    splits: Splits = None,
    size: Size = None,
    fps: Fps = None,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="F|all", help="Frames per clip; all: whole videos. Default: 64."
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            metavar=WINDOWS,
            help="Which frames of a longer video; all: cut end to end. "
            "Default: center.",
        ),
    ] = None,
    min_frames: MinFrames = None,
    limit: Limit = None,
    seed: Seed = None,
) -> None:
    """Kinetics-600: official CSVs, any usual folder layout; missing clips counted.

    For example: svt prepare kinetics --subset cooking
    """


@app.command("bair")
@prepares("bair")
def bair(
    source: Source = None,
    splits: Splits = None,
    view: Annotated[
        str | None,
        typer.Option(metavar="aux1|main", help="Which camera. Default: aux1."),
    ] = None,
    limit: Limit = None,
) -> None:
    """BAIR robot pushing: its tar or tfrecords; frames as published, with actions.

    For example: svt prepare bair --download
    """


@app.command("robot-push")
@prepares("robot-push")
def robot_push(
    source: Source = None,
    splits: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="train|val|test-seen|test-novel",
            help="May be repeated. Default: all.",
        ),
    ] = None,
    size: Size = None,
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="crop|squash",
            help="Centre crop, or the whole picture squeezed. Default: crop.",
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(metavar="F|all", help="Frames per clip. Default: all."),
    ] = None,
    min_frames: MinFrames = None,
    limit: Limit = None,
) -> None:
    """Robotic pushing: seen and novel objects, with actions (appendix A.2).

    For example: svt prepare robot-push --download --split test-novel
    """


@app.command("moving-mnist")
@prepares("moving-mnist")
def moving_mnist(
    source: Source = None,
    train: Annotated[
        int | None, typer.Option(help="Clips of train. Default: 100000.")
    ] = None,
    val: Annotated[
        int | None, typer.Option(help="Clips of val. Default: 10000.")
    ] = None,
    test: Annotated[
        int | None, typer.Option(help="Clips of test. Default: 10000.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Frames per clip. Default: 20.")
    ] = None,
    size: Size = None,
    digits: Annotated[
        int | None, typer.Option(help="Digits in a clip. Default: 2.")
    ] = None,
    on_the_fly: Annotated[
        bool,
        typer.Option(
            "--on-the-fly",
            help="Keep digits instead of train clips, and draw clips when read.",
        ),
    ] = False,
    seed: Seed = None,
) -> None:
    """Bouncing digits, generated from MNIST's idx files (appendix A.1).

    For example: svt prepare moving-mnist --download --on-the-fly
    """


@app.command("folder")
@prepares("folder")
def folder(
    source: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Raw data. Default: $SVT_DATA/folder, else raw/folder. Also "
            "package:NAME, the videos an installed Python distribution ships.",
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX", help="Only videos with this in their path in the source."
        ),
    ] = None,
    size: Size = None,
    fps: Fps = None,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="F|all", help="Frames per clip; all: one clip each. Default: all."
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            metavar=WINDOWS,
            help="Which frames of a longer video; all: cut end to end. Default: all.",
        ),
    ] = None,
    min_frames: MinFrames = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="video|time",
            help="Hold out whole videos, or the end of each. Default: video.",
        ),
    ] = None,
    val: Annotated[
        float | None, typer.Option(help="Share for val. Default: 0.")
    ] = None,
    test: Annotated[
        float | None, typer.Option(help="Share for test. Default: 0.1.")
    ] = None,
    limit: Limit = None,
    seed: Seed = None,
) -> None:
    """Clips of any folder of videos: centre crop, Lanczos.

    For example: svt prepare folder --source holidays --size 64 --fps 10
    """


@app.command("verify")
def verify(
    clips: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Prepared clips.",
            autocompletion=completion.clips_folders,
        ),
    ],
) -> None:
    """Read every clip again and compare the checksums.

    For example: svt prepare verify clips/quickstart
    """
    from svtcli.clips.verify import verify as verify_clips

    held = verify_clips(clips, console.progress())
    console.show(f"{clips}: {held} clips are as they were written", {"clips": held})
