"""`svt eval SAMPLES`: samples of any model, statistics of clips, result cards."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from svtcli.cli import console
from svtcli.cli.eval_scoring import refuse_idle
from svtcli.cli.eval_tables import result_text
from svtcli.failure import Refused
from svtcli.run.progress import counted

if TYPE_CHECKING:
    from svtcli.evaluate.card import SamplesCall
    from svtcli.evaluate.foreign.videos import Videos
    from svtcli.evaluate.plan import MetricsPlan

CARDS = (".json", ".md", ".tex")
"""Endings of result cards: a whole one, or a row of a table."""


def score_samples(
    call: "SamplesCall",
    out: Path | None,
    save_stats: Path | None,
    card: Path | None,
    per_frame: bool,
    dry_run: bool,
) -> None:
    """Measure samples against their reference; write scores, statistics and card."""
    sources = call.sources
    if out is not None and len(sources) > 1:
        raise Refused(f"--out {out}: one file, and {len(sources)} samples")
    _refuse_existing("--save-stats", save_stats, (".npz",))
    _refuse_existing("--card", card, CARDS)
    if save_stats:
        _refuse_convention(call)
    plans = _metrics_plans(call, out)
    if save_stats and len(plans) > 1 and call.reference is None:
        raise Refused(f"--save-stats {save_stats}: one file, and {len(plans)} samples")
    if dry_run:
        lines = [_describe_metrics(plan) for plan in plans]
        facts = {
            "samples": list(sources),
            "reference": call.reference,
            "warnings": [line for plan in plans for line in plan.warnings],
            "dry_run": True,
        }
        console.show("\n".join(lines), facts)
        return
    # Only now, for it brings jax: a refusal is printed at once.
    from svtcli.evaluate.card import Card, write_card
    from svtcli.evaluate.measure import measure, save_statistics
    from svtcli.evaluate.results import result_data

    written = [plan.out for plan in plans if plan.out and not plan.finished]
    if save_stats:
        save_statistics(plans[0], save_stats, console.progress())
        written.append(save_stats)
    results = [measure(plan, console.progress()) for plan in plans]
    if card:
        write_card(card, Card(call, tuple(results)))
        written.append(card)
    data = {"comparisons": [result_data(each) for each in results], "dry_run": False}
    console.show(result_text((), results, per_frame), data)
    for path in written:
        console.note(f"written to {path}")


def save_statistics_of(call: "SamplesCall", path: Path, dry_run: bool) -> None:
    """Write the statistics of clips alone, for FVD without them."""
    from svtcli.evaluate.foreign import open_videos
    from svtcli.evaluate.plan import plan_metrics
    from svtcli.recipe.schema import Compare

    _refuse_existing("--save-stats", path, (".npz",))
    _refuse_convention(call)
    if len(call.sources) > 1:
        raise Refused(f"--save-stats {path}: one file, and {len(call.sources)} sets")
    settings = replace(Compare(metrics=("fvd",)), **call.settings)
    for name in set(settings.metrics) - {"fvd", "fvd-avg"}:
        raise Refused(
            f"--metric {name}: statistics of clips serve FVD alone",
            "use fvd or fvd-avg, or name samples and --reference CLIPS",
        )
    (source,) = call.sources
    if flags := call.reference_form.flags(
        call.reference_form.layout, call.reference_form.range
    ):
        raise Refused(f"{flags}: there is no --reference", "leave them out")
    clips = open_videos(source, call.frames, call.allow_lossy, stated=call.form)
    i3d = Path(call.i3d) if call.i3d else None
    plan = plan_metrics(clips, clips, settings, call.prime, call.clips, i3d)
    windows = counted(len(plan.starts), "window")
    line = (
        f"statistics of {counted(len(plan.real.rows), 'clip')} of {source}, {windows}"
    )
    facts = {"statistics": str(path), "clips": len(plan.real.rows), "dry_run": dry_run}
    if dry_run:
        console.show(f"would save {line}: {path}", facts)
        return
    from svtcli.evaluate.measure import save_statistics

    save_statistics(plan, path, console.progress())
    console.show(f"{line}: {path}", facts)


def _refuse_convention(call: "SamplesCall") -> None:
    """Refuse statistics under another convention than the published code's."""
    if (convention := call.settings.get("convention", "tf")) != "tf":
        raise Refused(
            f"--convention {convention}: statistics are saved under tf alone",
            "leave it out",
        )


