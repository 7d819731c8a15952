"""Where raw data is looked for: as stated, else `$SVT_DATA/NAME`, else `raw/NAME`."""

import os
from pathlib import Path

from svtcli.failure import Refused
from svtcli.prepare.download.publishers import PUBLISHERS


def source_folder(stated: str | None, name: str, what_to_get: str) -> Path:
    """The folder with the raw data of `name`; it may itself be a symlink.

    Errors: `Refused`, which says where was looked; its hint is `what_to_get`, and that
    `--download` fetches it where a publisher offers it.
    """
    shared = os.environ.get("SVT_DATA")
    if stated is not None:
        folder = Path(stated).expanduser()
    elif shared and (Path(shared).expanduser() / name).is_dir():
        folder = Path(shared).expanduser() / name
    else:
        folder = Path("raw") / name
    if folder.is_dir():
        return folder
    hint = what_to_get + _or_download(name)
    if folder.exists():
        raise Refused(f"{folder}: not a folder", hint)
    if folder.is_symlink():
        raise Refused(f"{folder}: a link to {folder.readlink()}, which is gone", hint)
    looked = [str(folder)]
    if stated is None:
        looked.insert(
            0, f"{shared}/{name}" if shared else f"$SVT_DATA/{name} (not set)"
        )
    raise Refused(f"no source for {name}: looked in {', '.join(looked)}", hint)


def download_folder(stated: str | None, name: str) -> Path:
    """Where `--download` puts the raw data of `name`; it need not be there yet."""
    if stated is not None:
        return Path(stated).expanduser()
    shared = os.environ.get("SVT_DATA")
    return Path(shared).expanduser() / name if shared else Path("raw") / name


def inside(folder: Path, path: Path) -> bool:
    """Whether `path` leads, through all symlinks, to a place inside `folder`."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a circle of links; RuntimeError before 3.13
        return False


def _or_download(name: str) -> str:
    if name not in PUBLISHERS:
        return ""
    return f"; `svt prepare {name} --download` fetches it"
