"""Arrays that are kept by name: trusted only as they were written."""

import threading
from pathlib import Path

import numpy as np
import pytest

from svtcli.run import durable
from svtcli.run.partial_arrays import KeptArrays


@pytest.fixture
def kept(tmp_path: Path) -> KeptArrays:
    return KeptArrays(tmp_path / "not" / "there yet")


@pytest.mark.parametrize(
    "array",
    [
        np.linspace(0, 1, 12).reshape(3, 4),
        np.array(7, np.uint8),
        np.empty((0, 5), np.float32),
        np.arange(24).reshape(2, 3, 4).T,
        np.array([(1, (0.5, 2.5))], [("clip", np.int64), ("nats", np.float64, 2)]),
    ],
    ids=["float64", "scalar", "empty", "transposed", "record"],
)
def test_an_array_comes_back_as_it_was(kept, array):
    assert kept.get("it") is None
    assert kept.keys() == []
    kept.keep("it", array)
    again = kept.get("it")
    assert again is not None
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert (again == array).all()
    assert kept.keys() == kept.keys("i") == ["it"]
    assert kept.keys("t") == []
    assert (np.load(kept.folder / "it.npy") == array).all()


def test_the_last_one_of_a_name_counts(kept):
    for number in range(3):
        kept.keep("n", np.array(number))
    assert kept.get("n") == 2
    assert [path.name for path in kept.folder.iterdir()] == ["n.npy"]


def test_no_byte_can_change_or_be_lost_unseen(kept):
    kept.keep("it", np.arange(3))
    file = kept.folder / "it.npy"
    content = file.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        assert kept.get("it") is None
        file.write_bytes(content[:place])
        assert kept.get("it") is None
    file.write_bytes(content + b"\0")
    assert kept.get("it") is None
    file.write_bytes(content)
    assert kept.get("it") is not None


def test_an_array_under_another_s_name_is_none(kept):
    kept.keep("mine", np.arange(3))
    (kept.folder / "mine.npy").rename(kept.folder / "yours.npy")
    assert kept.get("yours") is None


def test_a_write_that_fails_leaves_what_was_there(kept, monkeypatch):
    kept.keep("it", np.arange(3))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(durable.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            kept.keep("it", np.arange(9))
    assert np.array_equal(kept.get("it"), np.arange(3))
    assert [path.name for path in kept.folder.iterdir()] == ["it.npy"]


def test_two_writers_of_one_name_do_no_harm(kept):
    """Of one process, as two hosts may have the same process number."""
    troubles: list[BaseException] = []

    def write(value: int) -> None:
        try:
            for _ in range(20):
                kept.keep("it", np.full(5000, value))
        except BaseException as trouble:
            troubles.append(trouble)

    writers = [threading.Thread(target=write, args=(value,)) for value in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen = kept.get("it")
        assert seen is None or seen.tolist() in ([1] * 5000, [2] * 5000)
    for writer in writers:
        writer.join()
    assert troubles == []
    assert kept.get("it") is not None
    assert [path.name for path in kept.folder.iterdir()] == ["it.npy"]


@pytest.mark.parametrize("key", ["", "a/b", "../it", ".hidden", "a b", "x" * 201])
def test_what_names_no_file_is_a_mistake(kept, key):
    with pytest.raises(ValueError, match="names no array"):
        kept.keep(key, np.arange(3))
    with pytest.raises(ValueError, match="names no array"):
        kept.get(key)


def test_python_objects_are_neither_written_nor_read(kept):
    with pytest.raises(ValueError, match="allow_pickle=False"):
        kept.keep("it", np.array([print], dtype=object))
    assert not kept.folder.exists()
