"""Offers of publishers, and source folders."""

from pathlib import Path

import pytest

from svtcli.failure import Refused
from svtcli.prepare.sources import publisher_of
from svtcli.prepare.sources.robot_push import PUBLISHER
from svtcli.prepare.sources.source_folder import download_folder, inside, source_folder

PUBLISHED = ("bair", "kinetics", "moving-mnist", "robot-push")


def test_every_offer_has_a_place_of_its_own_and_an_address() -> None:
    for publisher in map(publisher_of, PUBLISHED):
        assert publisher is not None
        offers = [*publisher.files, *(each.file for each in publisher.lists)]
        assert len({each.place for each in offers}) == len(offers)
        for each in offers:
            assert each.url.startswith(("http://", "https://"))
            assert not Path(each.place).is_absolute()
            assert ".." not in Path(each.place).parts
            assert each.sha256 is None or len(bytes.fromhex(each.sha256)) == 32


def test_the_push_records_have_the_names_of_the_release() -> None:
    offers = PUBLISHER.files
    assert len(offers) == 264 + 5 + 5
    assert offers[263].url == (
        "https://storage.googleapis.com/brain-robotics-data/push/push_train/"
        "push_train.tfrecord-00263-of-00264"
    )
    assert offers[-1].place == "push_testnovel/push_testnovel.tfrecord-00004-of-00005"


def test_raw_data_that_is_missing_says_what_to_get_and_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_DATA", raising=False)
    for name in PUBLISHED:
        with pytest.raises(
            Refused, match=f"neither .* nor raw/{name} exists"
        ) as caught:
            source_folder(None, name, "get it there")
        assert caught.value.hint == (
            f"get it there; or download it: svt prepare {name} --download"
        )
    with pytest.raises(Refused) as caught:
        source_folder(None, "folder", "get it there")
    assert caught.value.hint == "get it there"


def test_a_download_goes_to_the_source_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SVT_DATA", str(tmp_path / "data"))
    assert download_folder("here", "bair") == Path("here")
    assert download_folder(None, "bair") == tmp_path / "data/bair"
    monkeypatch.delenv("SVT_DATA")
    assert download_folder(None, "bair") == Path("raw/bair")


def test_a_source_may_be_a_link_but_not_one_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert source_folder(str(tmp_path / "link"), "bair", "") == tmp_path / "link"
    (tmp_path / "real").rmdir()
    with pytest.raises(Refused, match=r"a link to .*real, which is gone"):
        source_folder(str(tmp_path / "link"), "bair", "")


def test_a_link_that_leads_out_is_not_inside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "in/out").symlink_to(tmp_path / "video.mp4")
    (tmp_path / "in/circle").symlink_to(tmp_path / "in/circle")
    assert inside(tmp_path / "link", tmp_path / "link/video.mp4")
    assert inside(tmp_path / "link", tmp_path / "in/video.mp4")
    assert not inside(tmp_path / "in", tmp_path / "in/out")
    assert not inside(tmp_path / "in", tmp_path / "in/../video.mp4")
