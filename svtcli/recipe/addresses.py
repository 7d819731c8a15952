"""Addresses of stores and servers, which are no paths: `gs://bucket/videos`."""

import os
import re
from os import PathLike, fspath
from pathlib import PurePosixPath
from shlex import quote

from svtcli.failure import Refused

RCLONE = "mkdir -p {at} && rclone mount REMOTE:{bucket} {at} --vfs-cache-mode writes"
MOUNTS = {
    "gs": "mkdir -p {at} && gcsfuse --implicit-dirs {bucket} {at}",
    "s3": "mkdir -p {at} && mount-s3 {bucket} {at}",
    "hf": "hf download {bucket} --local-dir {at}",
    "http": "curl -fLO {url}",
    "hdfs": "hdfs dfs -get {url}",
    "abfs": RCLONE,
}
"""Command that brings the contents of a store to a path, by scheme."""
SAME = {
    "gcs": "gs",
    "s3a": "s3",
    "s3n": "s3",
    "https": "http",
    "ftp": "http",
    **dict.fromkeys(("abfss", "az", "wasb", "wasbs", "adl", "oss", "r2", "b2"), "abfs"),
}
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//?)(.*)", re.DOTALL)
"""One slash is left where a path was made of it."""


def refuse_address(path: str | PathLike[str], name: str = "") -> None:
    """Refuse an address where a path belongs; `name` is a flag or a variable.

    Errors: Refused, which says how such a store is mounted.
    """
    if problem := address_problem(path):
        sentence, hint = problem
        raise Refused(f"{name} {sentence}".lstrip(), hint)


def path_in(variable: str) -> str | None:
    """Return the path in an environment variable; None where it is unset or empty.

    Errors: Refused for an address.
    """
    path = os.environ.get(variable) or None
    if path:
        refuse_address(path, f"${variable}")
    return path


def address_problem(path: str | PathLike[str]) -> tuple[str, str] | None:
    """Return what is wrong with an address, and what to do; None for a path."""
    found = ADDRESS.match(fspath(path))
    if found is None:
        return None
    scheme, slashes, rest = found[1].lower(), found[2], found[3]
    kind = SAME.get(scheme, scheme)
    if slashes != "//" and kind not in (*MOUNTS, "file"):
        return None
    url = f"{found[1]}://{rest}"
    if kind == "file":
        return f"{url}: svt takes paths, not addresses", f"write {rest or '/'}"
    bucket, _, inner = rest.partition("/")
    bucket = quote(bucket.partition("@")[0] or "BUCKET")
    if kind == "hf":
        bucket, inner = _repository(rest)
    at = bucket.split(" ")[0].rpartition("/")[2]
    command = MOUNTS.get(kind, RCLONE).format(at=at, bucket=bucket, url=quote(url))
    fetched = kind in ("hf", "http", "hdfs")
    then = PurePosixPath(rest).name if kind in ("http", "hdfs") else f"{at}/{inner}"
    return (
        f"{url}: an address, not a path; svt uses mounted file systems only",
        f"{'fetch' if fetched else 'mount'} it: {command}; then the path is {then}",
    )


def _repository(rest: str) -> tuple[str, str]:
    """Arguments of `hf download` for a `hf://` address, and the path inside."""
    parts = rest.split("/")
    kind = {"datasets": "dataset", "spaces": "space"}.get(parts[0])
    if kind:
        parts = parts[1:]
    name = quote("/".join(parts[:2]).partition("@")[0])
    flags = f" --repo-type {kind}" if kind else ""
    return f"{name}{flags}", "/".join(parts[2:])
