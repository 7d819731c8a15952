"""Addresses of stores, where a path belongs."""

from pathlib import Path

import pytest

from svtcli.failure import Refused
from svtcli.prepare.sources.source_folder import source_folder
from svtcli.recipe.addresses import address_problem
from svtcli.recipe.load import find_recipe
from svtcli.run.cache import cache_folder
from svtcli.run.directory import runs_root
from tests.cli.terminal import svt_here


@pytest.mark.parametrize(
    ("address", "command", "path"),
    [
        ("gs://b/x/y", "gcsfuse --implicit-dirs b b", "b/x/y"),
        (Path("gs://b/x"), "gcsfuse --implicit-dirs b b", "b/x"),
        ("S3://b", "mount-s3 b b", "b/"),
        ("s3a://a;b/x", "mount-s3 'a;b' 'a;b'", "'a;b'/x"),
        ("hf://datasets/l/v@main/t", "l/v --repo-type dataset --local-dir v", "v/t"),
        ("hf://lab/model", "hf download lab/model --local-dir model", "model/"),
        ("https://h/a/b.mp4", "curl -fLO https://h/a/b.mp4", "b.mp4"),
        ("abfss://c@acc.dfs/x", "rclone mount REMOTE:c c --vfs-cache-mode", "c/x"),
        ("hdfs://n/a/b", "hdfs dfs -get hdfs://n/a/b", "b"),
        ("weird+1://h/x", "rclone mount REMOTE:h h --vfs-cache-mode", "h/x"),
    ],
)
def test_an_address_is_told_with_its_command(
    address: str | Path, command: str, path: str
) -> None:
    problem = address_problem(address)
    assert problem is not None
    sentence, hint = problem
    assert "an address, not a path; svt uses mounted file systems only" in sentence
    assert "://" in sentence
    assert command in hint
    assert hint.endswith(f"; then the path is {path}")


def test_a_file_s_address_has_its_path() -> None:
    assert address_problem("file:///data/x") == (
        *("file:///data/x: svt takes paths, not addresses", "write /data/x"),
    )


@pytest.mark.parametrize(
    "path",
    ["", "a", "/a//b", "C:/x", "a/gs://b", "x.h5:/obs/image", "bair:test", "~/x"],
)
def test_a_path_is_no_address(path: str) -> None:
    assert address_problem(path) is None


@pytest.mark.parametrize(
    "command",
    [
        "prepare folder --source gs://b/x",
        "prepare arrays --source s3://b/x",
        "prepare kinetics --out s3://b/x",
        "prepare verify gs://b",
        "run gs://b/r.yaml",
        "run quickstart --run gs://b/r",
        "run quickstart data.clips=s3://b/x",
        "plan quickstart data.source=http://h/x",
        "train quickstart --run gs://b/x",
        "sample gs://b/runs/mine",
        "eval a.npz https://h/b.npz",
        "render mine s3://b/s",
        "recipes copy quickstart gs://b/x.yaml",
        "runs export mine gs://b/x.safetensors",
    ],
)
def test_every_command_refuses_an_address(
    command: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = svt_here(capfd, *command.split())
    assert said.code == 2
    assert "an address, not a path; svt uses mounted file systems only" in said.err
    assert not list(tmp_path.iterdir())


def test_variables_and_bases_are_no_addresses_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SVT_DATA", "SVT_RUNS", "SVT_CACHE"):
        monkeypatch.setenv(variable, "gs://b/x")
    with pytest.raises(Refused, match=r"^\$SVT_DATA gs://b/x: an address"):
        source_folder(None, "bair", "")
    with pytest.raises(Refused, match=r"^\$SVT_RUNS gs://b/x: an address"):
        runs_root()
    with pytest.raises(Refused, match=r"^\$SVT_CACHE gs://b/x: an address"):
        cache_folder("features")
    with pytest.raises(Refused, match="an address"):
        find_recipe("https://h/base.yaml", beside=tmp_path)
