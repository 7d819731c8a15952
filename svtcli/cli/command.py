"""Commands: their help pages, and what they refuse before they run.

Usage, names and notes of a help page are written here: Typer's differ from one version
to the next, and show types and bounds as Python does.
"""

import re
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from svtcli.cli import console
from svtcli.recipe.addresses import refuse_address
from svtcli.run.environment import check_xla_flags

NO_PATHS = ("address", "coordinator", "match")
"""Parameters in which an address or a pattern may stand."""
NOTES = re.compile(r"  \[([^\[\]]*)\]$")
"""What Typer adds to the help of a parameter."""
UNTOLD = re.compile(r"required|x>=.*")
"""Notes that are left out: the usage shows what is required, the help bounds."""


class Command(TyperCommand):
    """A command whose help groups its options in panels."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """`[OPTIONS]`, and every argument."""
        parameters = self.get_params(ctx)
        return [
            "[OPTIONS]",
            *(_usage(each) for each in parameters if _is_argument(each)),
        ]

    def panels(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        """Name and help of arguments and options, by the title of their panel."""
        found: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                kind = "Arguments" if _is_argument(parameter) else "Options"
                title = getattr(parameter, "rich_help_panel", None) or kind
                told = _name(parameter), NOTES.sub(_notes, record[1])
                found.setdefault(title, []).append(told)
        return found

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then every panel, in the order of the options."""
        for title, records in self.panels(ctx).items():
            with formatter.section(title):
                formatter.write_dl(records)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, and refuse addresses in place of paths. Errors: Refused."""
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if parameter.name in NO_PATHS or ctx.resilient_parsing:
                continue
            name = "" if _is_argument(parameter) else parameter.opts[0]
            for each in value if isinstance(value, list | tuple) else (value,):
                if isinstance(each, str | Path):
                    refuse_address(each, name)
        return rest


class ComputingCommand(Command):
    """A command that may start jax."""

    def invoke(self, ctx: Any) -> Any:
        """Name the ignored variables of the shell, the context's object; then run."""
        for name in ctx.obj or ():
            console.note(f"{name} is ignored: a recipe and its seed decide results")
        check_xla_flags()
        return super().invoke(ctx)


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _usage(argument: Any) -> str:
    """Argument as the usage shows it: `RECIPE`, `[K=V]...`."""
    name = argument.metavar or argument.name.upper()
    several = "" if argument.nargs == 1 else "..."
    return f"{name if argument.required else f'[{name}]'}{several}"


def _name(parameter: Any) -> str:
    """Name of a parameter and its value: `-n, --dry-run`, `--out DIR`."""
    if _is_argument(parameter):
        return _usage(parameter)
    flags = ", ".join(sorted(parameter.opts, key=len))
    others = "".join(f" / {each}" for each in parameter.secondary_opts)
    return flags + others + ("" if parameter.is_flag else f" {parameter.metavar}")


def _notes(found: re.Match[str]) -> str:
    """Default as it is typed, and environment variable."""
    notes = [each for each in found[1].split("; ") if not UNTOLD.fullmatch(each)]
    told = "; ".join(each.removesuffix(".0") for each in notes)
    return f"  [{told}]" if told else ""
