"""README.md and docs/ from top to bottom, as a person goes through them: each fenced
command in turn, in one folder, with tiny models.

tests/test_docs.py tries every command by itself, without writing.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.terminal import svt_here
from tests.test_docs import PAGES
from tests.video.video_files import moving_square, write_video

ORDER = (
    "README.md",
    *(f"docs/{name}.md" for name in ("tutorial", "own-videos", "pictures", "sampling")),
)
"""Pages in which a person begins; the others follow."""
TINY = {
    "data.size": "16",
    "model.video": "[4,16,16]",
    "model.blocks": "[[1,8,8]]",
    "model.de": "4",
    "model.d": "8",
    "model.na": "2",
    "model.da": "4",
    "train.steps": "2",
    "train.warmup": "1",
    "train.batch": "2",
    "train.log_every": "1",
    "sample.count": "2",
    "sample.per_prime": "1",
    "eval.metrics": "[likelihood]",
    "eval.clips": "2",
}
"""Overrides of every training."""
NOT_RUN = {
    r"pip install|pytest": "installs svt, and tests it: that is CI's own work",
    r"kinetics": "no videos of Kinetics-600 here",
    r"bair": "no clips of BAIR here",
    r"--metric fvd": "FVD's network takes a minute; tests/evaluate run it",
    r"--check card": "its card is of FVD; tests/cli/test_eval_cards.py checks one",
    r"33000|30000": "hours of training; tests/project/test_copy.py runs the parts",
    r"^svt sweep (?!.*-n$)": "nine trainings; tests/project/test_sweep.py runs some",
    r"^…": "further processes",
}
"""Commands that are parsed only (tests/test_docs.py), with the reason."""


def blocks() -> Iterator[str]:
    """Fenced shell, page by page."""
    pages = sorted(PAGES, key=lambda page: (page not in ORDER, page))
    pages[: len(ORDER)] = [page for page in ORDER if page in PAGES]
    for page in pages:
        yield from re.findall(r"^```sh\n(.*?)^```", PAGES[page], re.M | re.S)


def steps(block: str) -> Iterator[str]:
    """Commands of svt, and what stands between them for the shell."""
    shell = ""
    for line in block.replace("\\\n", " ").splitlines():
        before, svt, after = line.rpartition("svt ")
        if svt and (not before or before.endswith("&& ")):
            yield shell
            shell = ""
            yield shlex.join(shlex.split(svt + after, comments=True))
        else:
            shell += f"{line}\n"
    yield shell


def tiny(words: list[str]) -> list[str]:
    """The command with `TINY`, where it reads a recipe to train."""
    if words[0] not in ("run", "train", "plan", "sweep"):
        return words
    given = {word.partition("=")[0] for word in words}
    kept = {"data.size"} if "robot.yaml" in words else set()
    return [
        *words,
        *(f"{k}={v}" for k, v in TINY.items() if k not in given | kept),
    ]


def test_every_page_begins_somewhere():
    assert set(ORDER) <= {*PAGES}


@pytest.mark.slow
def test_the_pages_work_from_top_to_bottom(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name in ("SVT_RUNS", "SVT_DATA", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("one", "two", "three"):
        write_video(Path("path/to/videos", f"{name}.mp4"), moving_square(60))
    for name in ("my.mp4", "a.mp4"):
        write_video(Path(name), moving_square(20))
    shutil.copy("a.mp4", "b.gif")  # told by its content
    for name in ("samples", "clips"):
        np.save(f"{name}.npy", np.zeros((2, 16, 16, 16, 3), np.uint8))
    np.save("floats.npy", np.zeros((2, 3, 16, 16, 16), np.float32))
    ran, failed = 0, []
    every = [step for block in blocks() for step in steps(block)]
    for place, step in enumerate(every):
        if step.startswith("svt init") and step in every[:place]:
            continue  # the same recipe on another page
        if not step.strip() or any(re.search(each, step) for each in NOT_RUN):
            continue
        if not step.startswith("svt "):
            subprocess.run(["bash", "-ec", step], check=True)
            continue
        said = svt_here(capfd, *tiny(shlex.split(step)[1:]))
        ran += 1
        if said.code != 0:
            failed.append(f"{step}: {said.code}\n{said.err[-600:]}")
    assert not failed, "\n".join(failed)
    assert ran > 30
