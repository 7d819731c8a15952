"""Flags and arguments of commands; flags of a recipe's settings are derived from it.

Type, choices, bounds, default and help of a setting stand in its section's dataclass
(recipe/). A new key has a flag without a line here.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, astuple
from enum import StrEnum
from inspect import Parameter, Signature, signature
from math import isfinite, isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer
from annotated_types import Ge, Gt, Le, Lt
from typer.models import ArgumentInfo

from svtcli.cli import completion, console
from svtcli.clips import find_clips
from svtcli.failure import Refused
from svtcli.recipe.setting import (
    A_SHARE,
    MOST,
    PERCENT,
    Bound,
    Mark,
    Setting,
    from_percent,
)

if TYPE_CHECKING:
    from svtcli.recipe.load import LoadedRecipe
    from svtcli.run.directory import RunFolder

NAMES = {
    "temperature": "--temp",
    "lpips": "--lpips-net",
    "metrics": "--metric",
    "baselines": "--baseline",
    "formats": "--format",
    "splits": "--split",
}
"""Flags that are not called as their setting."""
METAVARS = {
    "source": "DIR",
    "match": "REGEX",
    "actions": "SET,...",
    "layout": "AXES",
}
"""Words for values in the help, where the type says too little, or too much."""
WHERE, JOB_ARRAY, CLUSTER = "Where", "Job array", "Ray cluster"
"""Panels of the help."""

RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A YAML file or a shipped name.",
        autocompletion=completion.recipes,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="K=V",
        help="Override a key of the recipe, for example train.batch=16.",
        autocompletion=completion.overrides,
    ),
]


def load(name: str, overrides: Sequence[str] | None) -> "LoadedRecipe":
    """Load a recipe; name the defaults that overrides without a value take.

    Errors: those of `load_recipe`.
    """
    from svtcli.recipe.load import load_recipe

    loaded = load_recipe(name, overrides or ())
    for line in loaded.defaults_taken:
        console.note(line)
    return loaded


RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="NAME",
        help="Name of the run folder (default: the recipe's name).",
        autocompletion=completion.runs,
    ),
]
ClipsAndSplit = Annotated[
    str | None,
    typer.Option(
        metavar="CLIPS[:SPLIT]",
        help="Other clips than the run's own, or another split.",
        autocompletion=completion.clips,
        rich_help_panel=WHERE,
    ),
]
TaskIndex = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="I",
        help="Number of this task, from 0, for example $SLURM_ARRAY_TASK_ID; the last "
        "task to finish completes the result.",
        rich_help_panel=JOB_ARRAY,
    ),
]
TaskCount = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Number of tasks.", rich_help_panel=JOB_ARRAY
    ),
]
Engine = Annotated[
    Literal["local", "ray"],
    typer.Option(
        metavar="local|ray",
        help="This machine, or a Ray cluster (extra ray).",
        rich_help_panel=CLUSTER,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT|auto",
        help="Address of the Ray cluster (default: start Ray on this machine).",
        rich_help_panel=CLUSTER,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("-n", "--dry-run", help="Show what would be done; write nothing."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]


def takes(
    settings: Sequence[Setting],
    panels: Mapping[str, Mark | None],
    show_defaults: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command, which ends in `**given`, with a flag for each setting.

    `given` has the settings whose flag was given. A parameter that the command declares
    itself takes precedence. `panels` maps titles in the help to the mark of their
    settings, None for all other settings.
    """
    title_of = {mark: title for title, mark in panels.items()}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        own = [
            each
            for each in signature(command).parameters.values()
            if each.kind is not Parameter.VAR_KEYWORD
        ]
        names = {each.name for each in own}
        derived = {
            each.name: each
            for each in settings
            if each.name not in names and not _is_constant(each)
        }

        def run(**values: Any) -> None:
            of_settings = given(**{name: values.pop(name) for name in derived})
            for name, value in of_settings.items():
                of_settings[name] = _value(derived[name], value)
            command(**values, **of_settings)

        for name, setting in derived.items():
            marks = [each for each in setting.marks if each in title_of]
            title = title_of[marks[0] if marks else None]
            hints[name] = _option(setting, title, show_defaults)

        def place(parameter: Parameter) -> int:
            """Arguments first, then the panels of settings, then other options."""
            declared, titles = hints[parameter.name].__metadata__[0], list(panels)
            if isinstance(declared, ArgumentInfo):
                return -1
            title = declared.rich_help_panel
            return titles.index(title) if title in titles else len(titles)

        new = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in derived
        ]
        parameters = [
            each.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[each.name])
            for each in sorted([*own, *new], key=place)
        ]
        run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: hints[each.name] for each in parameters}
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def flag(name: str) -> str:
    """Flag of a setting."""
    return NAMES.get(name, f"--{name.replace('_', '-')}")


def given(**flags: Any) -> dict[str, Any]:
    """Flags that were given; the recipe decides the others."""
    return {name: value for name, value in flags.items() if value not in (None, [])}


def clips_and_split(text: str | None) -> tuple[Path | None, str | None]:
    """Folder and split of CLIPS[:SPLIT], None for each that is left out.

    Notes the folder where CLIPS is a name in `clips/`.
    """
    folder, split = find_clips(text or "")
    if folder and text and not text.startswith(str(folder)):
        console.note(f"clips: {folder}")
    return folder, split


