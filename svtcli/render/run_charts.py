"""render, of runs: how training went, and FVD window by window (Fig. 2), as curves.

training.png   what was trained on and, where a run looked at them, held-out clips
fvd.png        FVD of every window of the samples, ± std over trials; where there is any
curves.json    what they were made from; written last, so its presence means "whole"
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from svtcli.evaluate.comparison import (
    Comparison,
    Fvd,
    is_comparison,
    read_comparison,
)
from svtcli.failure import Refused
from svtcli.render.output_paths import drawing_aside, free_places
from svtcli.render.panels import Curve, Panel
from svtcli.run.directory import RunFolder
from svtcli.run.durable import write_atomic
from svtcli.run.fingerprint import fingerprint, fingerprint_file
from svtcli.run.metrics_log import Row, read_metrics
from svtcli.run.progress import Progress
from svtcli.video.encode import write_png

TRAINING, FVD = "training.png", "fvd.png"
RECORD = "curves.json"
UNITS = {"bits_per_dim": "bits/dim", "nats_per_frame": "nats/frame"}
TELLING = {
    "temperature": "temp {:g}",
    "top_k": "top-k {}",
    "top_p": "top-p {}",
    "precision": "{}",
    "seed": "seed {}",
}
"""Facts of samples that are said where they are not the same of all curves."""


@dataclass(frozen=True)
class CurvesRecord:
    """What `curves.json` says."""

    fingerprint: str
    """Of all files that were read; `curves_fresh` compares it."""
    runs: tuple[str, ...]
    files: tuple[str, ...]


def draw_curves(
    runs: Sequence[RunFolder], out: Path, progress: Progress, force: bool = False
) -> list[Path]:
    """Draw the curves of the runs into `out`; the pictures' paths.

    Errors: Refused where the runs have no curve yet or, without `force`, a picture
    stands already; BadData for files of a run that are not what they should be.
    """
    from svtcli.render.charts import draw_panels  # matplotlib takes its time

    made_from = _fingerprint(runs)
    panels = _something(runs)
    pictures = free_places(out, list(panels), force)
    with drawing_aside(out) as aside:
        progress.begin("draw", len(panels), "pictures")
        for done, (name, some) in enumerate(panels.items(), start=1):
            write_png(aside / name, draw_panels(some))
            progress.advance(done, {"file": name})
        progress.end()
        (out / RECORD).unlink(missing_ok=True)
        for picture in pictures:
            (aside / picture.name).replace(picture)
    record = CurvesRecord(made_from, tuple(run.name for run in runs), tuple(panels))
    write_atomic(out / RECORD, json.dumps(asdict(record), indent=2) + "\n")
    return pictures


def planned_curves(
    runs: Sequence[RunFolder], out: Path, force: bool = False
) -> list[Path]:
    """The pictures that `draw_curves` would write; refuses what it refuses."""
    return free_places(out, list(_something(runs)), force)


def curves_fresh(runs: Sequence[RunFolder], out: Path) -> bool:
    """Whether `out` already holds what `draw_curves` would draw."""
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
        same = record["fingerprint"] == _fingerprint(runs)
        return same and all((out / name).is_file() for name in record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _fingerprint(runs: Sequence[RunFolder]) -> str:
    files = (file for run in runs for file in (run.metrics, *_evaluations(run)))
    return fingerprint(
        "curves",
        *(run.name for run in runs),
        *(fingerprint_file(file) for file in files if file.is_file()),
    )


def _evaluations(run: RunFolder) -> list[Path]:
    return sorted(run.eval.glob("*.json"))


def any_curves(run: RunFolder) -> bool:
    """Whether the run has anything to draw yet."""
    return bool(_panels((run,)))


def _panels(runs: Sequence[RunFolder]) -> dict[str, tuple[Panel, ...]]:
    """What each file shows."""
    panels = {TRAINING: _training(runs), FVD: _unrolled(runs)}
    return {name: some for name, some in panels.items() if some}


def _something(runs: Sequence[RunFolder]) -> dict[str, tuple[Panel, ...]]:
    """The same, or Refused."""
    found = _panels(runs)
    if not found:
        named = ", ".join(str(run.path) for run in runs)
        hint = "curves come of the log of a training, and of svt eval --metric fvd-avg"
        raise Refused(f"{named}: nothing is logged or measured here yet", hint)
    return found


def _training(runs: Sequence[RunFolder]) -> tuple[Panel, ...]:
    """A panel for each unit that the runs were scored in."""
    names = _names(runs)
    logs = [read_metrics(run.metrics) for run in runs]
    title = f"Training of {names[0]}" if len(runs) == 1 else "Training"
    return tuple(
        Panel(title, "step", unit, curves)
        for score, unit in UNITS.items()
        if (curves := tuple(_scores(names, logs, score)))
    )


def _scores(
    names: Sequence[str], logs: Sequence[list[Row]], score: str
) -> Iterator[Curve]:
    """Of each run what was trained on, pale where there is validation beside it."""
    for number, (name, rows) in enumerate(zip(names, logs, strict=True)):
        held_out = _curve(rows, f"validation_{score}")
        trained = _curve(rows, score)
        of = f"{name}, " if len(names) > 1 else ""
        if trained:
            quiet = held_out is not None
            yield Curve(f"{of}training", *trained, of=number, quiet=quiet)
        if held_out:
            yield Curve(f"{of}validation", *held_out, of=number)


def _curve(
    rows: Sequence[Row], name: str
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Steps and values; None if there are none."""
    points = [(float(row["step"]), float(row[name])) for row in rows if name in row]
    if not points:
        return None
    steps, values = zip(*points, strict=True)
    return steps, values


