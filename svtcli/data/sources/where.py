"""Where raw data is looked for: as stated, else `$SVT_DATA/NAME`, else `raw/NAME`."""

import os
from pathlib import Path

from svtcli.failure import Refused


def source_folder(stated: str | None, name: str, what_to_get: str) -> Path:
    """The folder with the raw data of `name`.

    Errors: `Refused`, which says where was looked, and `what_to_get` as its hint.
    """
    shared = os.environ.get("SVT_DATA")
    if stated is not None:
        folder = Path(stated).expanduser()
    elif shared and (Path(shared) / name).is_dir():
        folder = Path(shared) / name
    else:
        folder = Path("raw") / name
    if folder.is_dir():
        return folder
    if folder.exists():
        raise Refused(f"{folder}: not a folder", what_to_get)
    looked = [str(folder)]
    if stated is None:
        looked.insert(
            0, f"{shared}/{name}" if shared else f"$SVT_DATA/{name} (not set)"
        )
    raise Refused(f"no source for {name}: looked in {', '.join(looked)}", what_to_get)
