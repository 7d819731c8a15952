"""Samples in a page: controls that all videos share, and each clip with its strip.

The script (`page.js`) plays them; without it, every video is there frame by frame.
"""

from base64 import b64encode
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from svtcli.render.groups import Group, Row
from svtcli.render.markup import Markup, element, scrolling
from svtcli.video.encode import png

WIDEST = 4096
"""Pixels that any browser takes; frames beyond go on further lines."""
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
PLAY = "M7 4l13 8-13 8z"
BACK = "M5 4h3v16H5zM20 4v16L9 12z"
FORWARD = "M16 4h3v16h-3zM4 4l11 8-11 8z"


@dataclass(frozen=True)
class Played:
    """What is played, and how."""

    groups: tuple[Group, ...]
    """Videos of one shape and one prime."""
    times: tuple[int, ...]
    """The frames that strips show."""
    scale: int
    """Screen pixels per video pixel, where there is room."""
    smooth: bool
    """Whether the browser blurs enlarged pixels."""
    fps: float
    """At speed 1."""


def played(what: Played) -> Markup:
    """The player, and below it each clip's videos and strip."""
    blocks = [_clip(what, group) for group in what.groups]
    keys = element(
        "p",
        *(element("kbd", "space"), " plays and pauses, "),
        *(element("kbd", "←"), " and ", element("kbd", "→")),
        " step. Amber: prime frames, given to the model.",
        class_="quiet keys",
        hidden=True,
    )
    return element(
        "div", _player(what), keys, blocks, class_="smooth" if what.smooth else None
    )


def _player(what: Played) -> Markup:
    """The controls that all videos share; the script shows them."""
    frames, height, width, _ = what.groups[0].rows[0].video.shape
    last = frames - 1
    scrubber = element(
        "input",
        id="scrub",
        type="range",
        min=0,
        max=last,
        value=0,
        step=1,
        aria_label="Frame",
    )
    return element(
        "div",
        element(
            "div",
            _button("back", "Step back", BACK, "←"),
            _button("play", "Play", PLAY, "space"),
            _button("forward", "Step forward", FORWARD, "→"),
            class_="buttons",
        ),
        element("div", scrubber, class_="scrubber"),
        element(
            "div",
            "frame ",
            element("span", "0", id="frame"),
            f" / {last} ",
            element("span", "prime", id="kind", class_="badge"),
            class_="clock",
            aria_hidden="true",
        ),
        element("label", "Speed", _speeds()),
        element("p", id="said", class_="unseen", aria_live="polite"),
        id="player",
        role="group",
        aria_label="Player of all videos",
        hidden=True,
        data_frames=frames,
        data_prime=what.groups[0].prime,
        data_width=width,
        data_height=height,
        data_scale=what.scale,
        data_fps=float(what.fps),
    )


def _button(name: str, label: str, shape: str, key: str) -> Markup:
    icon = element(
        "svg", element("path", d=shape), viewBox="0 0 24 24", aria_hidden="true"
    )
    return element(
        "button",
        icon,
        id=name,
        type="button",
        aria_label=label,
        title=f"{label} ({key})",
    )


def _speeds() -> Markup:
    options = [
        element("option", f"{speed:g}\u00d7", value=speed, selected=speed == 1)
        for speed in SPEEDS
    ]
    return element("select", options, id="speed")


def _clip(what: Played, group: Group) -> Markup:
    """One clip: its videos, which play, above its strip."""
    _, height, width, _ = group.rows[0].video.shape
    videos = [
        element(
            "figure",
            element(
                "canvas",
                width=width,
                height=height,
                role="img",
                aria_label=f"{row.label} of {group.title}",
            ),
            element("figcaption", row.label),
        )
        for row in group.rows
    ]
    return element(
        "article",
        element("h3", group.title),
        element("div", videos, class_="videos", hidden=True),
        _strip(what, group),
        class_="clip",
    )


def _strip(what: Played, group: Group) -> Markup:
    """Time runs to the right; the script cuts the sprites into the frames shown."""
    heads = [
        element(
            "th",
            str(time),
            scope="col",
            data_frame=time,
            class_="given" if time < group.prime else None,
        )
        for time in what.times
    ]
    rows = [
        element(
            "tr",
            element("th", row.label, scope="row"),
            element("td", _sprite(row, group), colspan=len(what.times)),
        )
        for row in group.rows
    ]
    table = element(
        "table",
        element("caption", f"Frames of {group.title}", class_="unseen"),
        # Without the script all frames are there, and the heads of some would mislead.
        element("thead", element("tr", element("td"), heads), hidden=True),
        element("tbody", rows),
        class_="strip",
    )
    return scrolling(table, f"Strip of {group.title}")


def _sprite(row: Row, group: Group) -> Markup:
    tiled = sprite(row.video)
    data = b64encode(png(tiled)).decode()
    return element(
        "img",
        class_="sprite",
        alt=f"all {len(row.video)} frames of {row.label} of {group.title}",
        width=tiled.shape[1],
        height=tiled.shape[0],
        src=f"data:image/png;base64,{data}",
    )


def sprite(video: UInt8[np.ndarray, "F H W C"]) -> UInt8[np.ndarray, "height width 3"]:
    """All frames side by side, or on several lines; gray becomes RGB."""
    F, H, W, _ = video.shape
    across = min(F, max(1, WIDEST // W))
    lines = -(-F // across)
    tiles = np.zeros((lines * across, H, W, 3), np.uint8)
    tiles[:F] = video
    grid = tiles.reshape(lines, across, H, W, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(lines * H, across * W, 3)
