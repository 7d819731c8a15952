"""Arrays that are dear to compute, kept by name so that an interrupted call goes on.

FOLDER/KEY.npy    as NumPy writes it, which `np.load` opens; the last 32 bytes are the
                  SHA-256 of KEY and of all bytes before them
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svtcli.run.durable import write_atomic

DIGEST = 32
"""Bytes of a SHA-256."""

_KEY = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9_.=-]{0,199}")
"""What names a file on every system, and is no hidden one."""


@dataclass(frozen=True)
class KeptArrays:
    """The arrays in `folder`, which appears with the first of them."""

    folder: Path

    def get(self, key: str) -> NDArray[Any] | None:
        """The array that was kept as `key`; None where it is absent, or no longer the
        very bytes that were written under this name, or cannot be read.

        Errors: ValueError as `keep`.
        """
        try:
            whole = self._place(key).read_bytes()
        except OSError:
            return None
        content, digest = whole[:-DIGEST], whole[-DIGEST:]
        if _digest(key, content) != digest:
            return None
        array: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
        return array

    def keep(self, key: str, array: NDArray[Any]) -> None:
        """Have the array on the disk as `key`, whole, in place of any other.

        Errors: ValueError for a key that is no plain file name (200 letters, digits and
        `_.=-` at most) or an array of Python objects; OSError for a full disk.
        """
        content = BytesIO()
        np.save(content, array, allow_pickle=False)
        plain = content.getvalue()
        write_atomic(self._place(key), plain + _digest(key, plain))

    def keys(self, start: str = "") -> list[str]:
        """Under which names that begin so there is a file, in order; a file may be
        damaged."""
        names = (place.stem for place in self.folder.glob("[!.]*.npy"))
        return sorted(name for name in names if name.startswith(start))

    def _place(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} names no array")
        return self.folder / f"{key}.npy"


def _digest(key: str, content: bytes) -> bytes:
    return sha256(key.encode() + b"\0" + content).digest()
