"""Faults that only a GPU can show, tried by the commands that a user types.

Bit-for-bit equality of an interrupted and an uninterrupted training, and of a repeated
one, with XLA's own choice of kernels and with deterministic ones, and the cost of the
latter; the message when the device has too little memory; the findings of `svt doctor`.
Needs the digits of `learning.py --digits`.

    python benchmarks/faults_on_gpu.py --work WORK --digits DIGITS > faults.md
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import print_rows, print_title
from safetensors.numpy import load_file
from user import ROOT

from svtcli.run.directory import RunFolder
from svtcli.run.metrics_log import read_metrics

RECIPE = "moving_mnist_small"
SMALL = (
    *("data.clips=clips/faults", "data.train=64", "data.test=8", "train.log_every=1"),
    "train.save_every=1000",
)
WIDE = ("model.d=256", "model.decoder_layers=4")
"""Wide enough for a GPU to have a choice of kernels."""
WAYS = {
    "as XLA chooses": "",
    "deterministic": "--xla_gpu_deterministic_ops=true",
}
FIRST = "once_bfloat16_as_XLA_chooses"
TOO_LARGE = {
    "svt train": ("train", RECIPE, "train.batch=16384", "--run", "too_large"),
    "svt sample": (
        *("sample", FIRST, "--schedule", "sequential"),
        *("--count", "8", "--per-prime", "8192", "--batch", "65536"),
    ),
}
KEPT = ("svt: error:", "hint:", "Traceback")
"""Prefixes of the output lines that are shown."""


class Place:
    """A folder with digits, where commands are run until the time is over."""

    def __init__(self, work: Path, digits: Path, budget: float, tiny: bool) -> None:
        self.work, self.budget = work.resolve(), budget
        self.until = time.monotonic() + budget
        self.work.mkdir(parents=True, exist_ok=True)
        self.steps = 4 if tiny else 40
        wide = () if tiny else WIDE
        self.given = (*SMALL, *wide, f"data.source={digits.resolve()}")

    def late(self, reserve: float = 0.0) -> bool:
        """Return True if less than that share of the time is left."""
        return time.monotonic() > self.until - reserve * self.budget

    def svt(self, *words: str, flags: str = "") -> subprocess.CompletedProcess[str]:
        """A command and what it says; exit 124 where it ran out of time."""
        paths = [f"{ROOT}", *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip(),
            "SVT_COMPILATION_CACHE": "",  # a kept program would hide a choice
        }
        limit = max(10.0, self.until - time.monotonic())
        command = [sys.executable, "-m", "svtcli", *words]
        try:
            return subprocess.run(
                command, cwd=self.work, env=environment, capture_output=True,
                text=True, timeout=limit, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            said = (late.stderr or b"").decode(errors="replace")
            return subprocess.CompletedProcess(command, 124, "", said)

    def prepare(self) -> None:
        """Clips. Errors: RuntimeError."""
        done = self.svt("run", RECIPE, *self.given, "--to", "prepare", "-q")
        if done.returncode:
            raise RuntimeError(f"prepare: exit {done.returncode}: {_last(done.stderr)}")

    def train(self, run: str, *steps: int, flags: str, precision: str) -> None:
        """A run to each of `steps`, one command after the other."""
        changes = (*self.given, f"train.precision={precision}")
        for each in steps:
            words = ("train", RECIPE, *changes, "--run", run, "--steps", f"{each}")
            done = self.svt(*words, flags=flags)
            if done.returncode:
                raise RuntimeError(f"exit {done.returncode}: {_last(done.stderr)}")

    def losses(self, run: str) -> list[Any]:
        """Loss of every step, as logged."""
        rows = read_metrics(RunFolder(self.work / "runs" / run).metrics)
        return [(row["step"], row["loss"]) for row in rows if "loss" in row]

    def weights(self, run: str) -> str:
        """A hash of the last checkpoint's weights, bit for bit."""
        file = self.work / f"{run}.safetensors"
        self.svt("runs", "export", run, f"{file}", "--force")
        arrays = sorted(load_file(file).items())  # the file itself names the run
        parts = b"".join(name.encode() + each.tobytes() for name, each in arrays)
        return hashlib.sha256(parts).hexdigest()


def same_rows(place: Place) -> Iterator[tuple]:
    """A run, the same run again, and one that is stopped and resumed."""
    for precision in ("bfloat16", "float32"):
        for way, flags in WAYS.items():
            if place.late(0.35):
                return
            end = f"{precision}_{way.replace(' ', '_')}"
            try:
                yield _same(place, precision, way, flags, end)
            except (RuntimeError, OSError) as error:
                yield (precision, way, str(error)[:120], *[""] * 3)


def _same(
    place: Place, precision: str, way: str, flags: str, end: str
) -> tuple[object, ...]:
    N = place.steps
    ways = {"once": (N,), "again": (N,), "resumed": (N // 2, N)}
    for name, steps in ways.items():
        place.train(f"{name}_{end}", *steps, flags=flags, precision=precision)
    losses = {name: place.losses(f"{name}_{end}") for name in ways}
    weights = {name: place.weights(f"{name}_{end}") for name in ways}
    rows = read_metrics(RunFolder(place.work / "runs" / f"once_{end}").metrics)
    rates = sorted(row["slices_per_second"] for row in rows if "loss" in row)
    return (
        precision,
        way,
        *(
            f"{_equal(losses, name)} of {N} losses, weights "
            f"{'equal' if weights[name] == weights['once'] else 'DIFFER'}"
            for name in ("again", "resumed")
        ),
        f"{rates[len(rates) // 2]:.0f}",
    )


def _equal(losses: dict[str, list[Any]], name: str) -> int:
    pairs = zip(losses["once"], losses[name], strict=False)
    return sum(one == other for one, other in pairs)


def memory_rows(place: Place) -> Iterator[tuple]:
    """Message and exit code where memory is too small."""
    for name, words in TOO_LARGE.items():
        if place.late(0.05):
            return
        given = place.given if words[0] == "train" else ()
        begun = time.monotonic()
        done = place.svt(*words, *given)
        said = [line for line in done.stderr.splitlines() if line.startswith(KEPT)]
        spent = time.monotonic() - begun
        yield name, done.returncode, f"{spent:.0f}", " / ".join(said)[:600]


def _last(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1] if lines else ""


def main() -> None:
    """Try and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    place = Place(asked.work, asked.digits, asked.seconds, asked.tiny)
    print_title("Faults that only a GPU can show")
    place.prepare()
    header = ("precision", "kernels", "the same run again", "stopped and resumed",
              "slices/s")  # fmt: skip
    print_rows(header, same_rows(place))
    print("\nToo little memory:\n")
    print_rows(("command", "exit", "s", "what it says"), memory_rows(place))
    print("\n`svt doctor`:\n\n```")
    print(place.svt("doctor").stdout.strip())
    print("```")


if __name__ == "__main__":
    main()
