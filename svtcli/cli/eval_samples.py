"""`svt eval SAMPLES --reference CLIPS`: samples of any model against clips."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svtcli.cli import console
from svtcli.cli.eval_tables import result_text
from svtcli.cli.flags import flag
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.evaluate.foreign import Videos
    from svtcli.evaluate.plan import MetricsPlan


ARRAYS = (".npy", ".npz")


def refuse_idle(flags: Iterable[str], metrics: Collection[str]) -> None:
    """Refuse settings, given as flags, that none of the metrics reads."""
    from svtcli.evaluate.metrics import metrics_reading

    for name in flags:
        readers = metrics_reading(name)
        if not set(readers).intersection(metrics):
            raise Refused(
                f"{flag(name)}: no metric that is asked for depends on it",
                f"ask for one that does, as with --metric {readers[0]}",
            )


def is_run(source: str) -> bool:
    """Tell a run or a checkpoint from videos."""
    from svtcli.run.directory import runs_root

    path, videos = Path(source), Path(source.partition(":")[0])
    if any((folder / "recipe.yaml").is_file() for folder in (path, runs_root() / path)):
        return True
    if path.parent.name == "checkpoints":
        return True
    return not videos.exists() and videos.suffix not in ARRAYS


def score_samples(
    sources: list[str],
    reference: str | None,
    flags: dict[str, Any],
    frames: int | None,
    prime: int | None,
    clips: int | None,
    i3d: Path | None,
    out: Path | None,
    allow_lossy: bool,
    per_frame: bool,
    dry_run: bool,
) -> None:
    """Measure each of `sources` against `reference`; None for its own ground truth.

    `flags` are keys of the recipe's section `eval`.
    """
    if out is not None and len(sources) > 1:
        raise Refused(f"--out {out}: one file, and {len(sources)} samples")
    from svtcli.evaluate.foreign import open_videos
    from svtcli.evaluate.plan import plan_metrics
    from svtcli.recipe.schema import Compare

    settings = replace(Compare(metrics=("fvd",)), **flags)
    given = sorted(flags.keys() - {"metrics"}) + (["i3d"] if i3d else [])
    refuse_idle(given, settings.metrics)
    plans = []
    for source in sources:
        samples = open_videos(source, frames, allow_lossy)
        against = _reference(samples, source, reference, frames, allow_lossy)
        plans.append(plan_metrics(samples, against, settings, prime, clips, i3d, out))
    if dry_run:
        lines = [_describe(plan) for plan in plans]
        facts = {"samples": sources, "reference": reference, "dry_run": True}
        console.show("\n".join(lines), facts)
        return
    # Only now, for it brings jax: a refusal is printed at once.
    from svtcli.evaluate.measure import measure
    from svtcli.evaluate.results import result_data

    results = [measure(plan, console.progress()) for plan in plans]
    data = {"comparisons": [result_data(each) for each in results], "dry_run": False}
    console.show(result_text((), results, per_frame), data)
    if out is not None:
        console.note(f"written to {out}")


def _reference(
    samples: "Videos",
    source: str,
    reference: str | None,
    frames: int | None,
    allow_lossy: bool,
) -> "Videos":
    """Open the reference clips; a folder of our samples holds its own."""
    from svtcli.evaluate.foreign import PreparedVideos, open_videos

    if reference is None and samples.facts is None:
        raise Refused(
            f"{source}: these samples have no ground truth beside them",
            "name real clips with --reference: an array, frames, or CLIPS:SPLIT",
        )
    if reference is None:
        return replace(
            open_videos(source, frames, allow_lossy, truth=True),
            name=f"{source}, truth",
        )
    ours = (Path(reference) / "samples.json").is_file()
    truth = open_videos(reference, frames, allow_lossy, truth=ours)
    too_short = truth.frames < samples.frames and frames is None
    if too_short and isinstance(truth, PreparedVideos):
        # Pass over clips that are shorter than the samples.
        return open_videos(reference, samples.frames, allow_lossy)
    return truth


def _describe(plan: "MetricsPlan") -> str:
    """One line for --dry-run."""
    settings, real, fake = plan.settings, plan.real, plan.fake
    trials = f", {settings.trials} trials" if settings.trials > 1 else ""
    done = " (done)" if plan.finished else ""
    return (
        f"would measure {', '.join(settings.metrics)} of {plan.clips_per_trial} "
        f"samples{trials} of {fake.videos.name} against {len(real.rows)} clips of "
        f"{real.videos.name}{done}"
    )
