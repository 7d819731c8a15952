"""Table of commands, and global flags. Command bodies import what they need."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from svtcli import __version__
from svtcli.cli import command, completion, console, prepare, recipes, runs
from svtcli.cli.evaluate import evaluate
from svtcli.cli.init import init
from svtcli.cli.open import open_
from svtcli.cli.project import doctor, plan, run
from svtcli.cli.render import render
from svtcli.cli.sample import sample
from svtcli.cli.sweep import sweep
from svtcli.cli.train import train
from svtcli.run.environment import ignore_variables

# Flags of every command; they may stand before or after it.
GLOBAL_FLAGS = frozenset(
    ("-q", "--quiet", "-v", "--verbose", "--json", "--no-color", "--debug")
)
ORDER = (
    "init",
    "run",
    "sweep",
    "prepare",
    "plan",
    "train",
    "sample",
    "eval",
    "render",
    "open",
    "runs",
    "recipes",
    "doctor",
)


class InOrder(TyperGroup):
    """Group that lists its commands in the order of a project."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, sorted by `ORDER`."""
        return sorted(self.commands, key=ORDER.index)


app = typer.Typer(
    name="svt",
    cls=InOrder,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=command.ComputingCommand)(init)
app.command(cls=command.ComputingCommand)(run)
app.command(cls=command.ComputingCommand)(sweep)
app.add_typer(prepare.app, name="prepare")
app.command(cls=command.ComputingCommand)(plan)
app.command(cls=command.ComputingCommand)(train)
app.command(cls=command.ComputingCommand)(sample)
app.command("eval", cls=command.ComputingCommand)(evaluate)
app.command(cls=command.Command)(render)
app.command("open", cls=command.Command)(open_)
app.add_typer(runs.app, name="runs")
app.add_typer(recipes.app, name="recipes")
app.command(cls=command.ComputingCommand)(doctor)


@app.callback(invoke_without_command=True)
def svt(
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Print only results and errors.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v", "--verbose", help="Print all progress lines and library logs."
        ),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON object.")
    ] = False,
    no_color: Annotated[
        bool,
        typer.Option("--no-color", help="Print no colours (also: NO_COLOR=1)."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.")
    ] = False,
) -> None:
    """Train, sample, score and show autoregressive video models.

    A RECIPE is a YAML file or the name of a shipped one (svt recipes list). Start with:
    svt run quickstart
    """
    if quiet and verbose:
        raise typer.BadParameter("-q and -v cannot be combined")
    console.configure(console.Settings(quiet, verbose, json, not no_color, debug))
    if version:
        console.show(f"svt {__version__}", {"version": __version__})
        raise typer.Exit


def hoist(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split into global flags and other arguments; those after `--` stay."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    flags = [word for word in arguments[:end] if word in GLOBAL_FLAGS]
    words = [word for word in arguments[:end] if word not in GLOBAL_FLAGS]
    return flags, [*words, *arguments[end:]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit code."""
    flags, words = hoist(sys.argv[1:] if arguments is None else list(arguments))
    console.configure(console.Settings(json="--json" in flags))
    if os.environ.get("_SVT_COMPLETE") == "complete_bash":
        completion.begin()
    try:
        arguments = [*flags, *(words or ["--help"])]
        ignored = ignore_variables()
        code = app(arguments, prog_name="svt", standalone_mode=False, obj=ignored)
    except (Exception, KeyboardInterrupt) as error:
        return console.report(error)
    # Typer may swallow a Ctrl-C and keep only its code.
    if code == console.INTERRUPTED:
        return console.report(KeyboardInterrupt())
    return code if isinstance(code, int) else 0
