import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from svtcli.failure import Locked
from svtcli.run.lock import LOCK, NO_LOCKS, OWNER, is_held, only_writer

HOLDS = """
import errno, fcntl, sys, time
from pathlib import Path
from svtcli.run.lock import only_writer

def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")

if sys.argv[2:]:
    fcntl.flock = refuse
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def holder_of(folder: Path, *no_locks: str) -> Iterator[subprocess.Popen[str]]:
    """Process that holds the lock of `folder` until the end of the context."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder), *no_locks],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def without_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("no_locks", [(), ("no locks",)])
def test_a_lock_names_its_holder_and_is_free_when_that_is_killed(
    no_locks: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_locks:
        without_locks(monkeypatch, errno.ENOLCK)
    with holder_of(tmp_path, *no_locks) as holder:
        for _ in range(2):  # asking does not disturb the holder
            with pytest.raises(
                Locked, match=f"in use by process {holder.pid} on .* since 20"
            ) as no:
                only_writer(tmp_path).__enter__()
            assert no.value.code == 73
            assert is_held(tmp_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert not is_held(tmp_path)
    with only_writer(tmp_path):
        file = tmp_path / (OWNER if no_locks else LOCK)
        assert str(os.getpid()) in file.read_text()


@pytest.mark.parametrize("number", NO_LOCKS)
def test_a_file_takes_the_place_of_a_lock(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, number)
    for _ in range(2):
        with only_writer(tmp_path):
            assert is_held(tmp_path)
            with pytest.raises(Locked, match=f"by process {os.getpid()} on "):
                only_writer(tmp_path).__enter__()
        assert not is_held(tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == [LOCK]


@pytest.mark.parametrize(
    ("text", "holder"),
    [
        (f"1\n{socket.gethostname()}\n", "process 1 on "),
        ("12\nfar?pidns-f00\n345\n", "process 12 on far since 2001-09-09 "),
        ("", "another process"),
        ("\x00\n" * 40, "another process"),
    ],
)
def test_a_lock_of_another_host_is_not_taken_over(
    text: str, holder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, errno.EOPNOTSUPP)
    (tmp_path / OWNER).write_text(text)
    os.utime(tmp_path / OWNER, (1e9, 1e9))
    with pytest.raises(Locked, match=holder) as no:
        only_writer(tmp_path).__enter__()
    assert f"remove {tmp_path / OWNER}" in str(no.value.hint)
    assert (tmp_path / OWNER).read_text() == text


def test_other_errors_of_a_lock_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match=f"error: '{tmp_path / LOCK}'") as no:
        only_writer(tmp_path).__enter__()
    assert no.value.errno == errno.EIO


def test_a_lock_is_released(tmp_path: Path) -> None:
    for _ in range(2):
        with only_writer(tmp_path / "new"):
            assert (tmp_path / "new").is_dir()
