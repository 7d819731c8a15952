"""`svt recipes`: what can be run, and whether a recipe of one's own is right."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from svtcli.cli import completion, console
from svtcli.failure import CheckFailed, Refused

app = typer.Typer(help="List, show, copy and check recipes.")

Recipe = Annotated[
    str,
    typer.Argument(
        help="A shipped recipe's name, or a file.",
        autocompletion=completion.recipes,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[K=V]...",
        help="Keys to change: section.key=value.",
        autocompletion=completion.overrides,
    ),
]


@app.command("list")
def list_() -> None:
    """The recipes that come with svt, and what each is for.

    For example: svt recipes list
    """
    from svtcli.recipe.library import read_about, shipped_recipes

    found = [
        {"name": name, "about": read_about(path), "file": str(path)}
        for name, path in shipped_recipes().items()
    ]
    rows = [(recipe["name"], recipe["about"]) for recipe in found]
    text = console.table("", ("RECIPE", "WHAT IT IS"), rows)
    console.show(text, {"recipes": found})


@app.command()
def show(
    name: Recipe,
    overrides: Overrides = None,
) -> None:
    """A recipe with every default, its base and the overrides filled in.

    For example: svt recipes show bair_large train.batch=32
    """
    from svtcli.recipe.load import dump_recipe, load_recipe

    loaded = load_recipe(name, overrides or ())
    console.show(dump_recipe(loaded.recipe), asdict(loaded))


@app.command()
def copy(
    name: Recipe,
    dest: Annotated[
        Path | None, typer.Argument(help="A file or folder. [default: ./NAME.yaml]")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite what is there.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what would be written.")
    ] = False,
) -> None:
    """Copy a recipe, comments and all, to change it.

    For example: svt recipes copy quickstart mine.yaml
    """
    from svtcli.recipe.library import find_recipe
    from svtcli.run.durable import write_atomic

    source = find_recipe(name)
    target = dest or Path(source.name)
    if target.is_dir():
        target /= source.name
    if target.exists() and not force:
        raise Refused(f"{target}: is there already", "--force overwrites it")
    text = source.read_text(encoding="utf-8")
    if not dry_run:
        write_atomic(target, text)
    console.show(
        f"would write {target}" if dry_run else str(target),
        {"path": str(target), "source": str(source), "dry_run": dry_run},
    )


@app.command()
def check(
    file: Recipe,
    overrides: Overrides = None,
) -> None:
    """Read a recipe and say everything that is wrong with it; 3 if anything is.

    For example: svt recipes check mine.yaml train.steps=1000
    """
    from svtcli.recipe.load import load_recipe
    from svtcli.recipe.problem import BadRecipe

    try:
        loaded = load_recipe(file, overrides or ())
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
        raise CheckFailed(error.sentence) from error
    source = loaded.source
    console.show(f"{source}: ok", {"file": source, "ok": True, "problems": []})


@app.command()
def schema() -> None:
    """The JSON schema of a recipe, for editors that complete and check YAML.

    For example: svt recipes schema > recipe.schema.json
    """
    from svtcli.recipe.validate import recipe_schema

    described = recipe_schema()
    # Escaped where letters would be lost: this is for programs.
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    console.show(json.dumps(described, indent=2, ensure_ascii=plain), described)