def _names(runs: Sequence[RunFolder]) -> list[str]:
    """Of the runs, if they differ; else their places."""
    names = [run.name for run in runs]
    different = len(set(names)) == len(names)
    return names if different else [str(run.path) for run in runs]


def _unrolled(runs: Sequence[RunFolder]) -> tuple[Panel, ...]:
    """A panel for each protocol: FVD of different ones cannot be compared."""
    found = [
        (compared, fvd)
        for run in runs
        for file in _evaluations(run)
        if is_comparison(file)
        and (fvd := (compared := read_comparison(file)).fvd)
        and len(fvd.starts) > 1
    ]
    # Stable: within a protocol, runs stay in their order.
    found.sort(key=_key)
    panels = groupby(found, key=_key)
    return tuple(_unrolled_panel(note, list(some)) for (note, _), some in panels)


def _key(pair: tuple[Comparison, Fvd]) -> tuple[str, str]:
    """All that FVD depends on beside the samples: the protocol, and the network."""
    return _protocol(*pair), pair[1].weights


def _protocol(compared: Comparison, fvd: Fvd) -> str:
    made = compared.made
    split = [f"split {made.split}"] if made else []
    gray = ["gray"] if compared.settings.gray else []
    return ", ".join(
        [
            *split,
            f"{compared.samples.clips} samples, {compared.reference.clips} clips",
            f"{compared.samples.frames} frames",
            *([f"{compared.prime} of them prime"] if compared.prime else []),
            f"windows of {fvd.window}",
            f"{fvd.resize} resizing",
            *gray,
        ]
    )


def _unrolled_panel(note: str, found: list[tuple[Comparison, Fvd]]) -> Panel:
    curves = tuple(
        Curve(
            label,
            tuple(map(float, fvd.starts)),
            tuple(each.mean for each in fvd.distances.curve),
            _spread(fvd),
            of=number,
        )
        for number, (label, (_, fvd)) in enumerate(
            zip(_labels(found), found, strict=True)
        )
    )
    trials = {compared.trials for compared, _ in found}
    if max(trials) > 1:
        note += f"; band: ± std of {'/'.join(map(str, sorted(trials)))} trials"
    return Panel("Unrolled FVD", "first frame of the window", "FVD", curves, note)


def _spread(fvd: Fvd) -> tuple[float, ...]:
    """Standard deviations of the windows; () of a single trial, which has none."""
    deviations = [each.std for each in fvd.distances.curve]
    return tuple(each for each in deviations if each is not None)


def _labels(found: list[tuple[Comparison, Fvd]]) -> list[str]:
    """Run and step, and what else sets the samples apart; no two alike."""
    made = [compared.made for compared, _ in found]
    telling = {
        name: words
        for name, words in TELLING.items()
        if len({getattr(facts, name) for facts in made if facts}) > 1
    }
    labels: list[str] = []
    for (compared, _), facts in zip(found, made, strict=True):
        label = compared.samples.name
        if facts:
            apart = [
                words.format(getattr(facts, name))
                for name, words in telling.items()
                if getattr(facts, name) is not None
            ]
            label = ", ".join([f"{facts.run}@{facts.step}", *apart])
        again = sum(other.split(" (")[0] == label for other in labels)
        labels.append(f"{label} ({again + 1})" if again else label)
    return labels
