"""Flags that are derived from a recipe's sections."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import pytest
import typer
from annotated_types import Ge, Gt, Le

from svtcli.cli.app import app
from svtcli.cli.command import Command
from svtcli.cli.flags import flag, takes
from svtcli.failure import Refused
from svtcli.recipe.data import DATASETS
from svtcli.recipe.schema import SECTIONS, Eval, Render, Sample
from svtcli.recipe.setting import CLIPS, NO_INFLUENCE, PositiveInt, settings_of
from tests.cli.terminal import svt_here


@dataclass(frozen=True)
class Section:
    """A section that no recipe has."""

    count: Annotated[PositiveInt, CLIPS] = 8
    """Number of clips. A second sentence is for the recipe alone."""
    share: Annotated[float, Gt(0), Le(1)] | None = None
    """Share of the codes (§3)."""
    kind: Literal["one", "other"] = "one"
    """Kind of it."""
    names: tuple[Literal["a", "b"], ...] = ("a",)
    """Names."""
    frames: tuple[Annotated[int, Ge(0)], ...] | None = None
    """Frames."""
    length: Annotated[int | Literal["all"], NO_INFLUENCE] = "all"
    """Length."""
    exact: bool = False
    """Be exact."""


@pytest.fixture
def called():
    """A command with the flags of `Section`: the settings that it is given."""
    seen: list[dict[str, Any]] = []
    own = typer.Typer(rich_markup_mode=None)

    @own.command(cls=Command)
    @takes(settings_of(Section), {"What": CLIPS, "How": None}, show_defaults=True)
    def command(**given: Any) -> None:
        seen.append(given)

    def call(*words: str) -> dict[str, Any]:
        own(words, standalone_mode=False)
        return seen[-1]

    return call


def test_only_flags_that_were_given_are_settings(called):
    assert called() == {}
    assert called("--count", "3", "--share", "0.5", "--exact") == {
        "count": 3,
        "share": 0.5,
        "exact": True,
    }
    several = called("--kind", "other", "--names", "b", "--names", "a")
    assert several == {"kind": "other", "names": ("b", "a")}
    assert called("--frames", "0,5", "--length", "7") == {"frames": (0, 5), "length": 7}
    assert called("--length", "all") == {"length": "all"}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--count 0", "--count 0: must be greater than 0"),
        ("--share 1.5", "--share 1.5: must be greater than 0 and at most 1"),
        ("--share nan", "--share nan: must be greater than 0 and at most 1"),
        ("--share inf", "--share inf: must be finite"),
        ("--frames 0,x", "--frames x: must be numbers"),
        ("--length some", "--length some: must be a number or all"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_the_flag_s_name(called, words, why):
    with pytest.raises(Refused) as refused:
        called(*words.split())
    assert refused.value.sentence.startswith(why)


def test_help_is_the_docstring_s_first_sentence(called, capsys):
    called()
    called("--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "What: --count N Number of clips. [default: 8]" in shown
    assert "Share of the codes. [greater than 0 and at most 1]" in shown
    assert "--kind one|other Kind of it. [default: one]" in shown


COMMANDS = {"sample": Sample, "eval": Eval, "render": Render} | {
    f"prepare {get_args(each.__annotations__['kind'])[0]}": each for each in DATASETS
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_has_a_flag(command):
    group: Any = typer.main.get_command(app)
    for word in command.split():
        group = group.commands[word]
    flags = {name for each in group.params for name in each.opts}
    for setting in settings_of(COMMANDS[command]):
        fixed = not setting.types and len(setting.choices) == 1
        if setting.name not in ("clips", "kind") and not fixed:
            assert flag(setting.name) in flags


def test_every_key_says_what_it_is():
    for section in (*SECTIONS.values(), *DATASETS):
        for setting in settings_of(section):
            assert setting.doc or setting.name == "kind", (section, setting.name)


def test_options_stand_in_panels(capfd):
    shown = svt_here(capfd, "sample", "--help").out
    lines = [line for line in shown.splitlines() if line[:1].strip()]
    titles = [line for line in lines if line.endswith(":")]
    assert [title.split(" (")[0].rstrip(":") for title in titles] == [
        *("Arguments", "What to sample", "How to sample", "Speed and memory"),
        *("Where", "Job array", "Options"),
    ]
