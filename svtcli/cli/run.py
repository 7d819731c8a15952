"""`svt run`: all stages of a recipe in order, only what is missing or stale."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from svtcli.cli import console
from svtcli.cli.eval_tables import result_text
from svtcli.cli.flags import DryRun, Overrides, RecipeName, RunName
from svtcli.recipe.schema import STAGES, Stage
from svtcli.train.memory import keep_freed_memory

if TYPE_CHECKING:
    from svtcli.project.chain import Results


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
) -> None:
    """Run the stages of a recipe in order, only those missing or stale.

    Re-run the same command to resume. -n lists the state of every stage, and why.

    For example: svt run quickstart
    """
    keep_freed_memory()
    from svtcli.project.chain import chosen_stages, run_chain, survey
    from svtcli.recipe.load import load_recipe
    from svtcli.run.directory import run_folder

    loaded = load_recipe(recipe, overrides or ())
    folder = run_folder(name or loaded.name)
    stages = chosen_stages(first, last)
    if not dry_run:
        _show(run_chain(loaded, folder, stages, console.progress()))
        return
    found = [each for each in survey(loaded, folder) if each.stage in stages]
    text = console.table(
        "",
        ("stage", "state", "why"),
        [(each.stage, each.state, each.why) for each in found],
    )
    console.show(text, {"stages": [asdict(each) for each in found], "dry_run": True})


def _show(results: "Results") -> None:
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
    paths = console.table("", ("", ""), rows) if rows else ""
    console.show("\n\n".join(filter(None, [tables, paths])), data)
