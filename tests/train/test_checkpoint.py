import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from svtcli.failure import Refused, StorageFailed
from svtcli.train import checkpoint as module
from svtcli.train import commit_record
from svtcli.train.checkpoint import Checkpoints, restore_params
from svtcli.train.commit_record import latest_step, steps_in
from svtcli.train.state import State, abstract_state
from tests.train import toy


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def opened(tmp_path: Path, notes: list[str]) -> Callable[..., Checkpoints]:
    def opened(keep: int = 3, clips: str = "clips-1") -> Checkpoints:
        return Checkpoints(tmp_path / "checkpoints", keep, clips, notes.append)

    return opened


def at(step: int) -> State:
    """A state that no other step has."""
    state = toy.state()
    moved = jax.tree.map(lambda w: w + 0.1 * step, state["params"])
    return State(params=moved, opt=state["opt"], step=jnp.int32(step))


def abstract() -> State:
    return abstract_state(toy.params(), toy.TRAIN)


def saved(opened: Callable[..., Checkpoints], *steps: int) -> Path:
    with opened() as checkpoints:
        for step in steps:
            checkpoints.save(at(step))
        return checkpoints.folder


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_a_state_is_restored_bit_for_bit(opened) -> None:
    saved(opened, 7)
    with opened() as checkpoints:
        state = checkpoints.restore(abstract())
        assert checkpoints.saved == 7
    assert toy.same(state, at(7))


def test_an_empty_folder_restores_nothing(opened) -> None:
    with opened() as checkpoints:
        assert checkpoints.restore(abstract()) is None


def test_a_saved_state_may_be_donated_at_once(opened) -> None:
    step = jax.jit(lambda s: jax.tree.map(lambda x: x * 0, s), donate_argnums=0)
    big = State(params={"w": jnp.ones((512, 1024))}, opt={}, step=jnp.int32(1))
    with opened() as checkpoints:
        checkpoints.save(big)
        step(big)
    with opened() as checkpoints:
        state = checkpoints.restore(
            State(
                params={"w": jax.ShapeDtypeStruct((512, 1024), jnp.float32)},
                opt={},
                step=jax.ShapeDtypeStruct((), jnp.int32),
            )
        )
    assert (state["params"]["w"] == 1).all()


def test_only_the_newest_are_kept(opened) -> None:
    folder = saved(opened, 1, 2, 3, 10, 20)
    assert sorted(path.name for path in folder.iterdir()) == [
        "10",
        "20",
        "3",
        "unfinished",
    ]
    assert not any((folder / "unfinished").iterdir())
    assert latest_step(folder) == 20


