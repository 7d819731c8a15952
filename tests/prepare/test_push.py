"""Simulated pushing: the same bytes everywhere, commands that are obeyed, novelty."""

from platform import machine
from zlib import crc32

import numpy as np
import pytest

from svtcli.clips.format import ClipFacts
from svtcli.clips.on_the_fly import clip_rng
from svtcli.prepare.sources.push import mujoco_version, nearest_levels, simulated
from svtcli.prepare.sources.push_scene import (
    COLOURS,
    NOVEL_COLOURS,
    NOVEL_SHAPES,
    SHAPES,
    STEP,
    Dice,
    Scene,
    Thing,
    things,
)
from svtcli.recipe.data import PushData

FACTS = ClipFacts("clip", "simulated")


@pytest.mark.parametrize(
    ("split", "pixels", "actions"),
    [("train", 0xD44C841A, 0x4ABF7666), ("test-novel", 0xAD656483, 0x1B2C48C7)],
)
def test_bytes_of_a_clip_never_change(split: str, pixels: int, actions: int) -> None:
    if (mujoco_version(), machine()) != ("4.0.0", "x86_64"):
        pytest.skip("other versions and architectures move a little differently")
    clip = simulated(PushData("push", frames=16), split, 3, FACTS)
    told = clip.beside["actions"].astype(np.float32)
    assert (crc32(clip.pixels.tobytes()), crc32(told.tobytes())) == (pixels, actions)


@pytest.mark.parametrize("levels", [2, 7, 16, 256])
def test_pixels_have_the_nearest_level(levels: int) -> None:
    wanted = np.linspace(0, 255, levels)
    found = nearest_levels(levels)
    away = np.abs(np.arange(256)[:, None] - wanted).min(axis=1)
    assert len(set(found)) == levels
    assert (np.abs(found - np.arange(256.0)) <= away + 0.5).all()


def test_actions_move_the_hand_by_what_they_command() -> None:
    clip = simulated(PushData("push", frames=20, size=16), "train", 5, FACTS)
    actions, hand = clip.beside["actions"], clip.beside["states"]
    np.testing.assert_allclose(hand[1:], hand[:-1] + STEP * actions[:-1], atol=1e-12)
    assert np.linalg.norm(actions, axis=1).max() <= 1
    assert np.linalg.norm(actions, axis=1).mean() > 0.5


def test_only_test_novel_has_novel_shapes_and_colours() -> None:
    def seen(split: str, novel: bool) -> set[str]:
        drawn = [
            thing
            for index in range(60)
            for thing in things(Dice(clip_rng(0, split, index)), novel)
        ]
        return {each.shape for each in drawn} | {each.colour for each in drawn}

    assert seen("train", novel=False) == {*SHAPES, *COLOURS}
    assert seen("test-novel", novel=True) == {*NOVEL_SHAPES, *NOVEL_COLOURS}
    assert not {*SHAPES, *COLOURS} & {*NOVEL_SHAPES, *NOVEL_COLOURS}


@pytest.mark.parametrize("shape", [*SHAPES, *NOVEL_SHAPES])
def test_objects_at_rest_stay_at_rest(shape: str) -> None:
    scene = Scene([Thing(shape, "red", (0.1, 0.0), (0.8, 0.6))], (-0.4, 0.0))
    start = scene.state.qpos.copy()
    for _ in range(10):
        scene.move((-0.4, 0.0))
    assert np.abs(scene.state.qpos - start).max() < 5e-4


def test_the_hand_pushes_what_it_meets() -> None:
    scene = Scene([Thing("box", "red", (0.0, 0.0), (1.0, 0.0))], (-0.2, 0.0))
    for step in range(1, 5):
        scene.move((-0.2 + STEP * step, 0.0))
    assert scene.place_of(0)[0] == pytest.approx(0.106, abs=0.02)
