"""The installed distribution: its name, its origin, and commands that extend it."""

import json
import os
import shlex
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

NAME = "svtcli"
"""The name on the package index. The name `svt` there is another project's."""


def install_command(extra: str | None = None) -> str:
    """Shell command that installs svt, with `extra`, from where it was installed.

    From a clone, pip is given the clone's folder: `.` where that is the working
    directory, so that the command is the one in the README. Otherwise pip is given the
    name on the package index.
    """
    wanted = f"[{extra}]" if extra else ""
    clone, editable = _clone()
    if clone is None:
        return f"pip install {shlex.quote(NAME + wanted)}"
    here = "." if clone == Path.cwd() else str(clone)
    flags = "-e " if editable else ""
    return f"pip install {flags}{shlex.quote(here + wanted)}"


def _clone() -> tuple[Path | None, bool]:
    """Folder that pip installed svt from, and if in editable mode (PEP 610)."""
    try:
        text = metadata.distribution(NAME).read_text("direct_url.json")
        origin = json.loads(text or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None, False
    url = urlparse(origin.get("url", ""))
    folder = Path(unquote(url.path))
    if url.scheme != "file" or not os.access(folder / "pyproject.toml", os.R_OK):
        return None, False
    return folder, bool(origin.get("dir_info", {}).get("editable"))
