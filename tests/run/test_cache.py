"""Where what can be made again is kept."""

from pathlib import Path

import pytest

from svtcli.run.cache import cache_folder


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
    """As the XDG base directory specification asks for."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    assert cache_folder("weights") == Path(tmp_path) / ".cache" / "svt" / "weights"