def find_model(ckpt: str, dry_run: bool) -> "tuple[RunFolder, int | None]":
    """Run and step that CKPT refers to; step None is the latest.

    A model that ships with svt becomes a run at its first use. Errors: Refused if it
    does not exist, or with `dry_run` is no run yet.
    """
    from svtcli.project.models import find_model
    from svtcli.run.directory import find_checkpoint, run_folder, shipped_models

    if not dry_run:
        return find_model(ckpt, console.progress())
    name = ckpt.partition("@")[0]
    if name in shipped_models() and not run_folder(name).path.exists():
        what = f"{name}: a model that ships with svt, and no run yet"
        raise Refused(what, "without -n, its first use makes it one")
    return find_checkpoint(ckpt)


def _is_constant(setting: Setting) -> bool:
    """The setting has only one value."""
    only = not setting.types and len(setting.choices) == 1
    return only and setting.default in (MISSING, *setting.choices)


def _option(setting: Setting, panel: str, show_default: bool) -> Any:
    """Annotation of the parameter that a setting's flag fills."""
    type_, metavar = _type(setting)
    return Annotated[
        type_ | None,
        typer.Option(
            flag(setting.name),
            metavar=metavar,
            help=_help(setting, show_default),
            rich_help_panel=panel,
        ),
    ]


def _type(setting: Setting) -> tuple[Any, str | None]:
    """Type of the parameter, and the word for its value in the help."""
    words = "|".join(map(str, setting.choices))
    match setting.types:
        case ():
            choice = StrEnum("Choice", [(each, each) for each in setting.choices])  # type: ignore[misc]
            type_ = list.__class_getitem__(choice) if setting.several else choice
            return type_, METAVARS.get(setting.name, words)
        case (type_,) if type_ is int and (setting.choices or setting.several):
            return str, f"N|{words}" if words else "N,N,..."
        case (type_,) if type_ is str:
            metavar = METAVARS.get(setting.name, "NAME")
            return str, metavar
        case _ if PERCENT in setting.marks:
            return str, "SHARE"
        case (type_,):
            return type_, {int: "N", float: "X"}.get(type_)
    raise TypeError(f"{setting.name}: no flag for {setting.types}")


def _help(setting: Setting, show_default: bool) -> str:
    """First sentence of the docstring, with limits and the default."""
    words = []
    percent = PERCENT in setting.marks
    if setting.choices and setting.name in METAVARS:
        words.append(", ".join(map(str, setting.choices)))
    if limits := limits_of(setting):
        words.append(limits)
    shown = setting.default
    unset = shown in (None, "", MISSING) or shown is False  # which 0 equals
    if show_default and not unset:
        shown = ", ".join(shown) if isinstance(shown, tuple) else shown
        shown = f"{shown:.0%}" if percent else shown
        shown = f"{shown:g}" if isinstance(shown, float) else shown
        words.append(f"default: {shown}")
    return setting.help + (f"  [{'; '.join(words)}]" if words else "")


def limits_of(setting: Setting) -> str:
    """Bounds of a setting as its help shows them; none that anybody expects."""
    told = [bound for bound in setting.bounds if not _wide(bound)]
    if PERCENT in setting.marks or all(astuple(bound) == (0,) for bound in told):
        return ""
    match told:
        case (Ge(least), Le(most)):
            return f"{least} to {most}"
        case (Gt(0), Le(most)) if setting.types == (int,):
            return f"1 to {most}"
    return _limits(told)


def _wide(bound: Bound) -> bool:
    """Return True for a bound that nobody meets by chance: that of 32-bit numbers."""
    (value,) = astuple(bound)
    return bool(abs(value) >= MOST)


def _limits(bounds: Sequence[Bound]) -> str:
    """Bounds of a setting, in words."""
    words = {Gt: "greater than {}", Ge: "at least {}", Lt: "less than {}"}
    return " and ".join(
        words.get(type(each), "at most {}").format(*astuple(each)) for each in bounds
    )


def _value(setting: Setting, value: Any) -> Any:
    """Value of a setting from its flag's. Errors: Refused for one out of bounds."""
    match value:
        case _ if PERCENT in setting.marks:
            return _share(setting, value)
        case StrEnum():
            return value.value
        case list():
            return tuple(_value(setting, each) for each in value)
        case str() if setting.types == (str,) and setting.several:
            return tuple(value.split(","))
        case str() if setting.types == (int,) and setting.several:
            return tuple(_number(setting, word) for word in value.split(","))
        case str() if setting.types == (int,) and value not in setting.choices:
            return _number(setting, value)
        case int() | float() if value is not True:
            return _within_bounds(setting, value)
    return value


def _share(setting: Setting, text: str) -> float:
    """Parse a share: `5%` or `0.05`. Errors: Refused."""
    try:
        share = float(from_percent(text))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise Refused(f"{flag(setting.name)} {text}: not {A_SHARE}")
    return share


def _number(setting: Setting, word: str) -> int:
    """A number that may stand in a list, or be another word."""
    if word.strip().isdecimal():
        return int(_within_bounds(setting, int(word)))
    others = "".join(f" or {each}" for each in setting.choices)
    wanted = "numbers, as in 0,5,10" if setting.several else f"a number{others}"
    raise Refused(f"{flag(setting.name)} {word}: must be {wanted}")


def _within_bounds(setting: Setting, value: int | float) -> int | float:
    """`value`. Errors: Refused for one out of bounds."""
    tests = {Gt: operator.gt, Ge: operator.ge, Lt: operator.lt, Le: operator.le}
    holds = [tests[type(each)](value, *astuple(each)) for each in setting.bounds]
    if isfinite(value) and all(holds):
        return value
    told = [
        bound
        for bound, held in zip(setting.bounds, holds, strict=True)
        if not held or not _wide(bound)
    ]
    must = "finite" if all(holds) or isinf(value) else _limits(told)
    raise Refused(f"{flag(setting.name)} {value:.15g}: must be {must}")
