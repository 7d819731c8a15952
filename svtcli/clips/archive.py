"""A few clips of a folder as one compressed archive, to be shared with a model.

The archive is a zip of a folder of clips. It is untrusted: only the files of its own
manifest are unpacked, and all of them are compared with their checksums.
"""

import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from shlex import quote
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from svtcli.clips import is_clips
from svtcli.clips.format import (
    MANIFEST,
    Layout,
    Split,
    fingerprint_of,
    read_manifest,
    write_manifest,
)
from svtcli.clips.held_out import choose_clips
from svtcli.clips.reader import open_clips
from svtcli.clips.verify import verify
from svtcli.clips.writer import ShardWriter
from svtcli.failure import BadData, Refused
from svtcli.run.durable import (
    move_into_place,
    removed,
    require_room,
    sync_path,
    writing,
)
from svtcli.run.progress import Silent, counted

FILE = re.compile(
    r"[\w-]+\.((frames|offsets|actions|states)\.npy|meta\.jsonl)|manifest\.json"
)
LARGEST = 1 << 30
"""Bytes of an unpacked archive; a few clips have some millions."""
DAMAGE = (
    *(BadZipFile, zlib.error, EOFError, RuntimeError),
    *(ValueError, TypeError, LookupError, MemoryError),
)
"""Exceptions of zipfile, and of readers of files with a checksum that fits."""
FOREIGN = "its clips are not whole clips of svt"


def copy_clips(
    folder: Path,
    splits: Mapping[str, re.Pattern[str] | None],
    count: int,
    frames: int,
    out: Path,
) -> None:
    """Copy `count` clips of at least `frames` frames from each split into `out`.

    They are spread evenly over the split, or its clips with matching labels. Errors:
    Refused for a split that is not there, or without such clips; BadData.
    """
    manifest, copied = read_manifest(folder), dict[str, Split]()
    layout = Layout(manifest.shape, manifest.beside)
    out.mkdir(parents=True)
    for split, labels in splits.items():
        clips = open_clips(folder, split, labels)
        with ShardWriter(out, f"{split}-00000-of-00001", layout) as writer:
            for number in choose_clips(clips, frames, count):
                values = ((name, clips.values(name, number)) for name in clips.beside)
                beside = {name: each for name, each in values if each is not None}
                writer.add(clips.facts[number], clips.read(number), beside)
        shard = writer.shard
        assert shard is not None
        copied[split] = Split(shard.clips, shard.frames, (shard,))
    few = f"{counted(count, 'clip')} of each split, of those that were prepared"
    own = replace(
        manifest,
        splits=copied,
        failures={},
        lower_bound={},
        notes=(*manifest.notes, few),
        order="",
        files={},
    )
    write_manifest(out, replace(own, fingerprint=fingerprint_of(own)))


def pack(folder: Path) -> bytes:
    """Compress a folder of clips: the same bytes for the same clips."""
    manifest, archive = read_manifest(folder), BytesIO()
    names = [name for split in manifest.splits.values() for name in split.files]
    with ZipFile(archive, "w") as packed:
        for name in (MANIFEST, *names):  # a ZipInfo has no time of its own
            content = (folder / name).read_bytes()
            packed.writestr(ZipInfo(name), content, ZIP_DEFLATED, 9)
    return archive.getvalue()


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack into the new `folder`, whole or not at all; the same clips may be there.

    Errors: Refused where something else is; BadData, without a path, for anything but
    a whole folder of clips; StorageFailed.
    """
    aside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.part")
    with removed(aside):
        fingerprint = _unpack(archive, aside)
        if not folder.exists():
            try:
                move_into_place(aside, folder)
            except OSError:  # another process was faster
                if not is_clips(folder):
                    raise
            else:
                return
        if not is_clips(folder) or read_manifest(folder).fingerprint != fingerprint:
            raise Refused(
                f"{folder}: already exists, with something other than these clips",
                f"move it away: mv {quote(str(folder))} {quote(f'{folder}-other')}",
            )


def _unpack(archive: bytes, folder: Path) -> str:
    """Unpack, verify, and return the clips' fingerprint. Errors: those of `unpack`."""
    try:
        with ZipFile(BytesIO(archive)) as packed:
            size = sum(info.file_size for info in packed.infolist())
            if size > LARGEST or not all(map(FILE.fullmatch, packed.namelist())):
                raise BadData(FOREIGN)
            folder.parent.mkdir(parents=True, exist_ok=True)
            require_room(folder.parent, size, "an archive of clips", "free some space")
            folder.mkdir()
            for name in packed.namelist():
                with writing(folder / name):
                    (folder / name).write_bytes(packed.read(name))
                sync_path(folder / name)
        manifest = read_manifest(folder)
        names = [name for split in manifest.splits.values() for name in split.files]
        verify(folder, Silent())
        whole = {MANIFEST, *names} == set(packed.namelist())
        splits = [open_clips(folder, split) for split in manifest.splits]
        whole &= all((clips.lengths > 0).all() for clips in splits)
        if not whole or not all(name.isprintable() for c in splits for name in c.ids):
            raise BadData(FOREIGN)
    except (*DAMAGE, BadData, Refused) as error:
        raise BadData(FOREIGN) from error
    return manifest.fingerprint
