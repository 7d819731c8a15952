"""Records in the file of an offline run of Weights & Biases."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEADER = 1 << 15, struct.Struct("<IHB")
"""Bytes of a block of LevelDB's log, and the header of each part of a record."""
LAST = (1, 4)
"""Kinds of parts that end a record."""


def records(file: Path) -> Iterator[Record]:
    """The records of a file, in its order."""
    content, at, parts = file.read_bytes(), 7, b""  # after wandb's own header
    while at + HEADER.size <= len(content):
        if BLOCK - at % BLOCK < HEADER.size:
            at += BLOCK - at % BLOCK
        _, length, kind = HEADER.unpack_from(content, at)
        parts += content[at + HEADER.size :][:length]
        at += HEADER.size + length
        if kind in LAST:
            yield Record.FromString(parts)
            parts = b""


def rows(file: Path) -> list[dict[str, Any]]:
    """What was logged, a dictionary for each call."""
    return [
        {
            "/".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in record.history.item
            if not (item.key or item.nested_key[0]).startswith("_")
        }
        for record in records(file)
        if record.WhichOneof("record_type") == "history"
    ]
