"""`svt run`, `svt plan` and `svt doctor`: all stages, their cost, this machine."""

import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svtcli.cli import completion, console
from svtcli.cli.eval_tables import result_text
from svtcli.cli.flags import DryRun, Overrides, RecipeName, RunName, load, takes
from svtcli.failure import BadData, CheckFailed, Failure, Refused
from svtcli.recipe.data import VideoData
from svtcli.recipe.schema import STAGES, Stage
from svtcli.recipe.setting import PERCENT, settings_of
from svtcli.run.names import recipe_command, run_argument, samples_argument, typed
from svtcli.run.progress import about, counted
from svtcli.train.memory import host_memory, keep_freed_memory, size

if TYPE_CHECKING:
    from svtcli.project.chain import Results
    from svtcli.project.doctor import Finding
    from svtcli.project.estimate import CostEstimate, EvalCost, SamplingSteps
    from svtcli.recipe.load import LoadedRecipe
    from svtcli.recipe.schema import Sample
    from svtcli.run.directory import RunFolder

NARROW = 60
"""Columns below which tables are wrapped."""


@takes(
    [each for each in settings_of(VideoData) if PERCENT in each.marks],
    {"Options": PERCENT},
)
def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    name: RunName = None,
    first: Annotated[
        Stage | None,
        typer.Option(
            "--from",
            metavar="STAGE",
            help=f"First stage: {', '.join(STAGES)} (default: prepare).",
        ),
    ] = None,
    last: Annotated[
        Stage | None,
        typer.Option("--to", metavar="STAGE", help="Last stage (default: render)."),
    ] = None,
    dry_run: DryRun = False,
    **given: float,
) -> None:
    """Run all stages of a recipe; skip those that are up to date.

    Re-run the same command to resume. -n lists every stage, its state and the reason.

    For example: svt run quickstart
    """
    keep_freed_memory()
    from svtcli.project.chain import chosen_stages, run_chain
    from svtcli.project.survey import refuse_early, survey
    from svtcli.run.directory import run_folder

    changes = [f"data.{key}={value}" for key, value in given.items()]
    loaded = load(recipe, [*(overrides or ()), *changes])
    folder = run_folder(name or loaded.name)
    stages = chosen_stages(first, last)
    if not dry_run:
        results = run_chain(loaded, folder, stages, console.progress())
        _show_results(results)
        _suggest_next(loaded, folder, stages[-1], results)
        return
    refused: Failure | None = None
    try:
        for line in refuse_early(loaded, folder, stages):
            console.note(line)
    except (Refused, BadData) as error:
        if console.settings().json:  # one object
            raise
        refused = error
    found = [each for each in survey(loaded, folder) if each.stage in stages]
    text = console.table(
        ("stage", "state", "why"),
        [(each.stage, each.state, each.why) for each in found],
    )
    console.show(text, {"stages": [asdict(each) for each in found], "dry_run": True})
    if refused is not None:
        raise refused


def _show_results(results: "Results") -> None:
    """Print scores, then the paths of all results."""
    data: dict[str, object] = {"dry_run": False}
    rows: list[tuple[str, object]] = []
    if results.prepared:
        rows.append(("clips", results.prepared.folder))
    if results.trained:
        rows.append(("run", results.trained.run.path))
    if results.samples:
        rows.append(("samples", results.samples))
    data |= {name: str(path) for name, path in rows}
    if results.pictures:
        data["pictures"] = [str(path) for path in results.pictures]
        rows += [(path.suffix[1:], path) for path in results.pictures]
    if results.evaluations or results.comparisons:
        from svtcli.evaluate.results import result_data
    if results.evaluations:
        scores = [result_data(each) for each in results.evaluations]
        data |= {"evaluation": scores[0], "evaluations": scores}
    if results.comparisons:
        data["comparisons"] = [result_data(each) for each in results.comparisons]
    tables = result_text(results.evaluations or (), results.comparisons or ())
    paths = console.table(("", ""), rows) if rows else ""
    console.show("\n\n".join(filter(None, [tables, paths])), data)


def _suggest_next(
    loaded: "LoadedRecipe", run: "RunFolder", last: Stage, results: "Results"
) -> None:
    """Name the two commands that come next."""
    name = run_argument(run)
    if last == "prepare" and results.prepared:
        sheet = typed("svt", "render", results.prepared.folder)
        console.suggest("look at the clips", sheet)
    elif last == "train":
        console.suggest("sample from it", typed("svt", "sample", name))
    elif samples := results.samples or run.newest_samples():
        pages = [path for path in results.pictures or () if path.suffix == ".html"]
        what = f"open {pages[0]} in a browser" if pages else "look at the samples"
        console.suggest(what, typed("svt", "open", samples_argument(samples)))
    if last == "render":
        flags = "--seed", loaded.recipe.sample.seed + 1, "--render"
        more = typed("svt", "sample", name, *flags)
        console.suggest("sample the same clips once more", more)
    else:
        console.suggest("the stages that follow", recipe_command("run", loaded, run))


