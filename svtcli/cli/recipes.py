"""`svt recipes`: list, show, copy and check recipes."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from svtcli.cli import console
from svtcli.cli.command import Command
from svtcli.cli.flags import DryRun, Force, Overrides, RecipeName, load
from svtcli.failure import CheckFailed, Refused

app = typer.Typer(help="List, show, copy and check recipes.")


@app.command("list", cls=Command)
def list_() -> None:
    """List the shipped recipes.

    For example: svt recipes list
    """
    from svtcli.recipe.load import read_about, shipped_recipes

    found = [
        {"name": name, "about": read_about(path), "file": str(path)}
        for name, path in shipped_recipes().items()
    ]
    rows = [(recipe["name"], recipe["about"]) for recipe in found]
    text = console.table(("RECIPE", "WHAT IT IS"), rows)
    console.show(text, {"recipes": found})


@app.command(cls=Command)
def show(name: RecipeName, overrides: Overrides = None) -> None:
    """Show a recipe in full, with every default.

    Values from its base and from overrides are filled in.

    For example: svt recipes show bair_large train.batch=32
    """
    from svtcli.recipe.load import dump_recipe

    loaded = load(name, overrides)
    console.show(dump_recipe(loaded.recipe), asdict(loaded))


@app.command(cls=Command)
def copy(
    name: RecipeName,
    dest: Annotated[
        Path | None,
        typer.Argument(metavar="DEST", help="A file or folder (default: ./NAME.yaml)."),
    ] = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Copy a recipe with its comments, to edit it.

    The copy of a shipped recipe leaves out the names of the recipe's own videos.

    For example: svt recipes copy quickstart mine.yaml
    """
    from svtcli.recipe.load import copy_text, find_recipe, flow
    from svtcli.run.durable import write_atomic

    source = find_recipe(name)
    target = dest or Path(source.name)
    if target.is_dir():
        target /= source.name
    if target.exists() and not force:
        raise Refused(f"{target}: already exists", "--force overwrites it")
    text, left_out = copy_text(source)
    if not dry_run:
        write_atomic(target, text)
    if left_out:
        own = ", ".join(f"data.{key}={flow(left_out[key])}" for key in left_out)
        console.note(f"left out, as it fits {name}'s own videos alone: {own}")
        console.note("name yours: data.source=DIR")
    console.show(
        f"would write {target}" if dry_run else str(target),
        {
            "path": str(target),
            "source": str(source),
            "left_out": left_out,
            "dry_run": dry_run,
        },
    )


@app.command(cls=Command)
def check(file: RecipeName, overrides: Overrides = None) -> None:
    """Check a recipe; exit code 3 if it has problems.

    Its variants (section sweep) are checked too, and so is what a later stage would
    refuse on this machine, such as a metric whose weights are not installed.

    For example: svt recipes check mine.yaml train.steps=1000
    """
    from svtcli.project.survey import refusals
    from svtcli.recipe.document import BadRecipe
    from svtcli.recipe.load import load_variants

    try:
        loaded = load(file, overrides)
        every = [loaded, *load_variants(file, overrides or ()).values()]
    except BadRecipe as error:
        if console.settings().json:
            problems = [
                {
                    "file": problem.place.origin,
                    "line": problem.place.line,
                    "column": problem.place.column,
                    "what": problem.what,
                }
                for problem in error.problems
            ]
            console.show("", {"file": file, "ok": False, "problems": problems})
        error.code = CheckFailed.code
        raise
    source = loaded.source
    if refused := [one for each in every for one in refusals(each.recipe)]:
        lines = dict.fromkeys(
            f"{each.sentence}; {each.hint}" if each.hint else each.sentence
            for each in refused
        )
        if console.settings().json:
            told = [{"file": source, "what": each} for each in lines]
            console.show("", {"file": file, "ok": False, "problems": told})
        raise CheckFailed(f"{source}: " + "\n".join(lines))
    console.show(f"{source}: ok", {"file": source, "ok": True, "problems": []})


@app.command(cls=Command)
def schema() -> None:
    """Print the JSON schema of recipes, for editors.

    For example: svt recipes schema > recipe.schema.json
    """
    from svtcli.recipe.validate import recipe_schema

    described = recipe_schema()
    # For programs: escape letters that the encoding lacks.
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    console.show(json.dumps(described, indent=2, ensure_ascii=plain), described)
