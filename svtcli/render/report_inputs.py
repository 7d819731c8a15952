"""What a report page shows beside the samples: files of the runs that they lie in.

Apart from `report`, for that brings jax, and whether a page is fresh is asked often.
"""

from collections.abc import Sequence
from pathlib import Path

from svtcli.run.directory import RunFolder, run_of_samples


def runs_of(folders: Sequence[Path]) -> tuple[RunFolder, ...]:
    """The runs that the samples lie in, each once."""
    found = [run for folder in folders if (run := run_of_samples(folder))]
    return tuple({run.path.resolve(): run for run in found}.values())


def evaluation_files(run: RunFolder) -> list[Path]:
    """Everything that was measured of a run, in a lasting order."""
    return sorted(run.eval.glob("*.json"))


def report_inputs(folders: Sequence[Path]) -> tuple[Path, ...]:
    """All files beside the samples that a page is made from, in a lasting order."""
    return tuple(
        file
        for run in runs_of(folders)
        for file in (
            *(run.recipe_file, run.run_file, run.metrics),
            *evaluation_files(run),
        )
        if file.is_file()
    )