def test_multiples_of_keep_every_are_kept_beside_the_newest(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    with Checkpoints(folder, 2, "clips-1", print, keep_every=4) as checkpoints:
        for step in range(1, 11):
            checkpoints.save(at(step))
    assert steps_in(folder) == [4, 8, 9, 10]


def test_the_latest_step_of_an_empty_folder_is_none(tmp_path: Path) -> None:
    assert latest_step(tmp_path / "nowhere") is None


def test_parameters_are_restored_alone(opened) -> None:
    folder = saved(opened, 7)
    shapes = jax.eval_shape(toy.params)
    assert toy.same(restore_params(folder, 7, shapes), at(7)["params"])


@pytest.mark.parametrize("part", ["array", "record", "metadata", "truncated", "lost"])
def test_a_damaged_checkpoint_is_quarantined_and_the_older_one_used(
    opened, notes: list[str], part: str
) -> None:
    folder = saved(opened, 5, 10)
    arrays = [p for p in (folder / "10").rglob("*") if p.is_file() and "d" in p.parts]
    biggest = max(arrays, key=lambda path: path.stat().st_size)
    match part:
        case "array":
            flip_a_bit(biggest)
        case "record":
            flip_a_bit(folder / "10" / "commit.json")
        case "metadata":
            flip_a_bit(folder / "10" / "params" / "_METADATA")
        case "truncated":
            biggest.write_bytes(biggest.read_bytes()[:-1])
        case "lost":
            (folder / "10" / "commit.json").unlink()
    with opened() as checkpoints:
        state = checkpoints.restore(abstract())
        assert toy.same(state, at(5))
        assert any("checkpoint 10 is damaged" in note for note in notes)
        assert len(list((folder / "quarantine").iterdir())) == 1
        checkpoints.save(at(10))  # the step can be saved again
    assert latest_step(folder) == 10


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_checkpoint_that_cannot_be_read_for_now_stays(
    opened, notes: list[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder = saved(opened, 5, 10)

    def unreadable(path: Path) -> str:
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as disk:
        disk.setattr(commit_record, "fingerprint_file", unreadable)
        with opened() as checkpoints, pytest.raises(StorageFailed) as failure:
            checkpoints.restore(abstract())
    assert f"cannot be read ({os.strerror(number)})" in failure.value.sentence
    assert not (folder / "quarantine").exists()
    assert not notes
    with opened() as checkpoints:
        assert toy.same(checkpoints.restore(abstract()), at(10))


def test_every_flipped_bit_is_found(opened) -> None:
    folder = saved(opened, 5)
    files = [path for path in (folder / "5").rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in (file for file in files if file.stat().st_size):
        whole = path.read_bytes()
        flip_a_bit(path)
        with pytest.raises(StorageFailed, match="damaged checkpoint"):
            restore_params(folder, 5, jax.eval_shape(toy.params))
        path.write_bytes(whole)
    restore_params(folder, 5, jax.eval_shape(toy.params))


def test_a_run_whose_checkpoints_are_all_damaged_never_restarts_at_zero(opened) -> None:
    folder = saved(opened, 5)
    flip_a_bit(folder / "5" / "params" / "_METADATA")
    for _ in range(2):  # the second time, quarantine is all there is
        with opened() as checkpoints, pytest.raises(StorageFailed, match="at step 0"):
            checkpoints.restore(abstract())


def test_a_checkpoint_of_another_model_is_refused_with_its_shapes(opened) -> None:
    folder = saved(opened, 5)
    other = {**toy.params(), "layer": {"w": jnp.zeros((3, 4))}, "new": jnp.zeros(2)}
    with pytest.raises(Refused) as refused:
        restore_params(folder, 5, jax.eval_shape(lambda: other))
    sentence = refused.value.sentence
    assert "checkpoint of another model" in sentence
    assert "params.layer.w: float32[3,2] in the checkpoint, float32[3,4]" in sentence
    assert "params.new: nothing in the checkpoint, float32[2]" in sentence
    with opened() as checkpoints, pytest.raises(Refused, match="another model"):
        checkpoints.restore(abstract_state(other, toy.TRAIN))
    assert latest_step(folder) == 5  # it is not broken, so it stays


def test_another_dtype_is_refused_and_not_cast(opened) -> None:
    folder = saved(opened, 5)
    half = jax.tree.map(lambda w: w.astype(jnp.bfloat16), toy.params())
    with pytest.raises(Refused, match=r"float32\[3,2\] in the .*bfloat16\[3,2\]"):
        restore_params(folder, 5, jax.eval_shape(lambda: half))


def test_other_clips_are_refused(opened) -> None:
    saved(opened, 5)
    with (
        opened(clips="clips-2") as checkpoints,
        pytest.raises(Refused, match="other clips"),
    ):
        checkpoints.restore(abstract())


def test_a_full_disk_is_noticed_before_anything_is_written(opened, monkeypatch) -> None:
    folder = saved(opened, 5)
    usage = namedtuple("usage", "total used free")
    with opened() as checkpoints:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1_000_000))
        with pytest.raises(
            StorageFailed, match=r"needs 1,\d+,\d+ bytes, 1,000,000 are"
        ) as full:
            checkpoints.save(at(10))
        assert full.value.code == 74
        assert not any((folder / "unfinished").iterdir())
        monkeypatch.undo()
        checkpoints.save(at(10))
    assert latest_step(folder) == 10


def test_a_failed_background_save_raises_and_leaves_no_files(
    opened, monkeypatch
) -> None:
    def broken_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    folder = saved(opened, 5)
    with opened() as checkpoints:
        monkeypatch.setattr(module, "seal", broken_disk)
        checkpoints.save(at(10))
        with pytest.raises(StorageFailed, match="No space left on device"):
            checkpoints.wait()
    assert latest_step(folder) == 5
    assert not any((folder / "unfinished").iterdir())


def test_a_failed_save_does_not_hide_another_error(opened, monkeypatch) -> None:
    monkeypatch.setattr(module, "seal", lambda *_: 1 / 0)
    with pytest.raises(KeyError), opened() as checkpoints:  # noqa: PT012
        checkpoints.save(at(10))
        raise KeyError


def test_every_byte_is_on_the_disk_before_the_folder_is_renamed(
    opened, monkeypatch
) -> None:
    order, flushed = list[str](), set[int]()
    place = module.move_into_place

    def move_into_place(sealed: Path, to: Path) -> None:
        record = json.loads((sealed / "commit.json").read_text())
        files = {p for p in sealed.rglob("*") if p.is_file()}
        assert {sealed / name for name in record["files"]} == files - {
            sealed / "commit.json"
        }
        folders = {sealed, *(p for p in sealed.rglob("*") if p.is_dir())}
        assert {path.stat().st_ino for path in files | folders} <= flushed
        place(sealed, to)
        assert order[-1] == str(to.parent)

    def fsync(handle: int) -> None:
        order.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        flushed.add(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(module, "move_into_place", move_into_place)
    with opened() as checkpoints:
        checkpoints.save(at(5))
    assert checkpoints.saved == 5


KILLED = """
import sys, os, signal
from pathlib import Path
import jax.numpy as jnp
from svtcli.train import checkpoint, commit_record
from tests.train.test_checkpoint import at

folder, stage = Path(sys.argv[1]), sys.argv[2]

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

with checkpoint.Checkpoints(folder, 1, "clips-1", print) as checkpoints:
    checkpoints.save(at(5))
    checkpoints.wait()
    match stage:
        case "arrays are being written":
            big = {"params": {"w": jnp.ones((4000, 4000))}}
            checkpoint.arrays.write(folder / "unfinished" / "10", big)
            killed()
        case "arrays are written":
            checkpoint.seal = killed
        case "record is being written":
            commit_record._sha256_of = killed
        case "folder is sealed":
            checkpoint.move_into_place = killed
        case "folder is in place":
            Checkpoints = checkpoint.Checkpoints
            Checkpoints._delete_old = killed
        case "old ones are thrown away":
            checkpoint.shutil.rmtree = killed
    checkpoints.save(at(10))
"""


SLOW = pytest.mark.slow  # copies stand for all of these in tests/faults


@pytest.mark.parametrize(
    ("stage", "left"),
    [
        ("arrays are being written", 5),
        pytest.param("arrays are written", 5, marks=SLOW),
        pytest.param("record is being written", 5, marks=SLOW),
        pytest.param("folder is sealed", 5, marks=SLOW),
        ("folder is in place", 10),
        pytest.param("old ones are thrown away", 10, marks=SLOW),
    ],
)
def test_a_kill_at_any_stage_of_a_save_leaves_a_checkpoint_that_verifies(
    opened, tmp_path: Path, notes: list[str], stage: str, left: int
) -> None:
    folder = tmp_path / "checkpoints"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), stage],
        cwd=Path(__file__).parents[2],
        env=os.environ,
    )
    assert killed.returncode == -signal.SIGKILL
    with opened() as checkpoints:
        state = checkpoints.restore(abstract())
        assert notes == []
        assert toy.same(state, at(left))
        assert not any((folder / "unfinished").iterdir())
        checkpoints.save(at(15))
    assert latest_step(folder) == 15
