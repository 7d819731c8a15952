"""Where the files of an uncompressed tar lie in it, so that they are read in place."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from svtcli.failure import Refused

BLOCK = 512


def tar_members(path: Path, address: str) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each regular file in a tar; nothing is unpacked.

    A name is only looked at, never used as a path. Errors: `Refused` for a tar that is
    compressed, damaged or cut off; its hint says to get it again from `address`.
    """
    again = f"get it again from {address}, or let --download do it"
    there = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.size < 0:
                    raise Refused(f"{path}: the tar is damaged ({member.name})", again)
                end = member.offset_data + member.size
                if member.isreg() and end > there:
                    raise Refused(
                        f"{path}: the tar is cut off: {there:,} bytes, and "
                        f"{member.name} ends at {end:,}",
                        again,
                    )
                if member.isreg() and not member.issparse():
                    yield member.name, member.offset_data, member.size
            end = tar.offset
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise Refused(
            f"{path}: not a whole, uncompressed tar ({error})", again
        ) from None
    # tarfile takes a damaged header for the end.
    with path.open("rb") as file:
        file.seek(end)
        if file.read(BLOCK).strip(b"\0"):
            raise Refused(f"{path}: the tar is damaged at byte {end:,}", again)
