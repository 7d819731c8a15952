import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from svtcli.failure import Refused, StorageFailed
from svtcli.prepare.download import unpack as module
from svtcli.prepare.download.unpack import BrokenArchive, unpack
from tests.prepare.archives import regular, special, tar_gz

NOISE = np.random.default_rng(0).bytes(40_000)
NAME = "-a_bcdefghi_000001_000011.mp4"


def archive(tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    (tmp_path / "source").mkdir()
    path = tmp_path / "source/part_0.tar.gz"
    path.write_bytes(tar_gz(members))
    return path


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_videos_are_unpacked_flat_and_the_archive_is_removed(tmp_path: Path) -> None:
    path = archive(
        tmp_path,
        special("k600", tarfile.DIRTYPE),
        regular(f"k600/train/{NAME}", NOISE),
        regular("./abcdefghijk.webm", b"two"),
        regular("readme.md", b"no video"),
        regular("._abcdefghijk.mp4", b"a Mac's"),
    )
    assert unpack(path, tmp_path / "source/train") == 2
    assert (tmp_path / "source/train" / NAME).read_bytes() == NOISE
    assert everything(tmp_path / "source") == {
        "part_0.tar.gz.unpacked",
        "train",
        f"train/{NAME}",
        "train/abcdefghijk.webm",
    }


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    path = archive(tmp_path, regular(NAME, NOISE))
    (tmp_path / "source/part_0.tar.gz.unpacking").mkdir()
    (tmp_path / f"source/part_0.tar.gz.unpacking/{NAME}.part").write_bytes(b"half")
    unpack(path, tmp_path / "source/train")
    assert (tmp_path / "source/train" / NAME).read_bytes() == NOISE
    assert not (tmp_path / "source/part_0.tar.gz.unpacking").exists()


def test_a_video_of_the_same_size_is_kept(tmp_path: Path) -> None:
    path = archive(tmp_path, regular(NAME, b"new"), regular("b" * 11 + ".mp4", b"new"))
    (tmp_path / "source/val").mkdir()
    (tmp_path / "source/val" / NAME).write_bytes(b"old")
    (tmp_path / "source/val" / ("b" * 11 + ".mp4")).write_bytes(b"other")
    assert unpack(path, tmp_path / "source/val") == 2
    assert (tmp_path / "source/val" / NAME).read_bytes() == b"old"
    assert (tmp_path / "source/val" / ("b" * 11 + ".mp4")).read_bytes() == b"new"


def test_a_malicious_archive_writes_nothing_outside(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"keep")
    path = archive(
        tmp_path,
        regular("../../aaaaaaaaaaa.mp4", b"up"),
        regular(f"{tmp_path}/bbbbbbbbbbb.mp4", b"absolute"),
        regular("..", b"only dots"),
        regular("..\\..\\windows.mp4", b"backslashes"),
        special("ccccccccccc.mp4", tarfile.SYMTYPE, str(secret)),
        regular("ccccccccccc.mp4", b"through the link"),
        special("ddddddddddd.mp4", tarfile.LNKTYPE, "../../secret"),
        special("eeeeeeeeeee.mp4", tarfile.FIFOTYPE),
        special("fffffffffff.mp4", tarfile.CHRTYPE),
        special("ggggggggggg.mp4", tarfile.DIRTYPE),
    )
    assert unpack(path, tmp_path / "source/train") == 3
    assert secret.read_bytes() == b"keep"
    found = {p.name: p.read_bytes() for p in (tmp_path / "source/train").iterdir()}
    assert found == {
        "aaaaaaaaaaa.mp4": b"up",
        "bbbbbbbbbbb.mp4": b"absolute",
        "ccccccccccc.mp4": b"through the link",
    }
    assert everything(tmp_path) - everything(tmp_path / "source") == {
        "secret",
        "source",
        "source/train",
        "source/part_0.tar.gz.unpacked",
        *(f"source/train/{name}" for name in found),
    }


def test_links_that_lie_there_already_are_not_followed(tmp_path: Path) -> None:
    path = archive(tmp_path, regular(NAME, b"video"))
    secret, train = tmp_path / "secret", tmp_path / "source/train"
    secret.write_bytes(b"keep!")
    train.mkdir()
    (train / NAME).symlink_to(secret)
    (tmp_path / "elsewhere").mkdir()
    staged = tmp_path / "source/part_0.tar.gz.unpacking"
    staged.symlink_to(tmp_path / "elsewhere")
    unpack(path, train)
    assert secret.read_bytes() == b"keep!"
    assert not everything(tmp_path / "elsewhere")
    assert not (train / NAME).is_symlink()
    assert (train / NAME).read_bytes() == b"video"


def test_a_folder_that_leads_out_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, regular(NAME, b"video"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "source/train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="leads out"):
        unpack(path, tmp_path / "source/train")
    assert not everything(tmp_path / "elsewhere")


def pax_bomb(bytes_of_header: int) -> bytes:
    """A header that tarfile would read whole into memory."""
    head = tarfile.TarInfo("pax")
    head.type, head.size = tarfile.XHDTYPE, bytes_of_header
    return gzip.compress(head.tobuf() + bytes(bytes_of_header))


@pytest.mark.parametrize(
    "content",
    [
        tar_gz([regular(NAME, bytes(8 << 20))]),
        tar_gz([regular("zeros", bytes(8 << 20))]),
        pax_bomb(8 << 20),
        gzip.compress(bytes(8 << 20)),
    ],
    ids=["a video", "no video", "a header", "the end"],
)
def test_a_bomb_is_refused_and_leaves_no_video(tmp_path: Path, content: bytes) -> None:
    path = archive(tmp_path)
    path.write_bytes(content)
    with pytest.raises(BrokenArchive, match=r"part_0.*removed"):
        unpack(path, tmp_path / "source/train")
    assert everything(tmp_path / "source") == {"train"}


def test_a_header_that_is_a_bomb_never_comes_into_memory(tmp_path: Path) -> None:
    path = archive(tmp_path)
    path.write_bytes(pax_bomb(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BrokenArchive, match="too long"):
            unpack(path, tmp_path / "source/train")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_members_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, *(regular(f"{i:011}.mp4", b"v") for i in range(4)))
    monkeypatch.setattr(module, "MEMBERS", 3)
    with pytest.raises(BrokenArchive, match="4 members"):
        unpack(path, tmp_path / "source/train")


def test_any_damage_is_reported_and_the_archive_is_fetched_again(
    tmp_path: Path,
) -> None:
    path = archive(tmp_path)
    whole = tar_gz([regular(f"{i:011}.mp4", NOISE[i : 9000 + i]) for i in range(5)])
    rng = np.random.default_rng(1)
    damaged = [
        b"",
        b"<html>gone</html>",
        whole[:-1],
        whole[: len(whole) // 2],
        whole[:-9],
    ]
    for _ in range(40):
        flipped = bytearray(whole)
        flipped[rng.integers(10, len(whole))] ^= 1 << rng.integers(8)
        damaged.append(bytes(flipped))
    damaged += [gzip.compress(cut) for cut in damaged_tars(gzip.decompress(whole))]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(StorageFailed):
            unpack(path, tmp_path / "source/train")
        assert not path.exists()
        assert everything(tmp_path / "source") == {"train"}


def damaged_tars(tar: bytes) -> list[bytes]:
    """Whole gzips whose tar is damaged: cut in a file, and a header in the middle."""
    second = 512 + 9216 + 512 * (9000 % 512 == 0)
    assert tar[second : second + 11] == b"00000000001"
    return [tar[:5000], tar[:second] + b"?" + tar[second + 1 :], b"\1" * 2000]


def test_a_full_disk_keeps_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path, regular(NAME, NOISE))

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(module, "sync_file", full)
    with pytest.raises(StorageFailed, match="No space left"):
        unpack(path, tmp_path / "source/train")
    assert everything(tmp_path / "source") == {"part_0.tar.gz", "train"}
    monkeypatch.undo()
    assert unpack(path, tmp_path / "source/train") == 1


def test_a_sparse_file_is_no_video(tmp_path: Path) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        member, _ = regular(NAME, b"")
        member.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1"} | {
            "GNU.sparse.map": "0,0,1000,0",
            "GNU.sparse.size": "1000",
        }
        tar.addfile(member)
    path = archive(tmp_path)
    path.write_bytes(file.getvalue())
    assert unpack(path, tmp_path / "source/train") == 0
