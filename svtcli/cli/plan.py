"""`svt plan`: what a recipe's training and sampling cost, before they are started."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from svtcli.cli import completion, console
from svtcli.cli.flags import Overrides, RecipeName, RunName
from svtcli.run.device_memory import size

if TYPE_CHECKING:
    from svtcli.project.estimate import CostEstimate, EvalCost, SamplingSteps


def plan(
    recipe: RecipeName,
    overrides: Overrides = None,
    run: RunName = None,
    compile_: Annotated[
        bool,
        typer.Option("--compile", help="Compile the step and show its memory."),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Chip to plan for, such as A100-80GB (default: the one here).",
            autocompletion=completion.chips,
        ),
    ] = None,
) -> None:
    """Estimate FLOPs, memory and sampling steps of a recipe.

    Shows also which stages are done, and why the others are not; writes nothing. The
    devices are those of the recipe's mesh, so that mesh.data=128 is planned on any
    machine. --compile compiles the step as training would, for devices of the kind
    here, or for simulated CPUs if there are too few.

    Sampling steps are those of one video, by the recipe's section sample: pixels that
    do not depend on each other can be sampled in one parallel step. Blind spots are the
    earlier pixels of its slice that a pixel cannot see (appendix C). Scoring covers
    each split of the section eval.

    For example: svt plan bair_large train.batch=32 --device H100
    """
    from svtcli.recipe.load import load_recipe
    from svtcli.run.directory import run_folder
    from svtcli.train.chips import named_chip

    loaded = load_recipe(recipe, overrides or ())
    folder = run_folder(run or loaded.name)
    chip = named_chip(device) if device else None
    # Refusals come before the import of JAX, which takes seconds.
    from svtcli.project.chain import survey
    from svtcli.project.estimate import estimate

    if compile_:
        console.note("compiling the step")
    found = estimate(loaded.recipe, chip, compiled=compile_)
    stages = survey(loaded, folder)
    data = asdict(found) | {"recipe": loaded.name, "fits": found.fits}
    data["share"]["devices"] = found.share.devices
    data["stages"] = [asdict(each) for each in stages]
    facts = _train_facts(found) | _eval_facts(found.eval)
    facts |= {f"stage {each.stage}": f"{each.state}, {each.why}" for each in stages}
    console.show(console.facts(facts), data)


def _train_facts(found: "CostEstimate") -> dict[str, str]:
    """Facts about model and training step, a line each."""
    by_part = ", ".join(f"{name} {count:,}" for name, count in found.by_part.items())
    facts = {
        "parameters": f"{found.parameters:,} ({by_part})",
        "slices": f"{found.slices:,} of {found.slice_pixels:,} pixels",
        "sampling": f"{found.pixels_in_turn:,} pixels one after the other, "
        f"{found.codes_in_turn:,} codes",
        **_sampling_facts(found.sampling),
        "weights + optimizer": size(found.state_memory),
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
        facts[f"  reachable{of}"] = (
            f"{reach.reachable_share:.1%} of the earlier pixels of a slice"
        )
        facts[f"  blind spots{of}"] = (
            f"{reach.mean_blind_spots:.3g} per pixel on average, "
            f"{reach.most_blind_spots:,} at most"
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
            f"{clips} by {', '.join(cost.models)}: {cost.frames} frames in "
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
