"""Results of `learning.py` so far, as a Markdown page that is always complete."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

from measure import print_rows, print_title

from svtcli.recipe.schema import UNITS
from svtcli.run.metrics_log import Row, read_rows

MOST_ROWS = 10


@dataclass
class Section:
    """One run, and what is known of it."""

    title: str
    run: Path
    unit: str
    """`bits_per_dim` or `nats_per_frame`."""
    changes: Sequence[tuple[str, str, str]]
    """Key of the recipe, value, why."""
    log_every: int
    facts: list[str] = field(default_factory=list)
    scores: list[tuple] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """Rows of metrics.jsonl, in order."""
        return read_rows(self.run / "metrics.jsonl")

    @property
    def validations(self) -> list[Row]:
        """Rows with a score on held-out clips."""
        return [row for row in self.rows if f"validation_{self.unit}" in row]

    @property
    def trained(self) -> list[Row]:
        """Rows of training steps."""
        return [row for row in self.rows if "loss" in row]

    def check_steps(self) -> None:
        """Return True if no logged step is missing or repeated."""
        steps = [int(row["step"]) for row in self.trained]
        scored = [int(row["step"]) for row in self.validations]
        whole = list(range(self.log_every, max(steps, default=0) + 1, self.log_every))
        if not steps:
            self.failures.append("no training step was logged")
        elif steps != whole or len(set(scored)) < len(scored):
            gaps = [f"{a} to {b}" for a, b in pairwise([0, *steps])
                    if b - a != self.log_every]  # fmt: skip
            self.failures.append(f"steps of metrics.jsonl do not go on: {gaps}")
        else:
            self.facts.append(
                f"rows of metrics.jsonl: steps {steps[0]} to {steps[-1]:,} by "
                f"{self.log_every}, no gap and no repeat at the stops"
            )

    def curve(self) -> Iterator[tuple]:
        """Training and held-out score, about ten rows."""
        seconds, since, done = 0.0, list[float](), 0
        found, scores = [], {row["step"]: row for row in self.validations}
        for row in sorted(self.rows, key=lambda row: row["step"]):
            if "loss" in row:
                seconds += (row["step"] - done) / row["steps_per_second"]
                done = row["step"]
                since.append(row[self.unit])
            elif row["step"] in scores and since:
                score = row[f"validation_{self.unit}"]
                mean = sum(since) / len(since)
                found.append((row["step"], seconds, mean, score))
                since = []
        picked = {round(i * (len(found) - 1) / (MOST_ROWS - 1)) for i in range(10)}
        for i in sorted(picked) if found else ():
            step, spent, train, held_out = found[i]
            yield f"{step:,}", f"{spent:.0f}", _number(train), _number(held_out)

    def speed(self) -> str | None:
        """The middle of the logged rates."""
        rates = sorted(row["slices_per_second"] for row in self.trained)
        shares = sorted(row["mfu"] for row in self.trained if "mfu" in row)
        waits = sorted(row["input_wait"] for row in self.trained)
        if not rates:
            return None
        middle = len(rates) // 2
        mfu = f", {shares[middle]:.1%} MFU" if shares else ""
        wait = f"{waits[middle]:.1%} of the time waiting for input"
        return f"in the middle {rates[middle]:.3g} slices/s{mfu}, {wait}"


@dataclass
class Page:
    """Sections of the page; call `write` after a change."""

    path: Path
    about: str
    sections: Sequence[Section]
    lock: Lock = field(default_factory=Lock)

    def write(self) -> None:
        """Put the page in place as it is now."""
        with self.lock, redirect_stdout(StringIO()) as text:
            print_title(f"Learning on {self._device()}")
            print(self.about)
            for section in self.sections:
                _print(section)
            aside = self.path.with_suffix(".part")
            aside.write_text(text.getvalue(), encoding="utf-8")
            aside.replace(self.path)

    def _device(self) -> str:
        """Name of the device as the runs report it; this process never uses it."""
        for section in self.sections:
            file = section.run / "run.json"
            if file.is_file():
                facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
                return ", ".join(facts["devices"])
        return "a device not known yet"


def _print(section: Section) -> None:
    unit = UNITS[section.unit]
    print(f"\n## {section.title}\n")
    facts = [*section.facts, *([speed] if (speed := section.speed()) else [])]
    for fact in facts:
        print(f"- {fact}")
    for failure in section.failures:
        print(f"- **failed**: {failure}")
    print()
    if curve := list(section.curve()):
        header = ("step", "s of training", f"{unit}, training", f"{unit}, held out")
        print_rows(header, curve)
    if section.scores:
        print()
        print_rows(("what", "score", "± s.e.", "of"), section.scores)
    print()
    print_rows(("key", "here", "why"), section.changes)


def _number(score: float) -> str:
    if not math.isfinite(score):
        return "not finite"
    return f"{score:.1f}" if score >= 20 else f"{score:.3f}"
