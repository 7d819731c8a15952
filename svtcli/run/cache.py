"""Arrays on the disk under a name, trusted only as they were written.

FOLDER/KEY.npy    as NumPy writes it, which `np.load` opens; the last 32 bytes are the
                  SHA-256 of KEY and of all bytes before them
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svtcli.recipe.addresses import path_in
from svtcli.run.durable import write_atomic

DIGEST = 32
"""Bytes of a SHA-256."""

_KEY = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9_.=-]{0,199}")
"""File names that are valid on every system and not hidden."""


def cache_folder(kind: str) -> Path | None:
    """Folder of this user for files that svt can compute again, such as `features`.

    In `$SVT_CACHE`, else the user's cache. It may not exist; None as `users_cache`.
    """
    if wanted := path_in("SVT_CACHE"):
        return Path(wanted).absolute() / kind
    users = users_cache()
    return None if users is None else users / kind


def users_cache() -> Path | None:
    """Folder of svt in `$XDG_CACHE_HOME`, else `~/.cache`.

    None for a user without a home: a container may run under any user's number.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():  # its specification says to ignore it then
        try:
            cache = Path.home() / ".cache"
        except RuntimeError:
            return None
    return cache / "svt"


@dataclass(frozen=True)
class Cache:
    """Arrays that svt can compute again, in the user's cache if there is one.

    A cache that is full, or that this user may not write to, keeps nothing.
    """

    store: "ArrayStore | None"

    @classmethod
    def of(cls, kind: str) -> "Cache":
        """Cache of arrays of one kind, such as `features`."""
        folder = cache_folder(kind)
        return cls(None if folder is None else ArrayStore(folder))

    def get(self, key: str) -> NDArray[Any] | None:
        """Return the array kept as `key`, if it is there and undamaged."""
        return None if self.store is None else self.store.get(key)

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Keep the array as `key`, if that is possible."""
        if self.store is not None:
            with suppress(OSError):
                self.store.put(key, array)


@dataclass(frozen=True)
class ArrayStore:
    """Arrays in `folder`, which is created with the first of them."""

    folder: Path

    def get(self, key: str) -> NDArray[Any] | None:
        """Return the array stored as `key`; None if absent, damaged or unreadable.

        Errors: ValueError as `put`.
        """
        try:
            whole = self._path(key).read_bytes()
        except OSError:
            return None
        content, digest = whole[:-DIGEST], whole[-DIGEST:]
        if _digest(key, content) != digest:
            return None
        array: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
        return array

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Store the array as `key`, in place of any other.

        Errors: ValueError for a key that is no plain file name (200 letters, digits and
        `_.=-` at most) or an array of Python objects; OSError for a full disk.
        """
        content = BytesIO()
        np.save(content, array, allow_pickle=False)
        plain = content.getvalue()
        write_atomic(self._path(key), plain + _digest(key, plain))

    def keys(self, start: str = "") -> list[str]:
        """Sorted keys with this prefix; their files may be damaged."""
        names = (path.stem for path in self.folder.glob("[!.]*.npy"))
        return sorted(name for name in names if name.startswith(start))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} names no array")
        return self.folder / f"{key}.npy"


def _digest(key: str, content: bytes) -> bytes:
    return sha256(key.encode() + b"\0" + content).digest()
