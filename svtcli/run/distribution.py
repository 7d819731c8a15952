"""The installed distribution: name, origin, git commit, commands that extend it.

`hatch_build.py` runs this file by its path, so it imports the standard library only.
"""

import json
import os
import shlex
import subprocess
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

NAME = "svtcli"
"""The name on the package index. The name `svt` there is another project's."""
COMMIT = Path(__file__).parents[1] / "git_commit"
"""File in wheels and sdists: the commit that they were built from."""


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


def git_commit() -> str | None:
    """Commit of svt's source, `-dirty` if modified; None where it is unknown.

    It is that of the source tree that svt runs from, else the one recorded when the
    installed wheel was built: pip's copy of a clone does not follow the clone.
    """
    built = COMMIT.read_text("ascii").strip() if COMMIT.is_file() else None
    return source_commit() or built


def source_commit() -> str | None:
    """Commit of the source tree that this file is in; None outside of one."""
    here = Path(__file__)
    # An svt installed inside of another project must not report its commit.
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    describe = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    return _git(here.parent, *describe)


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of git, None if it fails or is not installed."""
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
