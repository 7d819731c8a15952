"""`svt eval SAMPLES --reference CLIPS`: samples of any model against clips."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svtcli.cli import console
from svtcli.cli.eval_tables import comparison_text, curves_text
from svtcli.failure import Refused

if TYPE_CHECKING:
    from svtcli.evaluate.comparison_plan import ComparisonPlan
    from svtcli.evaluate.foreign import Videos


ARRAYS = (".npy", ".npz")
NEEDS: dict[str, tuple[str, ...]] = {
    "window": ("fvd", "fvd-avg", "kvd"),
    "stride": ("fvd-avg",),
    "resize": ("fvd", "fvd-avg", "kvd"),
    "i3d": ("fvd", "fvd-avg", "kvd"),
    "gray": ("ssim",),
    "lpips": ("lpips",),
}
"""Which metrics a setting is for; the others are for every one that sees samples."""
FLAGS = {"temperature": "temp", "lpips": "lpips-net"}
"""Where a flag is not called as its setting."""


def refuse_idle(flags: Iterable[str], metrics: Collection[str]) -> None:
    """Refuse settings, given as flags, that no metric would look at."""
    of_samples = [metric for metric in metrics if metric != "likelihood"]
    for name in flags:
        if not set(NEEDS.get(name, of_samples)).intersection(of_samples):
            flag = f"--{FLAGS.get(name, name).replace('_', '-')}"
            needs = NEEDS.get(name, ("fvd",))
            raise Refused(
                f"{flag}: no metric that is asked for looks at it",
                f"ask for one that does, as with --metric {needs[0]}",
            )


def is_run(source: str) -> bool:
    """Whether it is to be taken as a run or a checkpoint, not as videos."""
    from svtcli.run.directory import runs_root

    path, videos = Path(source), Path(source.partition(":")[0])
    if any((folder / "recipe.yaml").is_file() for folder in (path, runs_root() / path)):
        return True
    if path.parent.name == "checkpoints":
        return True
    return not videos.exists() and videos.suffix not in ARRAYS


def compare_videos(
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
    """Measure each of `sources` against `reference`, None for the truth beside it.

    `flags` are settings of the recipe's section `eval` that this call changes.
    """
    if out is not None and len(sources) > 1:
        raise Refused(f"--out {out}: one file, and {len(sources)} samples")
    # Only now, for it brings jax: a typo is answered at once.
    from svtcli.evaluate.compare import compare
    from svtcli.evaluate.comparison import comparison_data
    from svtcli.evaluate.comparison_plan import plan_comparison
    from svtcli.evaluate.foreign import open_videos
    from svtcli.recipe.schema import Compare

    settings = replace(Compare(metrics=("fvd",)), **flags)
    refuse_idle(sorted(flags.keys() - {"metrics"}), settings.metrics)
    refuse_idle(["i3d"] if i3d else [], settings.metrics)
    plans = []
    for source in sources:
        samples = open_videos(source, frames, allow_lossy)
        against = _reference(samples, source, reference, frames, allow_lossy)
        plans.append(
            plan_comparison(samples, against, settings, prime, clips, i3d, out)
        )
    if dry_run:
        lines = [_said(plan) for plan in plans]
        data = {"samples": sources, "reference": reference, "dry_run": True}
        console.show("\n".join(lines), data)
        return
    found = [compare(plan, console.progress()) for plan in plans]
    text = comparison_text(found)
    if per_frame and (curves := curves_text(found)):
        text += f"\n\n{curves}"
    numbers = [comparison_data(each) for each in found]
    console.show(text, {"comparisons": numbers, "dry_run": False})
    if out is not None:
        console.note(f"written to {out}")


def _reference(
    samples: "Videos",
    source: str,
    reference: str | None,
    frames: int | None,
    allow_lossy: bool,
) -> "Videos":
    """The clips on the other side; of a folder of ours, they lie in it."""
    from svtcli.evaluate.foreign import open_videos

    if reference is None and samples.facts is None:
        raise Refused(
            f"{source}: what should these samples look like?",
            "name the true clips with --reference: an array, frames, or CLIPS:SPLIT",
        )
    if reference is None:
        return replace(
            open_videos(source, frames, allow_lossy, truth=True),
            name=f"{source}, truth",
        )
    ours = (Path(reference) / "samples.json").is_file()
    truth = open_videos(reference, frames, allow_lossy, truth=ours)
    if truth.frames < samples.frames and frames is None and _is_prepared(truth):
        # Its shortest clip decided. With those passed over there may be enough.
        return open_videos(reference, samples.frames, allow_lossy)
    return truth


def _is_prepared(videos: "Videos") -> bool:
    from svtcli.evaluate.foreign.prepared import PreparedVideos

    return isinstance(videos, PreparedVideos)


def _said(plan: "ComparisonPlan") -> str:
    """What would be done, in a line."""
    settings, real = plan.settings, plan.real
    fakes = len(plan.fake.rows) * settings.per_prime
    trials = f", {settings.trials} trials" if settings.trials > 1 else ""
    done = " (done)" if plan.finished else ""
    return (
        f"would measure {', '.join(settings.metrics)} of {fakes} samples{trials} of "
        f"{plan.samples.name} against {len(real.rows)} clips of {real.videos.name}"
        f"{done}"
    )
