import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pooch
import pytest

from svtcli.failure import Locked, Refused, StorageFailed
from svtcli.prepare.download import Offer, Publisher, fetch
from svtcli.prepare.download.download import download, mirrored
from svtcli.prepare.sources import bair
from svtcli.run.lock import only_writer
from svtcli.run.progress import Silent
from tests.prepare.downloading import Told, files, publishing, room
from tests.prepare.loopback import Loopback

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = CONTENT[::-1]
URL = "http://rail.eecs.berkeley.edu/datasets/bair.tar"
PATH = "/datasets/bair.tar"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server that has CONTENT."""
    with publishing(monkeypatch, {PATH: CONTENT}) as loopback:
        yield loopback


def offer(
    monkeypatch: pytest.MonkeyPatch, checked: bool = True, sized: bool = True
) -> None:
    """Publish CONTENT as what `bair` is."""
    one = Offer(
        URL,
        "bair.tar",
        ("train",),
        len(CONTENT) if sized else None,
        sha256(CONTENT).hexdigest() if checked else None,
        instead=("unpacked",),
    )
    monkeypatch.setattr(bair, "PUBLISHER", Publisher((one,)))


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("sized", [True, False])
def test_a_file_is_fetched_once_and_nothing_is_printed(
    host: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    checked: bool,
    sized: bool,
) -> None:
    offer(monkeypatch, checked, sized)
    logger = pooch.get_logger()  # on its own: no record of it reaches the root
    logger.setLevel(logging.INFO)
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    told = Told()
    download("bair", tmp_path, told)
    assert (told.totals[-1], told.last) == (len(CONTENT), len(CONTENT))
    download("bair", tmp_path, Told())
    assert files(tmp_path) == {"bair.tar": CONTENT}
    assert host.gets() == [(PATH, None)]
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize("checked", [True, False])
def test_after_a_drop_only_the_rest_is_fetched(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    offer(monkeypatch, checked)
    host.drops = [3 * fetch.CHUNK]
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}
    assert host.gets() == [(PATH, None), (PATH, f"bytes={3 * fetch.CHUNK}-")]
    assert host.sent == len(CONTENT)


def test_a_lost_network_keeps_the_bytes_for_the_next_run(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, checked=False)
    host.drops = [2 * fetch.CHUNK, 0, 0, 0]
    with pytest.raises(StorageFailed, match="cannot be fetched") as caught:
        download("bair", tmp_path, Silent())
    assert PATH in caught.value.sentence
    assert "SVT_MIRROR" in (caught.value.hint or "")
    assert files(tmp_path)["bair.tar.part"] == CONTENT[: 2 * fetch.CHUNK]
    host.asked.clear()
    download("bair", tmp_path, Silent())
    assert host.gets() == [(PATH, f"bytes={2 * fetch.CHUNK}-")]
    assert files(tmp_path) == {"bair.tar": CONTENT}


def test_progress_resets_the_count_of_attempts(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    monkeypatch.setattr(fetch, "CHUNK", 1 << 14)
    host.drops = [1 << 14] * 10
    download("bair", tmp_path, Silent())
    assert len(host.gets()) == 11


def test_a_server_without_ranges_starts_over(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    host.ranges, host.drops = False, [2 * fetch.CHUNK]
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}
    assert host.sent == len(CONTENT) + 2 * fetch.CHUNK


def test_a_server_without_ranges_that_always_drops_is_given_up(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    host.ranges, host.drops = False, [1 << 17, 1 << 16] * 50
    with pytest.raises(StorageFailed, match="cannot be fetched"):
        download("bair", tmp_path, Silent())
    assert len(host.gets()) == 4


def test_a_file_that_changed_meanwhile_is_fetched_anew(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, checked=False)
    host.drops = [fetch.CHUNK, 0, 0, 0]
    with pytest.raises(StorageFailed):
        download("bair", tmp_path, Silent())
    host.files[PATH], host.drops = OTHER, []
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": OTHER}


def test_nothing_is_resumed_without_tag_or_hash(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, checked=False)
    (tmp_path / "bair.tar.part").write_bytes(OTHER[: fetch.CHUNK])
    host.tags = False
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}
    assert host.gets() == [(PATH, None)]


def test_an_answer_for_another_range_is_rejected(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, checked=False)
    host.drops, host.shift = [fetch.CHUNK], 7
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}
    assert [span for _, span in host.gets()] == [None, f"bytes={fetch.CHUNK}-", None]


@pytest.mark.parametrize("sized", [True, False])
def test_a_complete_part_is_only_checked(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sized: bool
) -> None:
    offer(monkeypatch, sized=sized)
    (tmp_path / "bair.tar.part").write_bytes(CONTENT)
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}
    assert host.sent == 0


def test_a_wrong_hash_names_both_and_leaves_nothing(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    host.files[PATH] = OTHER
    with pytest.raises(StorageFailed, match="removed") as caught:
        download("bair", tmp_path, Silent())
    assert sha256(OTHER).hexdigest() in caught.value.sentence
    assert sha256(CONTENT).hexdigest() in caught.value.sentence
    assert files(tmp_path) == {}
    host.files[PATH] = CONTENT
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}


def test_a_damaged_file_that_is_there_is_fetched_again(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    (tmp_path / "bair.tar").write_bytes(OTHER)
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}


def test_another_size_is_refused_before_its_bytes(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    host.files[PATH] = CONTENT + b"!"
    with pytest.raises(StorageFailed, match="300,001 bytes are offered, 300,000 exp"):
        download("bair", tmp_path, Silent())
    assert files(tmp_path) == {}


@pytest.mark.parametrize("sized", [True, False])
def test_a_full_disk_is_reported_before_the_first_byte(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sized: bool
) -> None:
    offer(monkeypatch, sized=sized)
    room(monkeypatch, 299_999)
    with pytest.raises(StorageFailed, match="300,000 bytes, 299,999 are free"):
        download("bair", tmp_path, Silent())
    assert host.sent == 0
    (tmp_path / "bair.tar.part").write_bytes(CONTENT[:1])
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}


def test_a_late_size_is_still_compared_with_the_disk(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, sized=False)
    host.lengths = False
    room(monkeypatch, 299_999)
    with pytest.raises(StorageFailed, match="300,000 bytes, 299,999 are free"):
        download("bair", tmp_path, Silent())
    assert files(tmp_path) == {}


@pytest.mark.parametrize("status", [404, 403])
def test_a_file_that_is_gone_is_one_clear_line(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    offer(monkeypatch, checked=False, sized=False)
    host.statuses[PATH] = [status]
    with pytest.raises(StorageFailed, match=rf"{PATH}: .*answers {status}") as caught:
        download("bair", tmp_path, Silent())
    assert str(tmp_path / "bair.tar") in (caught.value.hint or "")
    assert len(host.gets()) == 1


def test_a_web_page_is_not_taken_for_the_file(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, checked=False, sized=False)
    host.type = "text/html; charset=utf-8"
    with pytest.raises(StorageFailed, match="web page"):
        download("bair", tmp_path, Silent())
    assert files(tmp_path) == {}


def test_a_server_error_is_retried(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    host.statuses[PATH] = [500, 503, 429, 200]
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}
    host.statuses[PATH] = [500]
    (tmp_path / "bair.tar").unlink()
    with pytest.raises(StorageFailed, match="the server answers 500"):
        download("bair", tmp_path, Silent())


def test_no_server_at_all_is_one_clear_line(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, sized=False)
    monkeypatch.setenv("SVT_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(StorageFailed) as caught:
        download("bair", tmp_path, Silent())
    assert caught.value.sentence == (
        f"http://127.0.0.1:9{PATH}: cannot be fetched (Connection refused)"
    )


def test_ctrl_c_leaves_what_was_fetched(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)

    class Interrupted(Silent):
        def advance(self, done: int, facts: object = None) -> None:
            if done > 2 * fetch.CHUNK:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("bair", tmp_path, Interrupted())
    left = files(tmp_path)
    assert set(left) == {"bair.tar.part", "bair.tar.part.tag"}
    assert left["bair.tar.part"] == CONTENT[: 3 * fetch.CHUNK]
    download("bair", tmp_path, Silent())
    assert host.gets()[-1] == (PATH, f"bytes={3 * fetch.CHUNK}-")
    assert files(tmp_path) == {"bair.tar": CONTENT}


def test_ctrl_c_while_the_hash_is_computed_loses_no_bytes(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)

    def interrupted(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pooch.core.hash_matches", interrupted)
        with pytest.raises(KeyboardInterrupt):
            download("bair", tmp_path, Silent())
    assert files(tmp_path)["bair.tar.part"] == CONTENT
    host.sent = 0
    download("bair", tmp_path, Silent())
    assert files(tmp_path) == {"bair.tar": CONTENT}
    assert host.sent == 0


def test_one_process_at_a_time_fetches_to_a_folder(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    with only_writer(tmp_path), pytest.raises(Locked):
        download("bair", tmp_path, Silent())
    assert not host.asked


def test_unpacked_data_is_not_fetched(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    (tmp_path / "unpacked").mkdir()
    download("bair", tmp_path, Silent())
    assert not host.asked


def test_a_target_that_leads_out_of_the_folder_is_refused(
    host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/bair.tar").symlink_to(tmp_path / "outside")
    with pytest.raises(Refused, match="leads out"):
        download("bair", tmp_path / "in", Silent())
    assert not (tmp_path / "outside").exists()


def test_a_mirror_replaces_the_host_and_keeps_the_path() -> None:
    assert mirrored(URL, None) == URL
    assert mirrored(URL, "http://m:1") == "http://m:1/datasets/bair.tar"
    assert mirrored(URL, "https://m/a/") == "https://m/a/datasets/bair.tar"
    for base in ("m:80", "ftp://m", "/a/folder"):
        with pytest.raises(Refused, match="not an address"):
            mirrored(URL, base)


def test_a_folder_of_videos_has_no_publisher(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no publisher"):
        download("folder", tmp_path, Silent())
