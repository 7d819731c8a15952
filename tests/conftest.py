"""Settings for every test: CPU, fast and kept compilation, no deadlines.

Most tests' time is XLA's, so LLVM optimizes little: the programs are the same, their
machine code is slower. Tests with the fixture `optimized` have the code of the users,
and so has every test of a run with an own `-m`: the nightly `-m slow`, or `-m ""`.

XLA's fusion pass stays on: without it CPU programs compile faster, but jax 0.10.2 was
seen to compute wrong values (test_causality, with the network's parameters captured as
constants).
"""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from svtcli.run import environment

if TYPE_CHECKING:
    from tests.make_clips import MakeClips

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# Tests meet no cluster of Ray that runs on this machine, and leave no token in HOME.
os.environ |= {"RAY_ADDRESS": "127.0.0.1:1", "RAY_AUTH_MODE": "disabled"}

FAST = "jax_disable_most_optimizations"

# A first example may compile for seconds.
settings.register_profile("svt", deadline=None)
settings.load_profile("svt")


def pytest_configure(config: pytest.Config) -> None:
    """Compile fast in CI's run; processes that tests start compile as users' do.

    In a job that `nohup` or a shell's `&` started, catch signals nevertheless.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if config.option.markexpr == "not slow":
        import jax

        jax.config.update(FAST, True)
        environment.PINNED.pop(FAST)


@pytest.fixture(scope="module")
def optimized() -> Iterator[None]:
    """Programs as users have them."""
    import jax

    before = jax.config.read(FAST)
    jax.config.update(FAST, False)
    jax.clear_caches()
    yield
    jax.config.update(FAST, before)
    jax.clear_caches()


@pytest.fixture
def ray_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder for the records of Ray; its path is short enough for sockets."""
    with TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


@pytest.fixture(scope="session")
def trained_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, a recipe and its trained run: made once, never to be written to."""
    from tests.trained_place import make_trained_place

    return make_trained_place(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def place(
    trained_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy of `trained_place` as working directory."""
    yield from _worked_in(trained_place, tmp_path / "place", monkeypatch)


@pytest.fixture(scope="session")
def trained_with_actions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two actions a frame; never to be written to."""
    from tests.trained_place import make_trained_place

    return make_trained_place(tmp_path_factory.mktemp("acting"), actions=2)


@pytest.fixture
def acting_place(
    trained_with_actions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy of `trained_with_actions` as working directory."""
    yield from _worked_in(trained_with_actions, tmp_path / "place", monkeypatch)


def _worked_in(
    original: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy of a folder, as working directory."""
    from svtcli.cli import console

    shutil.copytree(original, copy)
    monkeypatch.chdir(copy)
    for name in ("SVT_RUNS", "SVT_DATA"):
        monkeypatch.delenv(name, raising=False)
    yield copy
    console.configure(console.Settings())


@pytest.fixture
def make_clips(tmp_path: Path) -> "MakeClips":
    """Writes a small dataset: see `tests.make_clips.clip_maker`."""
    from tests.make_clips import clip_maker

    return clip_maker(tmp_path / "tiny")


@pytest.fixture
def kept_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One compiled training step for all tests of one recipe."""
    from tests.train.kept_programs import keep_programs

    keep_programs(monkeypatch)


@pytest.fixture
def cheap_features(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[tuple[int, ...]]:
    """Cheap features in place of I3D's; the shapes of what they are computed of."""
    from tests.cheap_features import use_cheap_features

    return use_cheap_features(monkeypatch, tmp_path / "cache")
