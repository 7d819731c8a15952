"""Help pages: plain words for values, and short helps that fit their line."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from svtcli.cli.app import app

WORD = "[A-Z0-9]+"
METAVAR = re.compile(
    rf"{WORD}([:|@]{WORD}|=V|=V,V|\[:{WORD}\])*(\|[a-z]+|,\.\.\.)?"
    rf"|({WORD},)+\.\.\."  # N,N,...
    r"|[a-z0-9.-]+(\|[a-z0-9.-]+)*"  # png|gif
)
"""What may stand for a value: N, FILE, HOST:PORT|auto, CLIPS[:SPLIT], NAME,..., or the
values themselves."""


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command, by the words that are typed."""
    yield name, command
    for word, each in getattr(command, "commands", {}).items():
        yield from commands(each, f"{name} {word}")


ALL = dict(commands(typer.main.get_command(app), "svt"))
GROUPS = [name for name, command in ALL.items() if hasattr(command, "commands")]


@pytest.fixture
def help_of(monkeypatch):
    """Help page of a command, as a terminal of 80 columns shows it."""
    monkeypatch.setenv("COLUMNS", "80")

    def page(name: str) -> str:
        context = ALL[name].make_context(name, [], resilient_parsing=True)
        return str(ALL[name].get_help(context))

    return page


@pytest.mark.parametrize("name", ALL)
def test_values_are_plain_words_and_lines_fit(name, help_of):
    shown = help_of(name)
    assert max(map(len, shown.splitlines())) <= 80
    assert not re.search(r"<\w|\{|\[\[|>=\d|\[required| range", shown), shown
    for parameter in ALL[name].params:
        if not getattr(parameter, "is_flag", False):
            assert re.fullmatch(METAVAR, parameter.metavar), parameter.metavar


@pytest.mark.parametrize("name", GROUPS)
def test_every_command_of_a_group_is_described_in_one_line(name, help_of):
    listed = help_of(name).partition("\nCommands:\n")[2].rstrip()
    assert len(listed.splitlines()) == len(ALL[name].commands)
    assert "..." not in listed


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("svt train", "RECIPE [K=V]..."),
        ("svt eval", "[CKPT|SAMPLES]..."),
        ("svt render", "[SAMPLES|RUN|CLIPS[:SPLIT]]..."),
        ("svt recipes copy", "RECIPE [DEST]"),
    ],
)
def test_usage_shows_which_arguments_may_be_left_out_or_repeated(
    name, arguments, help_of
):
    assert help_of(name).startswith(f"Usage: {name} [OPTIONS] {arguments}\n")
