"""Fingerprints: equal ones mean equal values or equal files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePath


def fingerprint(*parts: object) -> str:
    """SHA-256 (64 hex digits) of plain values, the same in every process and release.

    Parts may be None, bool, int, float, str, paths, dataclasses, mappings with string
    keys, lists and tuples of them. Tuples equal lists, and the order of a mapping does
    not matter. Errors: TypeError for anything else.
    """
    text = json.dumps(
        [_plain(part) for part in parts],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_file(path: Path | str) -> str:
    """SHA-256 (64 hex digits) of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: object) -> object:
    """Equivalent of `value` in JSON's types."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case PurePath():
            return value.as_posix()
        case list() | tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {_text_key(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in fields(value)
        }
    raise TypeError(f"a {type(value).__name__} has no fingerprint")


def _text_key(key: object) -> str:
    if isinstance(key, str):
        return key
    raise TypeError(f"a mapping's key must be text to have a fingerprint, not {key!r}")
