"""Simulated robot pushing: clips with actions, made on the spot (extra `sim`).

Stands in for the paper's robotic pushing (A.2): `test-seen` has the shapes and colours
of `train`, `test-novel` has others alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname

import numpy as np
from jaxtyping import UInt8

from svtcli.clips.format import ClipFacts, Layout
from svtcli.clips.on_the_fly import clip_rng
from svtcli.failure import Refused
from svtcli.prepare.plan import (
    ClipRange,
    Outcome,
    Plan,
    clip_ranges,
    spec_of,
    split_evenly,
)
from svtcli.prepare.sources.records import RecordVideo, write_videos
from svtcli.recipe.data import PushData
from svtcli.run.distribution import install_command
from svtcli.run.durable import fingerprint
from svtcli.video.image import FILTER, resized

BESIDE = {"actions": 2, "states": 2}
"""Commanded motion of the hand, at most 1 long; its place in metres."""
FPS = 10.0
LEAST_SIDE = 128
"""Smallest side of a picture before it is resized."""
TASK_CLIPS, SHARD_TASKS = 10, 20


@dataclass(frozen=True)
class PushTask(ClipRange):
    """Simulates its clips."""

    data: PushData
    mujoco: str
    """Version with which the clips are simulated."""
    files: tuple[Path, ...] = ()

    def run(self, frames: Path) -> Outcome:
        """Write the clips. Errors: `Refused` on a machine with another MuJoCo."""
        if (here := mujoco_version()) != self.mujoco:
            raise Refused(
                f"MuJoCo {here} on {gethostname()}, {self.mujoco} where push was begun",
                "all machines need the same version",
            )
        return write_videos(frames, self.split, BESIDE, self._videos())

    def _videos(self) -> Iterator[RecordVideo]:
        for index in range(self.first, self.last):
            facts = ClipFacts(f"{self.split}/{index:06d}", "simulated", fps=FPS)
            yield simulated(self.data, self.split, index, facts)


def simulated(data: PushData, split: str, index: int, facts: ClipFacts) -> RecordVideo:
    """Simulate one clip, which depends on seed, split, index, frames and size alone."""
    from svtcli.prepare.sources.push_picture import picture
    from svtcli.prepare.sources.push_scene import play

    rng, side = clip_rng(data.seed, split, index), max(LEAST_SIDE, 2 * data.size)
    shades = nearest_levels(data.levels)
    pictures, actions, states = list[np.ndarray](), [], []
    for moment in play(rng, split == "test-novel", data.frames):
        scene = moment.scene
        drawn = resized(picture(scene.model, scene.state, side), data.size)
        pictures.append(shades[drawn])
        actions.append(moment.action)
        states.append(scene.hand)
    beside = {"actions": np.array(actions), "states": np.array(states)}
    return RecordVideo(facts, np.stack(pictures), beside)


def nearest_levels(levels: int) -> UInt8[np.ndarray, "256"]:
    """Return the nearest of `levels` evenly spaced values to each value of a byte."""
    last = levels - 1
    nearest = (2 * last * np.arange(256) + 255) // 510
    return ((510 * nearest + last) // (2 * last)).astype(np.uint8)


def make_plan(data: PushData) -> Plan:
    """Plan the clips of each split. Errors: `Refused` without MuJoCo."""
    mujoco = mujoco_version()
    groups = [
        group
        for split, total in data.sizes.items()
        for group in split_evenly(
            [
                PushTask(data, split, *each, mujoco)
                for each in clip_ranges(total, TASK_CLIPS)
            ],
            SHARD_TASKS,
            split,
        )
    ]
    return Plan(
        spec=spec_of(data),
        inventory=fingerprint("mujoco", mujoco),
        layout=Layout((data.size, data.size, 3), BESIDE),
        groups=tuple(groups),
        unit="clips",
        pixels=f"simulated and drawn by MuJoCo {mujoco}, {FILTER}",
    )


def mujoco_version() -> str:
    """Return the version of MuJoCo's library. Errors: `Refused` where it does not load.

    MuJoCo comes in several packages, and refuses to load where their versions differ.
    """
    try:
        import mujoco
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "mujoco"
        why = "which is not installed" if missing else f"which does not load: {error}"
        raise Refused(
            f"push is simulated by MuJoCo, {why.splitlines()[0]}",
            f"install it: {install_command('sim')}",
        ) from None
    return str(mujoco.mj_versionString())
