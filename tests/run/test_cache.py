"""The user's cache folder, and arrays trusted only as they were written."""

import threading
from pathlib import Path

import numpy as np
import pytest

from svtcli.run import durable
from svtcli.run.cache import ArrayStore, Cache, cache_folder


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SVT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def test_svt_cache_overrides_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SVT_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    assert cache_folder("weights") == tmp_path / "mine" / "weights"
    assert not (tmp_path / "mine").exists()


def test_svt_cache_may_be_relative(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SVT_CACHE", "kept")
    assert cache_folder("features") == tmp_path / "kept" / "features"


def test_the_default_is_xdg_cache_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    assert cache_folder("weights") == tmp_path / "users" / "svt" / "weights"


@pytest.mark.parametrize("wanted", [{}, {"SVT_CACHE": "", "XDG_CACHE_HOME": ""}])
def test_the_default_without_xdg_is_in_the_home(monkeypatch, tmp_path, wanted):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    assert cache_folder("weights") == tmp_path / ".cache" / "svt" / "weights"


def test_a_relative_xdg_cache_home_is_ignored(monkeypatch, tmp_path):
    """The XDG base directory specification demands it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    assert cache_folder("weights") == Path(tmp_path) / ".cache" / "svt" / "weights"


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    assert cache_folder("features") is None
    cache = Cache.of("features")
    cache.put("a", np.ones(2))
    assert cache.get("a") is None


def test_a_cache_that_cannot_be_written_keeps_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("SVT_CACHE", str(tmp_path / "file" / "below"))
    (tmp_path / "file").touch()
    cache = Cache.of("features")
    cache.put("a", np.ones(2))
    assert cache.get("a") is None


@pytest.fixture
def store(tmp_path: Path) -> ArrayStore:
    return ArrayStore(tmp_path / "not" / "there yet")


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
def test_an_array_comes_back_as_it_was(store, array):
    assert store.get("it") is None
    assert store.keys() == []
    store.put("it", array)
    again = store.get("it")
    assert again is not None
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert (again == array).all()
    assert store.keys() == store.keys("i") == ["it"]
    assert store.keys("t") == []
    assert (np.load(store.folder / "it.npy") == array).all()


def test_putting_a_key_again_replaces_the_array(store):
    for number in range(3):
        store.put("n", np.array(number))
    assert store.get("n") == 2
    assert [path.name for path in store.folder.iterdir()] == ["n.npy"]


def test_a_changed_or_lost_byte_is_noticed(store):
    store.put("it", np.arange(3))
    file = store.folder / "it.npy"
    content = file.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        assert store.get("it") is None
        file.write_bytes(content[:place])
        assert store.get("it") is None
    file.write_bytes(content + b"\0")
    assert store.get("it") is None
    file.write_bytes(content)
    assert store.get("it") is not None


def test_a_renamed_file_is_not_trusted(store):
    store.put("mine", np.arange(3))
    (store.folder / "mine.npy").rename(store.folder / "yours.npy")
    assert store.get("yours") is None


def test_a_write_that_fails_leaves_what_was_there(store, monkeypatch):
    store.put("it", np.arange(3))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(durable.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.put("it", np.arange(9))
    assert np.array_equal(store.get("it"), np.arange(3))
    assert [path.name for path in store.folder.iterdir()] == ["it.npy"]


def test_two_writers_of_one_key_do_no_harm(store):
    """Two hosts may have the same process ID, so threads of one process must do."""
    errors: list[BaseException] = []

    def write(value: int) -> None:
        try:
            for _ in range(20):
                store.put("it", np.full(5000, value))
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(value,)) for value in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen = store.get("it")
        assert seen is None or seen.tolist() in ([1] * 5000, [2] * 5000)
    for writer in writers:
        writer.join()
    assert errors == []
    assert store.get("it") is not None
    assert [path.name for path in store.folder.iterdir()] == ["it.npy"]


@pytest.mark.parametrize("key", ["", "a/b", "../it", ".hidden", "a b", "x" * 201])
def test_a_key_must_be_a_file_name(store, key):
    with pytest.raises(ValueError, match="names no array"):
        store.put(key, np.arange(3))
    with pytest.raises(ValueError, match="names no array"):
        store.get(key)


def test_python_objects_are_neither_written_nor_read(store):
    with pytest.raises(ValueError, match="allow_pickle=False"):
        store.put("it", np.array([print], dtype=object))
    assert not store.folder.exists()
