import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from svtcli.failure import StorageFailed
from svtcli.run.durable import (
    can_flush,
    free_bytes,
    naming,
    require_room,
    room_at,
    sync_file,
    sync_path,
)


def failing(number: int) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["open", "fsync"])
@pytest.mark.parametrize("name", ["EINVAL", "EACCES", "EBADF", "ENOTSUP", "ENOSYS"])
def test_a_folder_that_cannot_be_flushed_is_no_error(
    name: str, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert can_flush(tmp_path)
    monkeypatch.setattr(os, call, failing(getattr(errno, name)))
    sync_path(tmp_path)
    assert not can_flush(tmp_path)


@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EDQUOT"])
def test_a_flush_that_fails_is_an_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(getattr(errno, name)))
    with pytest.raises(OSError, match=str(tmp_path)):
        sync_path(tmp_path)
    reason = os.strerror(getattr(errno, name))
    with (tmp_path / "file").open("w") as file, pytest.raises(OSError, match=reason):
        sync_file(file)


def test_a_file_system_that_tells_no_size_is_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(total=0, free=0)
    )
    assert free_bytes(tmp_path) is None
    require_room(tmp_path, 10**18, "a film", "")
    monkeypatch.setattr(shutil, "disk_usage", failing(errno.ENOSYS))
    assert free_bytes(tmp_path) is None
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(total=9, free=0)
    )
    with pytest.raises(StorageFailed, match="a film needs 1 bytes, 0 are free"):
        require_room(tmp_path, 1, "a film", "")


def test_a_full_disk_names_the_path_and_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "strip.png"
    for number, named in ((errno.ENOSPC, str(path)), (errno.ENOENT, None)):
        with pytest.raises(OSError, match=os.strerror(number)) as no, naming(path):
            failing(number)()
        assert no.value.filename == named
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(total=9, free=5)
    )
    full = OSError(errno.ENOSPC, "No space left on device")
    assert room_at(path, full) == " (5 bytes are free)"
    assert room_at(path, OSError(errno.EIO, "Input/output error")) == ""
