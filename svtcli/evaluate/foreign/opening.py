"""Finds out what a source of videos is, and opens it."""

from difflib import get_close_matches
from pathlib import Path

from svtcli.evaluate.foreign.arrays import open_npy
from svtcli.evaluate.foreign.containers import open_containers
from svtcli.evaluate.foreign.frame_folders import (
    ONE_FOLDER_EACH,
    PICTURES,
    files_in,
    folders_in,
    open_frame_folders,
    shown,
)
from svtcli.evaluate.foreign.prepared import open_prepared
from svtcli.evaluate.foreign.sampled import open_samples
from svtcli.evaluate.foreign.source import Videos
from svtcli.evaluate.foreign.zipped import open_npz
from svtcli.failure import Refused
from svtcli.prepare.sources.source_folder import ENDINGS
from svtcli.run.directory import runs_root

CONTAINERS = tuple(ending for ending in ENDINGS if ending not in PICTURES)
ARRAYS = (".npy", ".npz")
SOURCES = (
    "videos are read from a folder of samples, prepared clips (CLIPS:SPLIT), a .npy, "
    "a .npz, or a folder with one folder of frames per video"
)


def open_videos(
    source: str,
    frames: int | None = None,
    allow_lossy: bool = False,
    truth: bool = False,
) -> Videos:
    """The videos that `source` names; `frames` of each, None for all that all have.

    `truth` asks a folder of samples for the clips that its samples continue.
    Errors: `Refused` for what cannot be taken as videos, `BadData` for damage.
    """
    path = Path(source)
    if not source:
        raise Refused("the name of the videos is empty", SOURCES)
    if (path / "samples.json").is_file():
        return open_samples(path, source, frames, truth)
    if truth:
        raise Refused(f"{source}: only a folder of samples has a truth beside them")
    if clips := find_clips(source):
        return open_prepared(*clips, source, frames)
    if path.is_dir():
        return _open_folder(path, source, frames, allow_lossy)
    if path.is_file():
        return _open_file(path, source, frames)
    before, _, key = source.rpartition(":")
    if before.lower().endswith(".npz") and Path(before).is_file():
        return open_npz(Path(before), key, source, frames)
    if (run := runs_root() / source).is_dir():
        return _open_folder(run, source, frames, allow_lossy)
    raise Refused(f"{source}: no such file, folder or clips", _near(source))


def find_clips(source: str) -> tuple[Path, str | None] | None:
    """The prepared clips and the split of CLIPS[:SPLIT]; None if it means no clips.

    CLIPS is a folder, or a name in `clips/`; what exists is never a name.
    """
    if (Path(source) / "manifest.json").is_file():
        return Path(source), None
    if Path(source).exists():
        return None
    before, _, split = source.rpartition(":")
    for folder, named in ((source, None), (before, split or None)):
        for place in (Path(folder), Path("clips") / folder) if folder else ():
            if (place / "manifest.json").is_file():
                return place, named
    return None


def _open_folder(
    folder: Path, source: str, frames: int | None, allow_lossy: bool
) -> Videos:
    """The videos in a folder that says itself nothing about what it holds."""
    _refuse_run(folder)
    containers = files_in(folder, CONTAINERS)
    if inside := folders_in(folder):
        if containers := containers or _first_of(inside, CONTAINERS):
            raise Refused(
                f"{containers[0]}: a video file, where folders of frames are wanted",
                "put the frames in a folder per video, or all video files in one",
            )
        return open_frame_folders(folder, source, frames, allow_lossy)
    if containers:
        return open_containers(containers, source, frames, allow_lossy)
    if files_in(folder, PICTURES):
        raise Refused(f"{folder}: holds pictures, not folders", ONE_FOLDER_EACH)
    if arrays := files_in(folder, ARRAYS):
        raise Refused(f"{folder}: holds arrays; name one", f"for example {arrays[0]}")
    raise Refused(f"{folder}: no videos in this folder", SOURCES)


def _first_of(folders: list[Path], endings: tuple[str, ...]) -> tuple[Path, ...]:
    """The files of these endings in the first folder that has any."""
    each = (files_in(folder, endings) for folder in folders)
    return next(filter(None, each), ())


def _refuse_run(folder: Path) -> None:
    """Refuses a run, a folder of several samples, and unfinished ones."""
    samples = [
        *folder.glob("*/samples.json"),
        *(folder / "samples").glob("*/samples.json"),
    ]
    if (folder / "recipe.yaml").is_file():
        newest = f", or its samples: {_newest(samples)}" if samples else ""
        raise Refused(
            f"{folder}: a run, not videos", f"score it: svt eval {folder}{newest}"
        )
    if samples:
        raise Refused(
            f"{folder}: holds folders of samples; name one",
            f"for example {_newest(samples)}",
        )
    if (folder / "samples.npy").exists():
        raise Refused(
            f"{folder}: sampling did not finish here (samples.json is missing)",
            "finish it with: svt sample RUN",
        )
    if (folder / ".work").is_dir():
        raise Refused(
            f"{folder}: its clips are not finished (manifest.json is missing)",
            "repeat the svt prepare command that began them: it goes on from there",
        )


def _newest(samples: list[Path]) -> Path:
    return max(samples, key=lambda file: (file.stat().st_mtime_ns, file)).parent


def _open_file(path: Path, source: str, frames: int | None) -> Videos:
    """The videos in one file."""
    ending = path.suffix.lower()
    if ending == ".npy":
        return open_npy(path, source, frames)
    if ending == ".npz":
        return open_npz(path, None, source, frames)
    if ending in CONTAINERS:
        raise Refused(
            f"{path}: one video; a set of videos is wanted", f"name a folder; {SOURCES}"
        )
    raise Refused(f"{path}: not a file of videos", SOURCES)


def _near(source: str) -> str:
    """What there is of a similar name."""
    path = Path(source.rpartition(":")[0] or source)
    beside = {entry.name: entry for entry in _entries(path.parent)}
    beside |= {
        file.parent.name: file.parent for file in Path().glob("clips/*/manifest.json")
    }
    near = get_close_matches(path.name, beside, n=1)
    return f"did you mean {beside[near[0]]}?" if near else SOURCES


def _entries(folder: Path) -> list[Path]:
    return shown(folder) if folder.is_dir() else []
