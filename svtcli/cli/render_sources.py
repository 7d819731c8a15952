"""Samples, clips and runs that `svt render` finds by path or name."""

from pathlib import Path
from typing import TYPE_CHECKING

from svtcli.cli import console
from svtcli.cli.flags import clips_and_split
from svtcli.clips import is_clips
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.run.directory import RunFolder


def clips_of(source: str) -> tuple[Path, str | None] | None:
    """Clips and split named by the argument; None if it names no clips.

    Where a run and clips have one name, the name alone means the run.
    """
    from svtcli.run.directory import runs_root

    whole = Path(source)
    if not is_clips(whole) and ((runs_root() / source).is_dir() or whole.exists()):
        return None
    folder, split = clips_and_split(source)
    return (folder, split) if folder and is_clips(folder) else None


def samples_folder(source: str | None) -> Path:
    """Samples named by the argument; notes which where it had to choose."""
    from svtcli.run.directory import RunFolder, newest_samples, runs_root

    if source is None:
        newest = newest_samples()
        console.note(f"samples: {newest}")
        return newest
    for folder in (Path(source), runs_root() / source):
        if (folder / "samples.json").is_file():
            return folder
        if folder.is_dir():
            newest = _newest_of(RunFolder(folder))
            console.note(f"samples: {newest}")
            return newest
    if Path(source).exists():
        raise Refused(f"{source}: a file; name a folder of samples or a run")
    raise Refused(f"no run, samples or clips called {source!r}", _nearest(source))


def _newest_of(run: "RunFolder") -> Path:
    """The newest finished samples of a run; Refused, with the reason, if none are."""
    finished = list(run.samples.glob("*/samples.json"))
    if finished:
        return max(finished, key=lambda file: (file.stat().st_mtime_ns, file)).parent
    if (run.path / "samples.npy").exists():
        raise Refused(
            f"{run.path}: sampling did not finish here (samples.json is missing)",
            "finish it with: svt sample RUN",
        )
    if run.recipe_file.is_file():
        raise Refused(
            f"{run.path}: no finished samples in this run yet",
            f"sample with: svt sample {run.path}",
        )
    if (run.path / ".work").is_dir():
        raise Refused(
            f"{run.path}: its clips are not finished (manifest.json is missing)",
            "re-run the same svt prepare command to resume",
        )
    raise Refused(f"{run.path}: no samples, run or clips are in this folder")


def _nearest(wanted: str) -> str | None:
    """A hint at the run or clips with the most similar name."""
    from difflib import get_close_matches

    from svtcli.run.directory import runs_root

    runs = {file.parent.parent.name for file in runs_root().glob("*/samples/*")}
    clips = {file.parent.name for file in Path("clips").glob("*/manifest.json")}
    name = Path(wanted.partition(":")[0]).name
    near = get_close_matches(name, sorted(runs | clips), n=1)
    return f"did you mean {near[0]}?" if near else None


def run_to_plot(source: str | None) -> "RunFolder":
    """The run named by the argument, or the run of the samples that it names."""
    from svtcli.run.directory import find_run, run_of_samples

    if source is None or (Path(source) / "samples.json").is_file():
        samples = samples_folder(source)
        if run := run_of_samples(samples):
            return run
        raise Refused(f"{samples}: these samples lie in no run; curves are of runs")
    return find_run(source)
