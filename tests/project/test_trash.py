"""Runs that are moved to the trash, and back by the command that is shown."""

import json
import subprocess
from pathlib import Path

import pytest

from svtcli.failure import Locked, Refused
from svtcli.project.trash import plan_removals, remove
from svtcli.run.lock import OWNER, is_held, only_writer
from tests.cli.terminal import svt_here
from tests.run.test_lock import without_locks


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the runs `a` and `b`, and of `half`, a damaged one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_RUNS", raising=False)
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "recipe.yaml").write_text("data: {kind: folder}\n")
    (tmp_path / "runs" / "half").mkdir()
    return Path("runs")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_runs_are_moved_and_the_shown_command_brings_them_back(runs, capfd) -> None:
    would = svt_here(capfd, "runs", "rm", "a", "-n")
    assert would.out == "would move runs/a to runs/.trash/a\n"
    assert names(runs) == ["a", "b", "half"]
    said = svt_here(capfd, "runs", "rm", "a", "runs/half", "a")
    moved = ["moved runs/a to runs/.trash/a", "moved runs/half to runs/.trash/half"]
    assert said.out.splitlines() == moved
    assert names(runs) == [".trash", "b"]
    listed = json.loads(svt_here(capfd, "runs", "list", "--json").out)["runs"]
    assert [run["name"] for run in listed] == ["b"]
    (back, *_) = [line for line in said.err.splitlines() if "get it back" in line]
    subprocess.run(back.partition(": ")[2], shell=True, check=True)
    assert names(runs) == [".trash", "a", "b"]
    assert (runs / "a" / "recipe.yaml").is_file()


def test_a_second_run_of_the_name_does_not_replace_the_first_in_the_trash(runs) -> None:
    (first,) = plan_removals(["a"])
    remove(first)
    (runs / "b").rename(runs / "a")
    (second,) = plan_removals(["a"])
    remove(second)
    assert names(runs / ".trash") == ["a", "a.2"]
    assert second.restore == "mv runs/.trash/a.2 runs/a"


@pytest.mark.parametrize("place", [".", "samples/.6-abc.work"])
@pytest.mark.parametrize("no_locks", [False, True])
def test_a_run_in_which_a_process_works_is_refused(
    runs, monkeypatch, place: str, no_locks: bool
) -> None:
    if no_locks:
        without_locks(monkeypatch, 95)
    with only_writer(runs / "a" / place), pytest.raises(Locked, match="in use by"):
        plan_removals(["b", "a"])
    removals = plan_removals(["b", "a"])
    with only_writer(runs / "a"), pytest.raises(Locked):  # began meanwhile
        remove(removals[1])
    remove(removals[1])
    assert not (removals[1].trash / OWNER).exists()
    assert not is_held(removals[1].trash)


def test_what_cannot_be_moved_back_is_refused(runs, tmp_path, monkeypatch) -> None:
    (runs / "link").symlink_to(tmp_path / "runs" / "a")
    with pytest.raises(Refused, match="runs/link: a link to"):
        plan_removals(["link"])
    (removal,) = plan_removals(["b"])
    remove(removal)
    with pytest.raises(Refused, match="in the trash already"):
        plan_removals(["runs/.trash/b"])
    for wrong in ("nobody", "runs", "..", ""):
        with pytest.raises(Refused):
            plan_removals(["a", wrong])
    monkeypatch.chdir(runs / "a")
    (inside,) = plan_removals(["."])
    assert inside.trash == tmp_path / "runs" / ".trash" / "a"
