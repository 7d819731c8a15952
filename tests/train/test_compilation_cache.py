import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from svtcli.failure import Refused
from svtcli.train import compilation_cache as module
from svtcli.train.compilation_cache import VARIABLE, private_folder
from tests.train import tiny_run


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder(folder) == folder


@pytest.mark.parametrize("mode", [0o750, 0o707, 0o720])
def test_a_folder_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(Refused, match="open to others") as refused:
        private_folder(tmp_path)
    assert refused.value.hint == f"close it with: chmod 700 {tmp_path}"


def test_another_user_s_folder_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(Refused, match="belongs to another user"):
        private_folder(tmp_path / "theirs")


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="not a folder"):
        private_folder(tmp_path / "file")


def test_it_is_off_where_the_users_cache_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(module.jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(type(module.jax.config), "jax_compilation_cache_dir", None)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert module.use_compilation_cache() is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "mine"))
    with pytest.raises(Refused, match="file/mine: cannot be created"):
        module.use_compilation_cache()


def test_it_is_on_for_accelerators_and_off_for_cpu(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert module.compilation_root("cpu") is None
    assert (
        module.compilation_root("gpu")
        == module.compilation_root("tpu")
        == tmp_path / "svt" / "compiled"
    )
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    assert (
        module.compilation_root("cpu")
        == module.compilation_root("gpu")
        == tmp_path / "mine"
    )
    monkeypatch.setenv(VARIABLE, "")
    assert module.compilation_root("gpu") is None


def test_programs_of_another_processor_are_never_read(monkeypatch) -> None:
    key = module._key("cpu")
    read = Path.read_text

    def read_text(path: Path, *given, **named) -> str:
        other = path == Path("/proc/cpuinfo")
        return "flags : other\n" if other else read(path, *given, **named)

    monkeypatch.setattr(Path, "read_text", read_text)
    assert module._key("cpu") != key


@pytest.mark.slow
def test_the_second_run_finds_the_first_one_s_programs(tmp_path: Path) -> None:
    recipe = tiny_run.write_recipe(tmp_path, tiny_run.write_clips(tmp_path / "clips"))
    cache, losses, entries = tmp_path / "cache", [], []
    env = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    for name in ("one", "two"):
        command = (sys.executable, "-m", "svtcli", "train", str(recipe), "--run", name)
        subprocess.run(command, cwd=tmp_path, env={**env, VARIABLE: cache}, check=True)
        log = (tmp_path / "runs" / name / "metrics.jsonl").read_text()
        losses.append([json.loads(line)["loss"] for line in log.splitlines()])
        entries.append({file.name for file in cache.rglob("jit_update-*-cache")})
    assert len(entries[0]) == 1
    assert entries[0] == entries[1]
    assert losses[0] == losses[1]
