"""R5: a damaged checkpoint is detected, and the previous one used."""

import random
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from svtcli.train.checkpoint import Checkpoints
from svtcli.train.state import State, abstract_state
from tests.train import toy


def state(step: int) -> State:
    """State that differs from that of any other step."""
    made = toy.state()
    moved = jax.tree.map(lambda w: w + 0.1 * step, made["params"])
    return State(params=moved, opt=made["opt"], step=jnp.int32(step))


def damage(checkpoint: Path, draw: random.Random) -> str:
    """Flip a bit, truncate or extend a file; return what was done."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    path = draw.choice([path for path in files if path.stat().st_size])
    content = bytearray(path.read_bytes())
    place = draw.randrange(len(content))
    match draw.choice(["flip", "flip", "cut", "longer", "gone"]):
        case "flip":
            content[place] ^= 1 << draw.randrange(8)
        case "cut":
            del content[place:]
        case "longer":
            content += b"\0"
        case "gone":
            path.unlink()
            return f"{path} is gone"
    path.write_bytes(content)
    return f"{path} was changed at {place}"


def damage_and_restore(folder: Path, times: int) -> None:
    abstract, draw = abstract_state(toy.params(), toy.TRAIN), random.Random(6)
    with Checkpoints(folder / "whole", 2, "clips", print) as checkpoints:
        for step in (5, 10):
            checkpoints.save(state(step))
    for _ in range(times):
        notes: list[str] = []
        copy = folder / "copy"
        shutil.copytree(folder / "whole", copy)
        done = damage(copy / "10", draw)
        with Checkpoints(copy, 2, "clips", notes.append) as checkpoints:
            found = checkpoints.restore(abstract)
        assert toy.same(found, state(5)), done
        assert len(notes) == 1, done
        assert "checkpoint 10 is damaged" in notes[0]
        assert [path.name[:3] for path in (copy / "quarantine").iterdir()] == ["10-"]
        shutil.rmtree(copy)


def test_a_damaged_checkpoint_is_detected_and_the_older_one_used(
    tmp_path: Path,
) -> None:
    damage_and_restore(tmp_path, 20)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_flipped_bit_is_detected(tmp_path: Path) -> None:
    damage_and_restore(tmp_path, 2000)