def check_card(
    path: Path,
    sources: tuple[str, ...],
    reference: str | None,
    i3d: Path | None,
    per_frame: bool,
) -> None:
    """Recompute a card's scores, perhaps from other places, and compare them."""
    from svtcli.evaluate.card import check_inputs, compare, read_card
    from svtcli.evaluate.measure import measure
    from svtcli.evaluate.results import result_data

    card = read_card(path)
    settings = card.results[0].settings  # validated
    call = replace(
        card.call,
        settings={name: getattr(settings, name) for name in card.call.settings},
        sources=sources or card.call.sources,
        reference=reference or card.call.reference,
        i3d=str(i3d) if i3d else card.call.i3d,
    )
    if len(call.sources) != len(card.results):
        raise Refused(
            f"{path}: a card of {counted(len(card.results), 'set')} of samples, not of "
            f"{len(call.sources)}"
        )
    plans = _metrics_plans(call, None)
    check_inputs(path, card, plans)
    results = [measure(plan, console.progress()) for plan in plans]
    count = compare(path, card, results)
    data = {"comparisons": [result_data(each) for each in results], "agree": count}
    console.show(
        f"{result_text((), results, per_frame)}\n\nall {count} numbers agree with "
        f"{path}",
        data,
    )


def _refuse_existing(name: str, path: Path | None, endings: Collection[str]) -> None:
    if path is None:
        return
    if path.suffix not in endings:
        raise Refused(f"{name} {path}: its ending should be {' or '.join(endings)}")
    if path.exists():
        raise Refused(f"{path}: already exists", "choose another, or move it away")


def _metrics_plans(call: "SamplesCall", out: Path | None) -> "list[MetricsPlan]":
    """Open both sides of every set of samples, and check all before any is scored."""
    from svtcli.evaluate.foreign import open_videos
    from svtcli.evaluate.plan import plan_metrics
    from svtcli.recipe.schema import Compare

    flags = call.settings
    settings = replace(Compare(metrics=("fvd",)), **flags)
    given = sorted(flags.keys() - {"metrics"}) + (["i3d"] if call.i3d else [])
    refuse_idle(given, settings.metrics)
    i3d = Path(call.i3d) if call.i3d else None
    plans = []
    for source in call.sources:
        samples = open_videos(source, call.frames, call.allow_lossy, stated=call.form)
        against = _reference(samples, source, call)
        plans.append(
            plan_metrics(samples, against, settings, call.prime, call.clips, i3d, out)
        )
    return plans


def _reference(samples: "Videos", source: str, call: "SamplesCall") -> "Videos":
    """Open the reference clips; a folder of our samples holds its own."""
    from svtcli.evaluate.foreign import open_videos
    from svtcli.evaluate.foreign.videos import PreparedVideos, check_reference
    from svtcli.evaluate.fvd.statistics import is_statistics, read_statistics

    reference, stated = call.reference, call.reference_form
    if reference is None and samples.facts is None:
        raise Refused(
            f"{source}: these samples have no ground truth beside them",
            "name real clips with --reference: an array, frames, or CLIPS:SPLIT",
        )
    flags = stated.flags(stated.layout, stated.range)
    if reference is None:
        if flags:
            raise Refused(f"{flags}: there is no --reference", "leave them out")
        return replace(
            open_videos(source, call.frames, call.allow_lossy, truth=True),
            name=f"{source}, truth",
        )
    if is_statistics(Path(reference)):
        if flags:
            raise Refused(f"{flags}: {reference} holds statistics", "leave them out")
        return read_statistics(Path(reference), reference)
    ours = (Path(reference) / "samples.json").is_file()
    truth = open_videos(reference, call.frames, call.allow_lossy, ours, stated)
    check_reference(truth)
    too_short = truth.frames < samples.frames and call.frames is None
    if too_short and isinstance(truth, PreparedVideos):
        # Pass over clips that are shorter than the samples.
        return open_videos(reference, samples.frames, call.allow_lossy)
    return truth


def _describe_metrics(plan: "MetricsPlan") -> str:
    """Line for --dry-run, and one for each warning."""
    settings, real, fake = plan.settings, plan.real, plan.fake
    warned = "".join(f"\n  ! {warning}" for warning in plan.warnings)
    trials = f", {settings.trials} trials" if settings.trials > 1 else ""
    done = " (done)" if plan.finished else ""
    return (
        f"would measure {', '.join(settings.metrics)} of {plan.clips_per_trial} "
        f"samples{trials} of {fake.videos.name} against {len(real.rows)} clips of "
        f"{real.videos.name}{done}{warned}"
    )
