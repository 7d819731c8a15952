"""Where svt keeps what it can make again: converted weights, features of videos."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """The folder of one kind of such files; nothing is lost when it is deleted.

    `$SVT_CACHE`, else the user's cache (`$XDG_CACHE_HOME`, `~/.cache`). It does not
    have to exist.
    """
    if wanted := os.environ.get("SVT_CACHE"):
        return Path(wanted).absolute() / kind
    users = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not users.is_absolute():  # then it counts for nothing, says its specification
        users = Path.home() / ".cache"
    return users / "svt" / kind
