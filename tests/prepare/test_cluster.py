"""Ray: the bytes of one plain run, wherever the cluster was started."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from svtcli.clips.format import Layout, read_manifest
from svtcli.failure import Refused
from svtcli.prepare.build import PrepareOptions
from svtcli.prepare.cluster import ClusterFailed, _packed, build_on_ray, build_one
from svtcli.prepare.journal import Journal
from svtcli.prepare.stage import prepare
from svtcli.recipe.data import FolderData
from svtcli.run.progress import Silent
from tests.cli.terminal import svt
from tests.prepare.test_prepare import contents
from tests.video.video_files import moving_square, write_video

LAYOUT, OPTIONS = Layout((16, 16, 3)), PrepareOptions(workers=1)
DATA = FolderData(kind="folder", size=16, frames=4, test=0.3)
WORDS = ("prepare", "folder", "--size=16", "--frames=4", "--test=0.3", "--engine=ray")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with videos in the default source, `raw/folder`."""
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        write_video(Path(f"raw/folder/{number}.mp4"), moving_square(8 + number))
    return tmp_path


def test_paths_are_absolute_in_all_that_travels(here: Path) -> None:
    from svtcli.prepare.sources import make_plan

    journal, group = Journal(Path("out"), "plan"), make_plan(DATA).groups[0]
    packed = _packed(group, LAYOUT, journal, OPTIONS)
    there, layout, elsewhere, options = pickle.loads(packed)
    assert (layout, options) == (LAYOUT, OPTIONS)
    assert elsewhere.out == here / "out"
    assert [task.source for task in there.tasks] == [t.source for t in group.tasks]
    for task in there.tasks:
        assert task.files == (here / "raw/folder" / task.source,)


def test_what_a_machine_lacks_is_said_and_nothing_is_recorded(here: Path) -> None:
    from svtcli.prepare.sources import make_plan

    journal, group = Journal(Path("out"), "plan"), make_plan(DATA).groups[0]
    packed = _packed(group, LAYOUT, journal, OPTIONS)
    with pytest.raises(ClusterFailed, match=r"out/\.work: missing on ") as lacks:
        build_one(packed)
    assert "is the folder shared?" in (lacks.value.hint or "")
    journal.folder.mkdir(parents=True)
    gone = Path("raw/folder", group.tasks[-1].source)
    gone.unlink()
    with pytest.raises(ClusterFailed, match=f"{here / gone}: missing on "):
        build_one(packed)
    assert not list(journal.folder.iterdir())


def test_a_cluster_that_died_is_not_waited_for(
    here: Path, ray_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = pytest.importorskip("ray._private.services")
    monkeypatch.setattr(services, "find_gcs_addresses", frozenset)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    record = ray_folder / "ray/ray_current_cluster"
    record.parent.mkdir()
    record.write_text(f"127.0.0.1:{port}")
    options = replace(OPTIONS, engine="ray", address="auto")
    work = (), LAYOUT, Journal(Path("out"), "plan"), options, lambda: None
    with pytest.raises(Refused, match=r"auto: no Ray cluster at 127\.0\.0\.1:1 "):
        next(build_on_ray(*work))
    monkeypatch.delenv("RAY_ADDRESS")
    with pytest.raises(Refused, match=rf"auto: no Ray cluster at [\d.]+:{port} "):
        next(build_on_ray(*work))
    record.unlink()
    with pytest.raises(Refused, match="auto: no Ray cluster there "):
        next(build_on_ray(*work))


@pytest.fixture
def cluster(ray_folder: Path) -> Iterator[str]:
    """Address of a cluster that was started in another folder."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ray = str(Path(sys.executable).with_name("ray"))
    start = [ray, "start", "--head", f"--port={port}", "--num-cpus=2", "--block"]
    options = ["--include-dashboard=false", "--disable-usage-stats"]
    began = {"RAY_TMPDIR": str(ray_folder), "RAY_ADDRESS": ""}
    with subprocess.Popen(
        [*start, *options],
        cwd=ray_folder,
        env=os.environ | began,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as head:
        try:
            until = time.monotonic() + 120
            while not (ray_folder / "ray/ray_current_cluster").is_file():
                assert head.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()
            try:
                head.wait(30)
            finally:
                if head.poll() is None:
                    os.killpg(head.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_cluster_and_a_relative_source_give_the_same_bytes(
    here: Path, cluster: str
) -> None:
    (here / "raw/folder/broken.mp4").write_bytes(b"")
    flags = "--max-failures", "0.5", "--address", cluster, "--out", "clips/by_ray"
    done = svt(*WORDS, *flags, cwd=here)
    assert done.code == 0, done.err
    prepare(replace(DATA, max_failures=0.5), Path("clips/here"), Silent(), OPTIONS)
    assert read_manifest(Path("clips/by_ray")).failures == {"open": 1}
    assert contents(Path("clips/by_ray")) == contents(Path("clips/here"))


def test_ray_of_this_machine_writes_the_same_bytes(
    here: Path, ray_folder: Path
) -> None:
    done = svt(*WORDS, "--workers", "2", "--out", "by_ray", cwd=here)
    assert done.code == 0, done.err
    prepare(DATA, Path("here"), Silent(), OPTIONS)
    assert contents(Path("by_ray")) == contents(Path("here"))
