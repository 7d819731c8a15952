"""TFRecord files and the `tf.train.Example` in them, without TensorFlow.

A file repeats, up to its end: length (u64), masked CRC-32C of these 8 bytes, data,
masked CRC-32C of the data; all little-endian. Both checksums are always compared.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from svtcli.failure import BadData

LENGTH = struct.Struct("<Q")
CHECKSUM = struct.Struct("<I")
HEAD, TAIL = LENGTH.size + CHECKSUM.size, CHECKSUM.size
RECORD_LIMIT = 1 << 29
"""A longer record is not read: the largest of our datasets have a few megabytes."""
READ_AT_ONCE = 1 << 20


class BadRecord(BadData):
    """Damage in a file: of record number `record` alone, or of all `rest` from there.

    Where a length is damaged, nobody can tell where the next record starts.
    """

    def __init__(self, record: int, detail: str, rest: bool) -> None:
        super().__init__(f"record {record}: {detail}")
        self.record, self.detail, self.rest = record, detail, rest


def masked_crc(data: bytes) -> int:
    """CRC-32C as TFRecord stores it: turned by 15 bits, plus a constant."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(
    path: Path, offset: int = 0, size: int | None = None
) -> Iterator[bytes | BadRecord]:
    """Every record in `size` bytes of a file from `offset`, which may lie in a tar.

    Damage is given, not raised, so that reading can go on with the next record; after
    one with `rest` nothing comes. Errors: `OSError`.
    """
    with path.open("rb", READ_AT_ONCE) as file:
        left, missing = _window(file, offset, size)
        number = 0
        while left:
            try:
                length = _length(file.read(min(HEAD, left)), left)
                left -= HEAD + length + TAIL
                yield _data(file, length)
            except _Damage as damage:
                yield BadRecord(number, damage.detail, damage.rest)
                if damage.rest:
                    return
            number += 1
        if missing:
            yield BadRecord(number, f"{missing} bytes of the file are missing", True)


def count_records(path: Path, offset: int = 0, size: int | None = None) -> int:
    """How many records there are, from their lengths alone; data is not looked at.

    Errors: `BadRecord` with the number of records before the damage; `OSError`.
    """
    with path.open("rb", buffering=0) as file:
        left, missing = _window(file, offset, size)
        number = 0
        while left:
            try:
                length = _length(file.read(min(HEAD, left)), left)
            except _Damage as damage:
                raise BadRecord(number, damage.detail, rest=True) from None
            file.seek(length + TAIL, os.SEEK_CUR)
            left -= HEAD + length + TAIL
            number += 1
        if missing:
            raise BadRecord(number, f"{missing} bytes of the file are missing", True)
        return number


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Write a TFRecord file."""
    with path.open("wb") as file:
        for record in records:
            file.write(framed(record))


def framed(data: bytes) -> bytes:
    """One record as it stands in a file."""
    length = LENGTH.pack(len(data))
    return b"".join(
        (
            length,
            CHECKSUM.pack(masked_crc(length)),
            data,
            CHECKSUM.pack(masked_crc(data)),
        )
    )


class _Damage(Exception):
    def __init__(self, detail: str, rest: bool) -> None:
        self.detail, self.rest = detail, rest


def _window(file: BinaryIO, offset: int, size: int | None) -> tuple[int, int]:
    """Go to `offset`; how many bytes are there, and how many of `size` are not."""
    there = max(0, os.fstat(file.fileno()).st_size - offset)
    file.seek(offset)
    wanted = there if size is None else size
    return min(wanted, there), max(0, wanted - there)


def _length(head: bytes, left: int) -> int:
    """The length that a record's head states, of `left` bytes with the head."""
    if len(head) < HEAD:
        raise _Damage(f"cut off after {len(head)} bytes of its length", rest=True)
    if CHECKSUM.unpack_from(head, LENGTH.size)[0] != masked_crc(head[: LENGTH.size]):
        raise _Damage("its length is damaged (checksum)", rest=True)
    length: int = LENGTH.unpack_from(head)[0]
    room = left - HEAD - TAIL
    if length > room:
        raise _Damage(f"has {length} bytes, the file ends {length - room} before", True)
    return length


def _data(file: BinaryIO, length: int) -> bytes:
    """The data of a record, checked."""
    if length > RECORD_LIMIT:
        file.seek(length + TAIL, os.SEEK_CUR)
        raise _Damage(f"has {length} bytes, more than {RECORD_LIMIT}", rest=False)
    data, tail = file.read(length), file.read(TAIL)
    if len(data) + len(tail) < length + TAIL:
        raise _Damage("the file was cut off while it was read", rest=True)
    if CHECKSUM.unpack(tail)[0] != masked_crc(data):
        raise _Damage("its data is damaged (checksum)", rest=False)
    return data
