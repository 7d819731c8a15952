"""Files that survive a power cut, and the checksum that says they did."""

import os
from pathlib import Path
from typing import BinaryIO

import google_crc32c

CHUNK = 1 << 22


def sync(file: BinaryIO) -> None:
    """Have everything written to `file` on the disk before going on."""
    file.flush()
    os.fsync(file.fileno())


def crc32c(path: Path) -> str:
    """CRC-32C of a whole file, eight hexadecimal digits."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            value = google_crc32c.extend(value, chunk)
    return f"{value:08x}"
