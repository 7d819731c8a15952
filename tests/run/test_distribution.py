"""The installed distribution: commands that install its extras, and its git commit."""

import json
import shutil
import subprocess
import tarfile
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from svtcli.run import distribution
from svtcli.run.distribution import install_command


class Installed:
    """A distribution with this `direct_url.json`."""

    def __init__(self, origin: dict | None) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.origin is None else json.dumps(self.origin)


@pytest.fixture
def installed_from(monkeypatch: pytest.MonkeyPatch):
    def install(origin: dict | None) -> None:
        found = Installed(origin)
        monkeypatch.setattr(distribution.metadata, "distribution", lambda name: found)

    return install


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "my clone"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    return folder


def test_from_the_package_index_the_name_there_is_installed(installed_from):
    installed_from(None)
    assert install_command("fvd") == "pip install 'svtcli[fvd]'"
    assert install_command() == "pip install svtcli"


@pytest.mark.parametrize(("editable", "flag"), [(True, "-e "), (False, "")])
def test_from_a_clone_the_clone_is_installed(
    installed_from, clone, monkeypatch, editable, flag
):
    installed_from({"url": clone.as_uri(), "dir_info": {"editable": editable}})
    assert install_command("ray") == f"pip install {flag}'{clone}[ray]'"
    monkeypatch.chdir(clone)
    assert install_command("ray") == f"pip install {flag}'.[ray]'"


def test_a_clone_that_was_deleted_is_not_named(installed_from, tmp_path):
    installed_from({"url": (tmp_path / "gone").as_uri(), "dir_info": {}})
    assert install_command("ray") == "pip install 'svtcli[ray]'"


def test_a_distribution_without_metadata_is_on_the_index(monkeypatch):
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(distribution.metadata, "distribution", missing)
    assert install_command("ray") == "pip install 'svtcli[ray]'"


ROOT = Path(__file__).parents[2]
RECORD = "svtcli/git_commit"


def git(folder: Path, *words: str) -> str:
    """Output of git, which reads no settings of this user."""
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def in_wheel(source: Path) -> str | None:
    """Commit that a wheel of `source` records."""
    (wheel,) = WheelBuilder(str(source)).build(versions=["standard"])
    with ZipFile(wheel) as packed:
        found = RECORD in packed.namelist()
        return packed.read(RECORD).decode().strip() if found else None


def test_a_wheel_records_the_commit_that_it_was_built_from(tmp_path, monkeypatch):
    source = tmp_path / "clone"
    (source / "svtcli" / "run").mkdir(parents=True)
    names = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore")
    for name in (*names, "svtcli/__init__.py", "svtcli/run/distribution.py"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "recipes", source / "recipes")
    assert in_wheel(source) is None
    git(source, "init", "-q")
    git(source, "add", ".")
    git(source, "commit", "-qm", "all of it")
    commit = git(source, "rev-parse", "HEAD")
    assert in_wheel(source) == commit
    (sdist,) = SdistBuilder(str(source)).build()
    (source / "README.md").write_text("changed")
    assert in_wheel(source) == f"{commit}-dirty"
    # Without git, from the sdist; and what an installed svt then answers.
    with tarfile.open(sdist) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert in_wheel(unpacked) == commit
    monkeypatch.setattr(distribution, "source_commit", lambda: None)
    monkeypatch.setattr(distribution, "COMMIT", unpacked / RECORD)
    assert distribution.git_commit() == commit
