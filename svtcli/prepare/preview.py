"""What a preparation would make, and how long it would take: a look at some files."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import numpy as np

from svtcli.prepare.find_clips import find_finished
from svtcli.prepare.plan import Plan, Task
from svtcli.prepare.preparation import How, cpus
from svtcli.prepare.sources import make_plan
from svtcli.prepare.workers import outcomes
from svtcli.recipe.data import Data

LOOK_AT = 64
"""Files whose headers are read."""
TRY = 6
"""Files that are prepared for the clock's sake, as long as there is …"""
PATIENCE = 5.0
"""… time, in seconds."""


@dataclass(frozen=True)
class Preview:
    """What `prepare` would make; clips, bytes and seconds are estimates."""

    folder: Path
    sources: int
    """Videos; 0 where clips are generated."""
    clips: int
    bytes: int
    seconds: float | None
    """With all workers; None where no file could be tried."""
    workers: int
    finished: bool
    """These very clips are there already."""
    notes: tuple[str, ...]


def preview(data: Data, folder: Path, how: How | None = None) -> Preview:
    """What `prepare` would do. Errors: `Refused`, as `prepare` would say."""
    finished = find_finished(data, folder) is not None
    plan = make_plan(data)
    tasks = [task for group in plan.groups for task in group.tasks]
    clips, frames = _promised(plan, _spread(tasks, LOOK_AT))
    height, width, channels = plan.layout.shape
    row = height * width * channels + 4 * sum(plan.layout.beside.values())
    workers = (how or How()).workers or cpus()
    pace = None if finished else _seconds_per_unit(_spread(tasks, TRY))
    return Preview(
        folder=folder,
        sources=plan.units if plan.unit == "videos" else 0,
        clips=clips,
        bytes=frames * row,
        seconds=None if pace is None else pace * plan.units / workers,
        workers=workers,
        finished=finished,
        notes=plan.notes,
    )


def _spread(tasks: list[Task], most: int) -> list[Task]:
    """At most so many, evenly spread; whole shuffled lists need no more chance."""
    places = np.linspace(0, len(tasks) - 1, min(most, len(tasks)))
    return [tasks[round(place)] for place in places]


def _promised(plan: Plan, tasks: list[Task]) -> tuple[int, int]:
    """Clips and stored frames of the whole plan, if all files are like these."""
    looked = sum(task.units for task in tasks)
    promises = [task.promise() for task in tasks]
    scale = plan.units / looked if looked else 0.0
    clips = round(scale * sum(promise.clips for promise in promises))
    clips += sum(drawing.clips for drawing in plan.drawn.values())
    return clips, round(scale * sum(promise.frames for promise in promises))


def _seconds_per_unit(tasks: list[Task]) -> float | None:
    """Of one worker. The first task pays for starting it and is not counted."""
    units, begun, last = 0, None, 0.0
    with TemporaryDirectory(prefix="svt-preview-") as aside:
        results = outcomes(tasks, Path(aside), workers=1, time_limit=PATIENCE)
        try:
            for number, (task, outcome, _) in enumerate(results):
                last = monotonic()
                if begun is None and (len(tasks) > 1 or number):
                    begun = last
                    continue
                units += 0 if outcome.misses else task.units
                if begun is not None and last - begun > PATIENCE:
                    break
        finally:
            results.close()
    return (last - begun) / units if begun is not None and units else None
