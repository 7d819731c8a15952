"""Videos of any software as one kind of object, so that metrics do not care.

`open_videos` opens samples of ours, prepared clips, arrays, folders of frames and
folders of video files.
"""

from difflib import get_close_matches
from pathlib import Path

from svtcli.clips import find_clips, is_clips
from svtcli.evaluate.foreign.arrays import open_npy, open_npz, open_samples
from svtcli.evaluate.foreign.folders import (
    ONE_FOLDER_EACH,
    files_in,
    folders_in,
    open_frame_folders,
    open_video_files,
    shown,
)
from svtcli.evaluate.foreign.videos import Videos, open_prepared
from svtcli.failure import Refused
from svtcli.run.directory import runs_root
from svtcli.run.names import typed
from svtcli.video.array_layout import ArrayForm
from svtcli.video.file_kinds import ENDINGS
from svtcli.video.image import PICTURES

VIDEO_FILES = tuple(ending for ending in ENDINGS if ending not in PICTURES)
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
    stated: ArrayForm | None = None,
) -> Videos:
    """Open the videos that `source` names; `frames` of each, None for all in common.

    `truth` opens the ground truth in a folder of samples instead of the samples;
    `stated` is the form of an array. Errors: Refused for anything that is not a set of
    videos, or a form stated of anything but an array; BadData for damage.
    """
    videos = _open(source, frames, allow_lossy, truth, stated)
    if stated and not videos.converted and str(stated):
        flags = stated.flags(stated.layout, stated.range)
        raise Refused(f"{flags}: {source} is no .npy or .npz", "leave this out")
    return videos


def _open(
    source: str,
    frames: int | None,
    allow_lossy: bool,
    truth: bool,
    stated: ArrayForm | None,
) -> Videos:
    """Open the videos by what their source is. Errors: as `open_videos`."""
    path = Path(source)
    if not source:
        raise Refused("the name of the videos is empty", SOURCES)
    if (path / "samples.json").is_file():
        return open_samples(path, source, frames, truth)
    if truth:
        raise Refused(f"{source}: only a folder of samples holds their ground truth")
    folder, split = find_clips(source)
    if folder and is_clips(folder) and (is_clips(path) or not path.exists()):
        return open_prepared(folder, split, source, frames)
    if path.is_dir():
        return _open_folder(path, source, frames, allow_lossy)
    if path.is_file():
        return _open_file(path, source, frames, stated)
    before, _, key = source.rpartition(":")
    if before.lower().endswith(".npz") and Path(before).is_file():
        return open_npz(Path(before), key, source, frames, stated)
    if (run := runs_root() / source).is_dir():
        return _open_folder(run, source, frames, allow_lossy)
    raise Refused(f"{source}: no such file, folder or clips", _suggestion(source))


def _open_folder(
    folder: Path, source: str, frames: int | None, allow_lossy: bool
) -> Videos:
    """Open a folder without a description of its contents."""
    _refuse_run(folder)
    videos = files_in(folder, VIDEO_FILES)
    if inside := folders_in(folder):
        nested = (files_in(each, VIDEO_FILES) for each in inside)
        if misplaced := videos or next(filter(None, nested), ()):
            raise Refused(
                f"{misplaced[0]}: a video file among folders of frames",
                "put the frames in a folder per video, or all video files in one",
            )
        return open_frame_folders(folder, source, frames, allow_lossy)
    if videos:
        return open_video_files(videos, source, frames, allow_lossy)
    if files_in(folder, PICTURES):
        raise Refused(f"{folder}: holds pictures, not folders", ONE_FOLDER_EACH)
    if arrays := files_in(folder, ARRAYS):
        raise Refused(f"{folder}: holds arrays; name one", f"for example {arrays[0]}")
    raise Refused(f"{folder}: no videos in this folder", SOURCES)


def _refuse_run(folder: Path) -> None:
    """Refuse a run, a folder of several samples, and unfinished samples or clips."""
    samples = [
        *folder.glob("*/samples.json"),
        *(folder / "samples").glob("*/samples.json"),
    ]
    newest = max(
        samples, key=lambda file: (file.stat().st_mtime_ns, file), default=folder
    ).parent
    if (folder / "recipe.yaml").is_file():
        or_samples = f", or its samples: {typed(newest)}" if samples else ""
        score = f"score it: {typed('svt', 'eval', folder)}{or_samples}"
        raise Refused(f"{folder}: a run, not videos", score)
    if samples:
        raise Refused(
            f"{folder}: holds folders of samples; name one", f"for example {newest}"
        )
    if (folder / "samples.npy").exists():
        raise Refused(
            f"{folder}: sampling did not finish here (samples.json is missing)",
            "finish it with: svt sample RUN",
        )
    if (folder / ".work").is_dir():
        raise Refused(
            f"{folder}: its clips are not finished (manifest.json is missing)",
            "re-run the svt prepare command that began them to resume",
        )


def _open_file(
    path: Path, source: str, frames: int | None, stated: ArrayForm | None
) -> Videos:
    ending = path.suffix.lower()
    if ending == ".npy":
        return open_npy(path, source, frames, stated)
    if ending == ".npz":
        return open_npz(path, None, source, frames, stated)
    if ending in VIDEO_FILES:
        raise Refused(
            f"{path}: a single video, not a set of videos", f"name a folder; {SOURCES}"
        )
    raise Refused(f"{path}: not a file of videos", SOURCES)


def _suggestion(source: str) -> str:
    """Hint with an existing path of a similar name."""
    path = Path(source.rpartition(":")[0] or source)
    beside = shown(path.parent) if path.parent.is_dir() else []
    names = {entry.name: entry for entry in beside} | {
        file.parent.name: file.parent for file in Path().glob("clips/*/manifest.json")
    }
    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {names[near[0]]}?" if near else SOURCES
