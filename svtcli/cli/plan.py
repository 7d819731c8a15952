"""`svt plan`: what a recipe's training and sampling cost, before they are started."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from svtcli.cli import completion, console
from svtcli.cli.flags import Overrides, RecipeName, RunName
from svtcli.run.device_memory import size

if TYPE_CHECKING:
    from svtcli.project.estimate import TrainingPlan
    from svtcli.project.eval_cost import EvalCost
    from svtcli.project.sampling_steps import SamplingPlan


def plan(
    recipe: RecipeName,
    overrides: Overrides = None,
    run: RunName = None,
    compile_: Annotated[
        bool,
        typer.Option("--compile", help="Compile the step, and say what memory it is."),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Judge it for this chip, as A100-80GB. Default: the one here.",
            autocompletion=completion.chips,
        ),
    ] = None,
) -> None:
    """Say what a recipe needs: parameters, arithmetic, memory, steps of sampling.

    And which of its stages are done, and why the others are not. Nothing is made. The
    devices are those of the recipe's mesh, so that mesh.data=128 is planned on any
    machine. --compile compiles the step as training would, for devices of the kind
    here, or for simulated CPUs where there are too few.

    Sampling is of one video, as the recipe's section sample has it. Pixels that do not
    depend on each other can be made together: in so many steps in parallel. What a
    pixel's slice has before it and it cannot see are its blind spots (appendix C).
    Scoring is of each of the splits that the section eval names.

    For example: svt plan bair_large train.batch=32 --device H100
    """
    from svtcli.recipe.load import load_recipe
    from svtcli.run.directory import run_folder

    loaded = load_recipe(recipe, overrides or ())
    folder = run_folder(run or loaded.name)
    # Only now, for it brings jax: a typo is answered at once.
    from svtcli.project import chain
    from svtcli.project import estimate as stage
    from svtcli.project.eval_cost import eval_cost

    scoring = eval_cost(loaded.recipe)
    if compile_:
        console.note("compiling the step")
    found = stage.plan(loaded.recipe, device, compiled=compile_)
    data = asdict(found) | {"recipe": loaded.name, "fits": found.fits}
    data["share"]["devices"] = found.share.devices
    stages = chain.survey(loaded, folder)
    data |= {"eval": asdict(scoring), "stages": [asdict(each) for each in stages]}
    facts = _facts(found) | _eval_facts(scoring)
    facts |= {f"stage {each.stage}": f"{each.state}, {each.why}" for each in stages}
    console.show(console.facts(facts), data)


def _facts(found: "TrainingPlan") -> dict[str, str]:
    """What is shown, one fact a line."""
    by_part = ", ".join(f"{name} {count:,}" for name, count in found.by_part.items())
    facts = {
        "parameters": f"{found.parameters:,} ({by_part})",
        "slices": f"{found.slices:,} of {found.slice_pixels:,} pixels",
        "sampling": f"{found.pixels_in_turn:,} pixels one after the other, "
        f"{found.codes_in_turn:,} codes",
        **_sampling_facts(found.sampling),
        "state": size(found.state_memory),
    }
    share, each = found.share, ""
    if share.devices > 1:
        each = " a device"
        facts["devices"] = (
            f"{share.devices} (data {share.data}, shard {share.shard})"
            f"{', simulated here' if share.simulated else ''}"
        )
        facts["slices a device"] = f"{share.rows:,}"
        facts["state a device"] = size(share.state_memory)
    facts["model FLOPs a step"] = f"{found.model_flops:.3g}"
    if found.hardware_flops != found.model_flops:
        facts["executed FLOPs"] = f"{found.hardware_flops:.3g}, remat included"
    for part in found.work:
        facts[f"  {part.name}"] = f"{part.trained / found.model_flops:.1%}"
    if found.chip is not None:
        facts["device"] = f"{found.chip.name}, {size(found.chip.memory)}"
        facts["step at full rate"] = f"{found.at_peak:.3g} s"
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


def _eval_facts(found: "EvalCost") -> dict[str, str]:
    """What scoring takes."""
    facts = {}
    if scored := found.likelihood:
        clips = "all clips" if scored.clips is None else f"up to {scored.clips:,} clips"
        facts[f"scoring, {', '.join(found.splits)}"] = (
            f"{clips} by {', '.join(scored.models)}: {scored.frames} frames in "
            f"{scored.slices} slices, {scored.flops:.3g} FLOPs a clip and model"
        )
    if made := found.trials:
        metrics = ", ".join(made.metrics)
        facts["  samples for it"] = (
            f"{made.samples:,} videos of {made.frames} frames ({metrics})"
        )
        if made.features:
            facts["  looked at by I3D"] = f"up to {made.features:,} clips"
    return facts


def _sampling_facts(found: "SamplingPlan") -> dict[str, str]:
    """The shortest schedule and the blind spots, of each decoder that has its own."""
    if found.parallel_steps is None:
        return {"  in parallel": "not worked out for slices of so many pixels"}
    facts = {
        "  in parallel": f"{found.parallel_steps:,} steps of up to "
        f"{found.widest_step:,} pixels, with the same result"
    }
    alike = len(set(found.decoders.values())) == 1
    for name, sight in found.decoders.items():
        whose = "" if alike else f", {name}"
        facts[f"  reachable{whose}"] = (
            f"{sight.reachable_share:.1%} of the earlier pixels of a slice"
        )
        facts[f"  blind spots{whose}"] = (
            f"{sight.mean_blind_spots:.3g} a pixel on average, "
            f"{sight.most_blind_spots:,} at most"
        )
        if alike:
            break
    return facts
