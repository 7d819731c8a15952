"""Signals at random moments, imports and compilation included: nothing is lost."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from svtcli.run.signals import GRACE
from tests.faults.faulted_run import catches
from tests.faults.stopped_command import StoppedCommand, stop_at_random
from tests.video.video_files import moving_square, write_video

TIMES = int(os.environ.get("SVT_SIGNALS", "40"))
WORDS = {
    "prepare": "prepare folder --source videos --size 16 --frames 4 --out out",
    "sample": "sample mine --per-prime 6 --schedule sequential --out out",
    "eval": "eval mine --metric bits,psnr --videos 4",
    "run": "run whole.yaml",
}
UNLIKE = ("run.json", "metrics.jsonl", "figures.json", ".lock")
"""Files with times in them."""
FINGERPRINT = re.compile(rb"[0-9a-f]{64}|-[0-9a-f]{6}(?=[/.])")
"""Of a checkpoint, whose files hold the time."""


def contents(*folders: Path) -> Callable[[], dict[str, bytes]]:
    """Function that reads all files but `UNLIKE` and checkpoints."""

    def read() -> dict[str, bytes]:
        found = {}
        for folder in folders:
            for file in sorted(folder.rglob("*")):
                if file.is_dir() or file.name in UNLIKE or "checkpoints" in file.parts:
                    continue
                content, name = file.read_bytes(), str(file.relative_to(folder))
                if file.suffix == ".json":
                    content = FINGERPRINT.sub(b"", content)
                found[FINGERPRINT.sub(b"", name.encode()).decode()] = content
        return found

    return read


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 75, "stopped by SIGTERM"),
        (signal.SIGHUP, 75, "stopped by SIGHUP"),
    ],
)
def test_a_signal_during_the_imports_is_one_line(
    number: signal.Signals, code: int, words: str, place: Path
) -> None:
    command = StoppedCommand(["train", "mine.yaml", "train.steps=9"], place, dict)
    process = command.start()
    while not catches(process):
        assert process.poll() is None
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=GRACE)
    assert (process.returncode, said) == (code, f"svt: {words}\n")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", WORDS)
def test_signals_at_random_moments(command: str, place: Path) -> None:
    for number in range(12):
        write_video(place / "videos" / f"{number}.mp4", moving_square(24 + number))
    recipe = (place / "mine.yaml").read_text()
    recipe = recipe.replace("source: gone", "source: videos, frames: 8")
    (place / "whole.yaml").write_text(recipe.replace("steps: 3", "steps: 40"))
    runs = place / "runs"
    folders = {
        "prepare": [place / "out"],
        "sample": [place / "out"],
        "eval": [runs / "mine" / "eval", runs / "mine" / "samples"],
        "run": [runs / "whole", place / "clips" / "whole"],
    }[command]
    tested = StoppedCommand(WORDS[command].split(), place, contents(*folders))

    def reset() -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    stop_at_random(tested, TIMES, 7, reset)
    assert not list(place.rglob("*.work"))
    assert not list(place.rglob("*.part"))
