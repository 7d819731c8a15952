"""R14: memory and open files of a long run do not grow."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from svtcli.model.svt import parameter_count
from svtcli.run.directory import RunFolder
from svtcli.run.progress import Silent
from svtcli.train.checkpoint import UNFINISHED
from svtcli.train.stage import train
from tests.train import tiny_run

SAVE_EVERY = 2
# Wide, so that a state that is leaked at each save would be noticed.
WIDE = ("model.d=192", "model.de=64")


class Scales(Silent):
    """Measure memory and open files between saves, after `first` steps of warm-up.

    A save that is under way holds a copy of the state and some 27 files (orbax's event
    loops), so each is waited for: on a loaded machine it would be weighed or not, by
    chance. `unfinished` is the folder that it empties last.
    """

    def __init__(self, first: int, unfinished: Path) -> None:
        self.first, self.unfinished = first, unfinished
        self.resident: list[int] = []
        self.open_files: list[int] = []

    def advance(self, done: int, facts: Mapping[str, str] | None = None) -> None:
        if done >= self.first and done % SAVE_EVERY == SAVE_EVERY // 2:
            while any(self.unfinished.iterdir()):
                time.sleep(0.001)
            self.resident.append(resident_bytes())
            self.open_files.append(len(list(Path("/proc/self/fd").iterdir())))

    def growth(self) -> int:
        """Growth of memory from the first quarter to the last, between their minima."""
        quarter = len(self.resident) // 4
        return min(self.resident[-quarter:]) - min(self.resident[:quarter])

    def more_files(self) -> int:
        """Growth of the number of open files."""
        quarter = len(self.open_files) // 4
        return min(self.open_files[-quarter:]) - min(self.open_files[:quarter])


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def weigh(place: Path, saves: int) -> tuple[Scales, int]:
    """Train for some saves after a warm-up; return the bytes of one save too."""
    recipe = tiny_run.write_recipe(place, tiny_run.write_clips(place / "clips"))
    warm = saves * SAVE_EVERY // 5
    steps = warm + saves * SAVE_EVERY
    loaded = tiny_run.loaded(
        recipe, *WIDE, f"train.steps={steps}", f"train.save_every={SAVE_EVERY}"
    )
    run = RunFolder(place / "runs" / "long")
    scales = Scales(warm, run.checkpoints / UNFINISHED)
    train(loaded, run, scales)
    assert len(scales.resident) == saves
    return scales, 12 * parameter_count(loaded.recipe.model)


@pytest.mark.slow
def test_memory_and_open_files_are_flat_over_many_saves(tmp_path: Path) -> None:
    scales, saved = weigh(tmp_path, 60)
    # If each save leaked its state or a file, there would be 45 more. Caches fill up.
    assert scales.growth() < 10 * saved
    assert scales.more_files() < 15


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_and_open_files_are_flat_over_a_thousand_saves(tmp_path: Path) -> None:
    scales, saved = weigh(tmp_path, 1000)
    assert scales.growth() < 10 * saved
    assert scales.more_files() < 15
