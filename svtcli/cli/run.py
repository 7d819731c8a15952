"""`svt run`: every stage of a recipe, in order, only what is not done."""

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from svtcli.cli import console
from svtcli.cli.eval_tables import likelihood_table, metrics_table
from svtcli.cli.flags import Overrides, RecipeName, RunName
from svtcli.train.memory import keep_freed_memory

if TYPE_CHECKING:
    from svtcli.project.chain import Results, Status


class StageName(StrEnum):
    """The stages in order; a test holds them equal to `stages.chain.STAGES`."""

    prepare = "prepare"
    train = "train"
    sample = "sample"
    eval = "eval"
    render = "render"


def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    name: RunName = None,
    first: Annotated[
        StageName | None, typer.Option("--from", help="Begin with this stage.")
    ] = None,
    last: Annotated[
        StageName | None, typer.Option("--to", help="End with this stage.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what is done and why.")
    ] = False,
) -> None:
    """Prepare, train, sample, eval, render: in order, and only what is not done.

    For example: svt run quickstart. The same command again goes on where it stopped.
    """
    keep_freed_memory()
    from svtcli.recipe.load import load_recipe
    from svtcli.run.directory import run_folder

    loaded = load_recipe(recipe, overrides or ())
    folder = run_folder(name or loaded.name)
    # Only now, for it brings jax: a typo is answered at once.
    from svtcli.project import chain

    stages = chain.chosen_stages(
        first.value if first else None, last.value if last else None
    )
    if dry_run:
        _show_survey([s for s in chain.survey(loaded, folder) if s.stage in stages])
    else:
        _show(chain.run_chain(loaded, folder, stages, console.progress()))


def _show_survey(statuses: "list[Status]") -> None:
    rows = [(status.stage, status.state, status.why) for status in statuses]
    data = {"stages": [asdict(status) for status in statuses], "dry_run": True}
    console.show(console.table("", ("stage", "state", "why"), rows), data)


def _show(results: "Results") -> None:
    """The scores and the paths of what was made."""
    lines = []
    data: dict[str, object] = {"dry_run": False}
    if results.prepared:
        data["clips"] = str(results.prepared.folder)
        lines.append(f"clips    {results.prepared.folder}")
    if results.trained:
        data["run"] = str(results.trained.run.path)
        lines.append(f"run      {results.trained.run.path}")
    if results.samples:
        data["samples"] = str(results.samples)
        lines.append(f"samples  {results.samples}")
    if results.pictures:
        data["pictures"] = [str(picture) for picture in results.pictures]
        lines += [f"{path.suffix[1:]:<7}  {path}" for path in results.pictures]
    tables = []
    if results.evaluations or results.comparisons:
        from svtcli.evaluate.results import result_data
    if results.evaluations:
        scores = [result_data(each) for each in results.evaluations]
        data |= {"evaluation": scores[0], "evaluations": scores}
        tables += [likelihood_table(results.evaluations), ""]
    if results.comparisons:
        data["comparisons"] = [result_data(each) for each in results.comparisons]
        tables += [metrics_table(results.comparisons), ""]
    lines = [*tables, *lines]
    console.show("\n".join(lines), data)
