"""Scores and pictures of a run's checkpoint, and their way to its trackers."""

from dataclasses import dataclass
from pathlib import Path

from svtcli.evaluate.run_scores import Scores, result_scores, step_results
from svtcli.failure import BadData, Refused
from svtcli.recipe.schema import Tracker
from svtcli.run.directory import RunFolder
from svtcli.run.durable import fingerprint, fingerprint_file, read_record, write_record
from svtcli.run.progress import Progress
from svtcli.run.samples import read_facts
from svtcli.train.trackers import open_trackers, require_packages

SENT = "sent.json"
"""File of a run: fingerprint of the scores and pictures that its trackers have."""
STILL, MOVING = ".png", ".gif"


@dataclass(frozen=True)
class Showing:
    """Scores and pictures of one checkpoint; of both there may be none."""

    step: int
    scores: Scores
    pictures: tuple[Path, ...]
    """PNG and GIF files of its newest samples."""


def showing(run: RunFolder, step: int) -> Showing:
    """Scores and pictures of the checkpoint of `step`. Errors: BadData."""
    return Showing(step, result_scores(*step_results(run, step)), _pictures(run, step))


def send_results(
    run: RunFolder, progress: Progress, names: tuple[Tracker, ...] | None = None
) -> None:
    """Send the newest checkpoint's scores and pictures to the trackers of these names.

    By default they are those of the run's recipe. Nothing is sent twice. Errors:
    BadData; Refused where a tracker's package is not installed.
    """
    names = run.recipe().train.log if names is None else names
    steps = run.steps()
    if not names or not steps:
        return
    require_packages(names)
    shown, record = showing(run, steps[-1]), run.path / SENT
    files = {each.name: fingerprint_file(each) for each in shown.pictures}
    now = {"trackers": list(names), "results": fingerprint(shown.scores, files)}
    remedy = f"remove it: {SENT} says what was sent to {' and '.join(names)}"
    if not (shown.scores or files):
        return
    if record.is_file() and read_record(record, remedy) == now:
        return
    with open_trackers(run, names, progress.note) as trackers:
        for tracker in trackers:
            tracker.append(shown.step, **shown.scores)
            for file in shown.pictures:
                tracker.picture(shown.step, file)
    write_record(record, now)


def _pictures(run: RunFolder, step: int) -> tuple[Path, ...]:
    """Pictures of the newest samples of `step` that were drawn."""
    finished = [file.parent for file in run.samples.glob("*/samples.json")]
    newest = sorted(
        (each for each in finished if _step(each) == step),
        key=lambda each: ((each / "samples.json").stat().st_mtime_ns, each.name),
    )
    for samples in reversed(newest):
        folder = run.figures / samples.name
        found = (each for each in folder.glob("*") if each.suffix in (STILL, MOVING))
        if drawn := tuple(sorted(found)):
            return drawn
    return ()


def _step(samples: Path) -> int | None:
    """Step of the checkpoint that was sampled; None for damaged samples."""
    try:
        return read_facts(samples).step
    except (BadData, Refused):
        return None
