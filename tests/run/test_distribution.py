"""Commands that svt tells people to type in order to install its extras."""

import json
from importlib import metadata
from pathlib import Path

import pytest

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
