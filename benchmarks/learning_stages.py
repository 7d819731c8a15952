"""The stages of `learning.py`, each by the command that a user would type."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from learning_page import Page, Section
from user import STOPPED, Failed, User

from svtcli.recipe.schema import UNITS

Change = tuple[str, str, str | None, str]
"""Key of a recipe, its value here, with --tiny (None: the same), and why."""
LARGEST = 500_000
"""Bytes of a picture that is shown in a README."""


@dataclass(frozen=True)
class Track:
    """A run from nothing to its pictures."""

    name: str
    recipe: str
    clips: str
    """The folder of its clips."""
    changes: tuple[Change, ...]
    title: str
    unit: str
    metrics: str
    halves: int
    """SIGTERM ends each of them."""
    best: bool
    """Use the checkpoint with the best score instead of the last."""
    memory: float
    """Share of the device's."""
    strips: tuple[str, ...]
    """Flags of its PNG; the next ones where the file is larger than `LARGEST`."""
    films: tuple[str, ...]
    """The same of its GIF."""

    @property
    def run(self) -> str:
        return f"{self.name}_gpu"


@dataclass(frozen=True)
class Call:
    """A track while it runs."""

    track: Track
    user: User
    section: Section
    page: Page
    overrides: tuple[str, ...]
    out: Path
    train_until: float

    def all(self) -> None:
        """Every stage; one that fails is told, and the next one is tried."""
        checkpoint, samples = self.track.run, self.track.run
        if self.tried(self.prepare):
            self.tried(self.train)
        checkpoint = self.tried(self.checkpoint) or checkpoint
        samples = self.tried(lambda: self.sample(checkpoint)) or samples
        self.tried(lambda: self.picture(samples, "png", self.track.strips))
        if find_spec("imageio_ffmpeg"):
            self.tried(lambda: self.picture(samples, "gif", self.track.films))
        else:
            self.section.facts.append("no ffmpeg here: no film was drawn")
        self.tried(self.curves)
        self.tried(lambda: self.score(checkpoint))

    def tried(self, stage: Callable[[], Any]) -> Any:
        """Return a stage's result; None, and a line on the page, if it fails."""
        try:
            return stage()
        except Exception as error:  # whatever it is, the others still run
            known = isinstance(error, Failed)
            said = f"{error}" if known else f"{type(error).__name__}: {error}"
            self.section.failures.append(said.replace("\n", " ")[:400])
            return None
        finally:
            self.page.write()

    def prepare(self) -> bool:
        """Clips, in seconds, where they are not there already."""
        if (self.user.work / "clips" / self.track.clips / "manifest.json").is_file():
            return True
        words = (self.track.recipe, *self.overrides, "--run", self.track.run)
        self.user.svt("run", *words, "--to", "prepare", limit=60)
        return True

    def train(self) -> None:
        """Train and stop by SIGTERM, once per half."""
        words = (self.track.recipe, *self.overrides, "--run", self.track.run)
        begun, section = time.monotonic(), self.section
        for half in range(1, self.track.halves + 1):
            if half > 1 and time.monotonic() > self.train_until - 10:
                section.failures.append("svt train: no time was left to go on")
                break
            stop_at = begun + (self.train_until - begun) * half / self.track.halves
            before = len(section.trained)

            def has_begun(before: int = before) -> bool:
                self.page.write()
                return len(section.trained) > before

            code = self.user.train(words, stop_at, has_begun)
            what = "stopped by SIGTERM" if code == STOPPED else "finished"
            saved = max(_checkpoints(section.run), default=0)
            after = f"{time.monotonic() - begun:.0f} s"
            section.facts.append(f"{what} after {after}: exit {code}, step {saved:,}")
        sizes = self.user.said(r"compiling the step: ([\d,]+) parameters")
        spent = self.user.said(r"compiled in ([\d.]+) s")
        section.facts.append(
            f"{sizes[-1]} parameters; the step compiled in {', then '.join(spent)} s"
        )
        section.check_steps()

    def checkpoint(self) -> str:
        """Name of the checkpoint to sample and score."""
        saved, name = _checkpoints(self.section.run), f"validation_{self.track.unit}"
        if not saved:
            raise Failed("there is no checkpoint")
        scores = {int(row["step"]): row[name] for row in self.section.validations}
        scored = [step for step in saved if step in scores] if self.track.best else []
        step = min(scored, key=scores.__getitem__) if scored else max(saved)
        how = "the saved step with the best held-out score" if scored else "the last"
        self.section.facts.append(f"sampled and scored: step {step:,}, {how}")
        return f"{self.track.run}@{step}"

    def sample(self, checkpoint: str) -> str:
        """Continuations of held-out clips; their folder."""
        begun = time.monotonic()
        made = self.user.svt("sample", checkpoint, limit=0.6 * self.user.left())
        self.section.facts.append(
            f"`svt sample` took {time.monotonic() - begun:.0f} s, compiling included"
        )
        return made["samples"]

    def picture(self, samples: str, kind: str, ways: tuple[str, ...]) -> None:
        """A strip or a film, copied to OUT."""
        place = ("--out", f"shown/{self.track.name}", "--force")
        for flags in ways:
            words = ("render", samples, "--format", kind, *flags.split(), *place)
            made = self._copy(
                self.user.svt(*words, limit=30), f"{self.track.name}.{kind}"
            )
            if made.stat().st_size <= LARGEST:
                return

    def curves(self) -> None:
        """The curves of training, copied to OUT."""
        place = ("--out", f"shown/{self.track.name}_curve", "--force")
        words = ("render", self.track.run, "--format", "curves", *place)
        self._copy(self.user.svt(*words, limit=30), f"{self.track.name}_curve.png")

    def score(self, checkpoint: str) -> None:
        """`svt eval`, within what is left."""
        words = ("eval", checkpoint, "--metric", self.track.metrics)
        found = self.user.svt(*words, limit=self.user.left() - 2)
        for each in found["evaluations"]:
            of = f"{each['clips']} {each['split']} clips, {each['precision']}"
            for row in each["rows"]:
                score = f"{row['mean']:.3f} {UNITS[each['unit']]}"
                self._score(row["model"], score, row["error"], of)
            if (bound := each["lower_bound"]) is not None:
                self._score("lower bound of these clips", f"{bound:.3f}", None, of)
        for each in found["comparisons"]:
            for name, quality in each["quality"].items():
                of = f"the samples, {each['samples']['clips']} clips"
                score = f"{quality['mean_of_k']:.3f}{' dB' if name == 'psnr' else ''}"
                self._score(name.upper(), score, quality["mean_error"], of)

    def _score(self, what: str, score: str, error: float | None, of: str) -> None:
        told = "" if error is None else f"{error:.3f}"
        self.section.scores.append((what, score, told, of))

    def _copy(self, made: dict[str, Any], name: str) -> Path:
        return shutil.copyfile(self.user.work / made["files"][0], self.out / name)


def _checkpoints(run: Path) -> list[int]:
    folder = run / "checkpoints"
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal())
