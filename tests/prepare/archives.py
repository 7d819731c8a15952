"""Kinetics archives, honest and malicious."""

import io
import tarfile
from collections.abc import Iterable


def regular(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """A regular file of an archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """A link or a device of an archive."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def tar_gz(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """The archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()
