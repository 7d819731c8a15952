"""Kinetics: lists of archives, which become videos."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from svtcli.failure import StorageFailed
from svtcli.prepare.download.download import download
from svtcli.prepare.sources.kinetics import PUBLISHER, survey_source
from svtcli.recipe.data import KineticsData
from svtcli.run.progress import Silent
from tests.prepare.archives import regular, tar_gz
from tests.prepare.downloading import Told, files, publishing, room
from tests.prepare.loopback import Loopback

CONTENT = np.random.default_rng(0).bytes(5000)


K600 = "/kinetics/600/"


@pytest.fixture
def kinetics(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Two archives of one video in train and in val, named as the CVDF does."""
    with publishing(monkeypatch, published()) as loopback:
        yield loopback


def published() -> dict[str, bytes]:
    names = {"train": ("pull ups", "squat"), "val": ("part_0", "part_1")}
    served = {}
    for split, both in names.items():
        urls = []
        for number, name in enumerate(both):
            path = f"{K600}{split}/{name}.tar.gz"
            urls.append(f"https://s3.amazonaws.com{path}\n")
            video = regular(f"./{video_name(split, number)}", CONTENT)
            served[path.replace(" ", "%20")] = tar_gz([video])
        served[f"{K600}{split}/k600_{split}_path.txt"] = "".join(urls).encode()
        rows = [f"squat,{video_name(split, i)[:11]},1,11,{split}\n" for i in (0, 1)]
        text = "label,youtube_id,time_start,time_end,split\n" + "".join(rows)
        served[f"{K600}annotations/{split}.txt"] = text.encode()
    return served


def video_name(split: str, number: int) -> str:
    return f"-{number}_{split:_<8}_000001_000011.mp4"


BOTH = ("train", "val")


def test_kinetics_comes_as_videos_and_annotations(
    kinetics: Loopback, tmp_path: Path
) -> None:
    told = Told()
    download("kinetics", tmp_path, told, BOTH)
    got = files(tmp_path)
    videos = {f"{s}/{video_name(s, n)}" for s in BOTH for n in range(2)}
    lists = {f"archives/{s}/k600_{s}_path.txt" for s in BOTH}
    marks = {
        f"archives/{place}.tar.gz.unpacked"
        for place in ("train/pull ups", "train/squat", "val/part_0", "val/part_1")
    }
    notes = {f"annotations/{s}.txt" for s in BOTH}
    assert set(got) == videos | lists | marks | notes
    assert all(got[video] == CONTENT for video in videos)
    assert told.totals[-1] == told.last
    kinetics.asked.clear()
    download("kinetics", tmp_path, Silent(), BOTH)
    assert not kinetics.asked


def test_downloaded_files_can_be_prepared(kinetics: Loopback, tmp_path: Path) -> None:
    download("kinetics", tmp_path, Silent(), BOTH)
    survey = survey_source(KineticsData(kind="kinetics", source=str(tmp_path)))
    assert sorted((clip.split, clip.label) for clip in survey.clips) == [
        ("train", "squat"),
        ("train", "squat"),
        ("val", "squat"),
        ("val", "squat"),
    ]


def test_only_the_splits_asked_for_are_fetched(
    kinetics: Loopback, tmp_path: Path
) -> None:
    download("kinetics", tmp_path, Silent(), ("val",))
    assert all("val" in path for _, path, _ in kinetics.asked)
    assert len(list((tmp_path / "val").iterdir())) == 2


def test_only_archives_of_the_classes_asked_for_are_fetched(
    kinetics: Loopback, tmp_path: Path
) -> None:
    download("kinetics", tmp_path, Silent(), BOTH, re.compile(".*squat"))
    assert [path.name for path in (tmp_path / "train").iterdir()] == [
        video_name("train", 1)
    ]
    assert len(list((tmp_path / "val").iterdir())) == 2
    assert not any("pull" in path for _, path, _ in kinetics.asked)


def test_an_archive_that_is_gone_or_broken_stops_no_other(
    kinetics: Loopback, tmp_path: Path
) -> None:
    broken = "/kinetics/600/train/squat.tar.gz"
    whole, kinetics.files[broken] = kinetics.files[broken], b"no archive"
    kinetics.statuses["/kinetics/600/train/pull%20ups.tar.gz"] = [404]
    with pytest.raises(StorageFailed, match=r"2 of 6 files are missing.*pull%20ups"):
        download("kinetics", tmp_path, Silent(), BOTH)
    assert len(list((tmp_path / "val").iterdir())) == 2
    kinetics.statuses.clear()
    kinetics.files[broken] = whole
    download("kinetics", tmp_path, Silent(), BOTH)
    assert len(list((tmp_path / "train").iterdir())) == 2


def test_room_is_required_for_an_archive_and_its_videos(
    kinetics: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room(monkeypatch, 19_000)  # the four archives alone have 20,900 bytes
    with pytest.raises(StorageFailed, match="19,000 are free"):
        download("kinetics", tmp_path, Silent(), BOTH)
    assert not any(path.endswith(".gz") for path, _ in kinetics.gets())
    room(monkeypatch, 24_000)
    with pytest.raises(StorageFailed, match="24,000 are free"):
        download("kinetics", tmp_path, Silent(), BOTH)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html><body>Moved</body></html>",
        b"file:///etc/passwd.tar.gz\n",
        b"https://host/folder/..\n",
        b"https://host/%2e%2e%2fup.mp4\n",
        b"https://host/.hidden.tar.gz\n",
        b"\xff\xfe\x00",
    ],
)
def test_an_invalid_list_of_archives_is_an_error(
    kinetics: Loopback, tmp_path: Path, text: bytes
) -> None:
    kinetics.files["/kinetics/600/val/k600_val_path.txt"] = text
    with pytest.raises(StorageFailed, match="list"):
        download("kinetics", tmp_path, Silent(), ("val",))


def test_a_name_in_a_list_cannot_lead_out_of_its_folder() -> None:
    lists = PUBLISHER.lists[0]
    (got,) = lists.archives("https://host/a/%2e%2e%2f%2e%2e%2fup.tar.gz")
    assert got.place == "archives/train/up.tar.gz"
