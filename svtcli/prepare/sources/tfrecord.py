"""TFRecord files and the `tf.train.Example` in them, without TensorFlow.

A file repeats, up to its end: length (u64), masked CRC-32C of these 8 bytes, data,
masked CRC-32C of the data; all little-endian. Both checksums are always compared.
An Example is named lists of bytes, float32 or int64, as protobuf.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from svtcli.failure import BadData, in_words

LENGTH = struct.Struct("<Q")
CHECKSUM = struct.Struct("<I")
HEAD, TAIL = LENGTH.size + CHECKSUM.size, CHECKSUM.size
RECORD_LIMIT = 1 << 29
"""Bytes of the longest record that is read; our datasets have a few megabytes."""
READ_AT_ONCE = 1 << 20

Value = list[bytes] | np.ndarray
"""A list of bytes, float32 [n] or int64 [n]."""


class BadRecord(BadData):
    """Damage in a file: in record number `record` alone, or in the `rest` from there.

    After a damaged length, the start of the next record is unknown.
    """

    def __init__(self, record: int, detail: str, rest: bool = True) -> None:
        super().__init__(f"record {record}: {detail}")
        self.record, self.detail, self.rest = record, detail, rest


def masked_crc(data: bytes) -> int:
    """CRC-32C as TFRecord stores it: rotated by 15 bits, plus a constant."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(
    path: Path, offset: int = 0, size: int | None = None
) -> Iterator[bytes | BadRecord]:
    """Yield every record in `size` bytes of a file from `offset`, perhaps in a tar.

    Damage is yielded, not raised, so that reading can continue with the next record;
    nothing follows one with `rest`. Errors: `OSError`.
    """
    with path.open("rb", READ_AT_ONCE) as file:
        left, missing = _seek(file, offset, size)
        number = 0
        while left:
            try:
                length = _length(file.read(min(HEAD, left)), left, number)
                left -= HEAD + length + TAIL
                yield _data(file, length, number)
            except BadRecord as damage:
                yield damage
                if damage.rest:
                    return
            number += 1
        if missing:
            yield BadRecord(number, f"{missing} bytes of the file are missing")


def count_records(path: Path, offset: int = 0, size: int | None = None) -> int:
    """Count records by their lengths alone; data is not read.

    Errors: `BadRecord` with the number of records before the damage; `OSError`.
    """
    with path.open("rb", buffering=0) as file:
        left, missing = _seek(file, offset, size)
        number = 0
        while left:
            length = _length(file.read(min(HEAD, left)), left, number)
            file.seek(length + TAIL, os.SEEK_CUR)
            left -= HEAD + length + TAIL
            number += 1
        if missing:
            raise BadRecord(number, f"{missing} bytes of the file are missing")
        return number


def _seek(file: BinaryIO, offset: int, size: int | None) -> tuple[int, int]:
    """Go to `offset`; return the bytes there, and those missing of `size`."""
    there = max(0, os.fstat(file.fileno()).st_size - offset)
    file.seek(offset)
    wanted = there if size is None else size
    return min(wanted, there), max(0, wanted - there)


def _length(head: bytes, left: int, number: int) -> int:
    """Length in a record's head; `left` counts the bytes from the head on."""
    if len(head) < HEAD:
        raise BadRecord(number, f"cut off after {len(head)} bytes of its length")
    if CHECKSUM.unpack_from(head, LENGTH.size)[0] != masked_crc(head[: LENGTH.size]):
        raise BadRecord(number, "its length is damaged (checksum)")
    length: int = LENGTH.unpack_from(head)[0]
    if (over := length - (left - HEAD - TAIL)) > 0:
        raise BadRecord(number, f"has {length} bytes, the file ends {over} before")
    return length


def _data(file: BinaryIO, length: int, number: int) -> bytes:
    """Data of a record, checked."""
    if length > RECORD_LIMIT:
        file.seek(length + TAIL, os.SEEK_CUR)
        detail = f"has {length} bytes, more than {RECORD_LIMIT}"
        raise BadRecord(number, detail, rest=False)
    data, tail = file.read(length), file.read(TAIL)
    if len(data) + len(tail) < length + TAIL:
        raise BadRecord(number, "the file was cut off while it was read")
    if CHECKSUM.unpack(tail)[0] != masked_crc(data):
        raise BadRecord(number, "its data is damaged (checksum)", rest=False)
    return data


class BadExample(BadData):
    """Bytes that are not a `tf.train.Example`."""


class Example(Mapping[str, Value]):
    """Features of one record; a value is converted when it is asked for."""

    __slots__ = ("_features",)

    def __init__(self, features: Mapping[str, Any]) -> None:
        self._features = features

    def __getitem__(self, key: str) -> Value:
        # Asking a protobuf map for an unknown key would add it.
        if key not in self:
            raise KeyError(key)
        feature = self._features[key]
        match feature.WhichOneof("kind"):
            case "bytes_list":
                return list(feature.bytes_list.value)
            case "float_list":
                return np.array(feature.float_list.value, np.float32)
            case _:
                return np.array(feature.int64_list.value, np.int64)

    def __contains__(self, key: object) -> bool:
        # A feature of no kind holds nothing.
        if not isinstance(key, str) or key not in self._features:
            return False
        return self._features[key].WhichOneof("kind") is not None

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._features if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def parse_example(data: bytes) -> Example:
    """Parse one record's bytes. Errors: `BadExample`."""
    try:
        message: Any = example_class().FromString(data)
    except DecodeError as error:
        raise BadExample(f"not a tf.train.Example ({in_words(error)})") from error
    return Example(message.features.feature)


EXAMPLE = """
name: "svt/example.proto" package: "svt" syntax: "proto3"
message_type { name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type { name: "Feature" oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 oneof_index: 0 type_name: ".svt.BytesList" }
  field { name: "float_list" number: 2 oneof_index: 0 type_name: ".svt.FloatList" }
  field { name: "int64_list" number: 3 oneof_index: 0 type_name: ".svt.Int64List" } }
message_type { name: "Features"
  nested_type { name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type_name: ".svt.Feature" } }
  field { name: "feature" number: 1 label: LABEL_REPEATED
    type_name: ".svt.Features.FeatureEntry" } }
message_type { name: "Example"
  field { name: "features" number: 1 type_name: ".svt.Features" } }
"""
"""The message `Example`, as protobuf describes it."""


@cache
def example_class() -> type[Message]:
    """Class of the message `Example`, in a pool of its own; needs no protoc.

    Protobuf reads packed and unpacked numbers alike.
    """
    pool = DescriptorPool()
    pool.Add(text_format.Parse(EXAMPLE, FileDescriptorProto()))
    return GetMessageClass(pool.FindMessageTypeByName("svt.Example"))