def plan(
    recipe: RecipeName,
    overrides: Overrides = None,
    run: RunName = None,
    compile_: Annotated[
        bool,
        typer.Option(
            "--compile", help="Compile the training step and show its memory."
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Chip to plan for, such as A100-80GB (default: this machine's).",
            autocompletion=completion.chips,
        ),
    ] = None,
) -> None:
    """Estimate FLOPs, memory and sampling steps of a recipe.

    Also shows which stages are done, and why others are not; writes nothing. The
    devices are those of the recipe's mesh, so that mesh.data=128 is planned on any
    machine. --compile compiles the step as training would, for this machine's kind
    of device, or for simulated CPUs if there are too few.

    Sampling steps are those of one video, by the recipe's section sample: pixels that
    do not depend on each other can be sampled in one parallel step. Blind spots are the
    earlier pixels of its slice that a pixel cannot see (appendix C). Scoring covers
    each split of the section eval.

    For example: svt plan bair_large train.batch=32 --device H100
    """
    from svtcli.run.directory import run_folder
    from svtcli.train.chips import named_chip

    loaded = load(recipe, overrides)
    folder = run_folder(run or loaded.name)
    chip = named_chip(device) if device else None
    # Refusals come before the import of JAX, which takes seconds.
    from svtcli.project.estimate import estimate
    from svtcli.project.survey import survey

    if compile_:
        console.note("compiling the step")
    found = estimate(loaded.recipe, chip, compiled=compile_)
    stages = survey(loaded, folder)
    data = asdict(found) | {"recipe": loaded.name, "fits": found.fits}
    data["stages"] = [asdict(each) for each in stages]
    facts = _train_facts(found, loaded) | _eval_facts(found.eval)
    facts |= {f"stage {each.stage}": f"{each.state}, {each.why}" for each in stages}
    console.show(console.facts(facts), data)


def _train_facts(found: "CostEstimate", loaded: "LoadedRecipe") -> dict[str, str]:
    """Facts about model and training step, a line each."""
    from svtcli.recipe.load import read_needs
    from svtcli.train.duration import forecast

    by_part = ", ".join(f"{name} {count:,}" for name, count in found.by_part.items())
    facts = {
        "parameters": f"{found.parameters:,} ({by_part})",
        "slices": f"{found.slices:,} of {found.slice_pixels:,} pixels",
        "sampling": f"{found.pixels_in_turn:,} sequential steps (pixels), "
        f"{found.codes_in_turn:,} codes",
        **_sampling_time(found, loaded.recipe.sample),
        **_sampling_facts(found.sampling),
        "weights + optimizer state": size(found.state_memory),
    }
    share, each = found.share, ""
    if share.devices > 1:
        each = " per device"
        facts["devices"] = (
            f"{share.devices} (data {share.data}, shard {share.shard})"
            f"{', simulated here' if share.simulated else ''}"
        )
        facts["  slices on each"] = f"{share.rows:,}"
        facts["  memory on each"] = size(share.state_memory)
    facts["model FLOPs per step"] = f"{found.model_flops:.3g}"
    if found.hardware_flops != found.model_flops:
        facts["executed FLOPs"] = f"{found.hardware_flops:.3g}, remat included"
    for part in found.work:
        facts[f"  {part.name}"] = f"{part.trained / found.model_flops:.1%}"
    if found.chip is not None:
        facts["device"] = f"{found.chip.name}, {size(found.chip.memory)}"
        facts["step at peak rate"] = f"{found.at_peak:.3g} s"
    if seconds := found.training_seconds:
        where = found.chip.name if found.chip else "this CPU"
        where = f"{share.devices} x {where}" if found.chip and each else where
        needs = read_needs(Path(loaded.source))
        memory = found.chip.memory if found.chip else host_memory()
        facts["training"] = forecast(
            seconds,
            loaded.recipe.train.steps,
            where,
            share.state_memory,
            memory,
            needs,
            measured=found.chip is None,
        )
    if found.compiled is not None:
        step = found.compiled
        moved = size(step.bytes_moved)
        facts["compiled FLOPs"] = f"{step.flops:.3g}{each}, {moved} moved"
        facts["compiled memory"] = (
            f"{size(step.memory)}{each}, {size(step.temporary)} of it temporary"
        )
        if found.fits is not None:
            facts["fits"] = "yes" if found.fits else "no"
    return facts


def _sampling_time(found: "CostEstimate", settings: "Sample") -> dict[str, str]:
    """Time of the recipe's samples on this machine, if it can be estimated."""
    if found.sampling_seconds is None:
        return {}
    videos = counted(settings.count * settings.per_prime, "video")
    frames = counted(found.sampling.frames, "frame")
    time = about(found.sampling_seconds)
    where = found.chip.name if found.chip else "this CPU"
    return {"  time": f"about {time} for {videos} of {frames} on {where}"}


def _sampling_facts(found: "SamplingSteps") -> dict[str, str]:
    """Facts about the shortest schedule and the reach of each distinct decoder."""
    if found.parallel_steps is None:
        return {"  in parallel": "unknown for slices of so many pixels"}
    facts = {
        "  in parallel": f"{found.parallel_steps:,} steps of up to "
        f"{found.widest_step:,} pixels, with the same result"
    }
    alike = len(set(found.decoders.values())) == 1
    for name, reach in found.decoders.items():
        of = "" if alike else f", {name}"
        facts[f"  visible{of}"] = (
            f"{reach.reachable_share:.1%} of the earlier pixels of a slice"
        )
        mean = reach.mean_blind_spots
        average = f"{mean:,.0f}" if mean >= 100 else f"{mean:.3g}"
        facts[f"  blind spots{of}"] = (
            f"{average} per pixel on average, {reach.most_blind_spots:,} at most"
        )
        if alike:
            break
    return facts


def _eval_facts(found: "EvalCost") -> dict[str, str]:
    """Facts about the cost of evaluation."""
    facts = {}
    if cost := found.likelihood:
        clips = "all clips" if cost.clips is None else f"up to {cost.clips:,} clips"
        facts[f"likelihood, {', '.join(found.splits)}"] = (
            f"{clips}, models: {', '.join(cost.models)}; {cost.frames} frames in "
            f"{cost.slices} slices, {cost.flops:.3g} FLOPs per clip and model"
        )
    if trials := found.trials:
        metrics = ", ".join(trials.metrics)
        facts["samples to compare"] = (
            f"{trials.samples:,} videos of {trials.frames} frames ({metrics})"
        )
        if trials.features:
            facts["  seen by I3D"] = f"up to {trials.features:,} clips"
    return facts


def doctor(
    full: Annotated[
        bool,
        typer.Option("--full", help="Also multiply matrices on a device, and time it."),
    ] = False,
) -> None:
    """Check that this machine has everything svt needs.

    Checks versions, devices, codecs, optional extras, folders, free disk space and the
    terminal. Exit code 3 if svt cannot run; a line marked `note` names something
    optional that is missing.

    For example: svt doctor --json, to show someone else what is here.
    """
    from svtcli.project.doctor import examine

    found = [*examine(console.progress(), full), _terminal()]
    rows = [
        (each.state, each.name, each.text + (f" ({each.hint})" if each.hint else ""))
        for each in found
    ]
    checks = {
        each.name: {
            "state": each.state,
            "said": each.text,
            "hint": each.hint,
            "facts": each.facts,
        }
        for each in found
    }
    broken = [each.name for each in found if each.state == "broken"]
    text = console.table(("", "", ""), rows)
    console.show(text, {"ok": not broken, "checks": checks})
    if broken:
        raise CheckFailed(
            f"not working: {', '.join(broken)}", "the lines above name the causes"
        )


def _terminal() -> "Finding":
    """Check the terminal: columns, encoding, colour, and the kind of progress."""
    from svtcli.project.doctor import Finding

    columns = shutil.get_terminal_size().columns
    encoding = (sys.stdout.encoding or "ascii").lower()
    live = sys.stderr.isatty()
    color = live and console.settings().color and not os.environ.get("NO_COLOR")
    facts = {"columns": columns, "encoding": encoding, "live": live, "color": color}
    text = (
        f"{columns} columns, {encoding}, progress as {'a bar' if live else 'lines'}, "
        f"{'colour' if color else 'no colour'}"
    )
    hint = None
    if not encoding.startswith("utf"):
        hint = "signs such as a plus-minus are spelled out; PYTHONUTF8=1 shows them"
    elif columns < NARROW:
        hint = f"tables want {NARROW} columns"
    return Finding("terminal", "note" if hint else "ok", text, hint, facts)
