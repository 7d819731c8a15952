"""The command line as a whole: help, global flags, what an error looks like."""

import errno
import json
import resource
import subprocess
import sys

import pytest

from svtcli import __version__
from svtcli.cli import console
from svtcli.cli.app import hoist, main
from svtcli.failure import Failure, Refused
from tests.cli.terminal import svt, svt_here

HEAVY = ("jax", "flax", "numpy", "grain", "optax", "orbax", "av", "PIL", "matplotlib")


@pytest.fixture(autouse=True)
def _settings_end_with_the_test():
    yield
    console.configure(console.Settings())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["recipes", "list"], ["train", "--help"], ["--version"]]
)
def test_help_and_lists_import_nothing_heavy(arguments):
    code = (
        "import sys; from svtcli.cli.app import main; "
        f"assert main({arguments!r}) == 0; "
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_help_answers_at_once():
    """Aim 0.3 s (benchmarks/); its own work, whatever else the machine does."""
    seconds = []
    for _ in range(3):
        begun = spent_by_children()
        svt("--help")
        seconds.append(spent_by_children() - begun)
    assert min(seconds) < 1.0


def spent_by_children() -> float:
    """Processor seconds of all processes that were waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def test_svt_alone_shows_its_commands():
    said = svt()
    assert said.code == 0
    for command in ("train", "render", "recipes"):
        assert f"\n  {command} " in said.out


def test_the_version_is_the_package_s(capfd):
    assert svt("--version").out == f"svt {__version__}\n"
    as_json = svt_here(capfd, "--version", "--json").out
    assert json.loads(as_json) == {"version": __version__}


def test_global_flags_may_stand_after_the_command(capfd):
    before = svt_here(capfd, "--json", "recipes", "list")
    after = svt_here(capfd, "recipes", "list", "--json")
    assert before == after
    assert "recipes" in json.loads(after.out)


def test_what_follows_two_dashes_is_no_flag():
    assert hoist(["train", "-q", "--", "--json"]) == (["-q"], ["train", "--", "--json"])


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?", "svt --help"),
        (["train"], "Missing argument 'RECIPE'.", "svt train --help"),
        (["train", "x", "--step", "3"], "No such option: --step", "svt train --help"),
        (
            ["train", "x", "--steps", "0"],
            "Invalid value for '--steps'",
            "svt train --help",
        ),
        (["recipes"], "Missing command.", "svt recipes --help"),
        (["-q", "-v", "recipes", "list"], "-q and -v", "svt --help"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_a_hint(
    capfd, arguments, sentence, hint
):
    said = svt_here(capfd, *arguments)
    assert (said.code, said.out) == (2, "")
    first, second = said.err.splitlines()
    assert first.startswith("svt: error: ")
    assert sentence in first
    assert second == f"hint: {hint}"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (Refused("no", "try"), 2, "svt: error: no\nhint: try\n"),
        (KeyboardInterrupt(), 130, "svt: interrupted\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a.npy"), 74, "a.npy: No sp"),
        (OSError(errno.EIO, "Input/output error"), 74, "svt: error: Input/output"),
        (
            PermissionError(13, "Permission denied", "b"),
            1,
            "b: Permission denied\nhint",
        ),
        (MemoryError(), 1, "out of memory"),
        (ValueError("first\nsecond"), 1, "unexpected error: first\nhint: run with --"),
        (ValueError(), 1, "svt: error: unexpected error\nhint"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_every_error_has_its_words_and_its_code(capsys, error, code, words):
    assert console.report(error) == code
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_a_ctrl_c_in_a_command_is_said_and_ends_in_130(capsys, monkeypatch):
    """Typer answers it with a code of its own and without a word."""

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("svtcli.recipe.load.shipped_recipes", interrupted)
    assert main(["recipes", "list"]) == 130
    assert capsys.readouterr().err == "svt: interrupted\n"


def test_debug_shows_the_traceback(capsys):
    console.configure(console.Settings(debug=True))
    with pytest.raises(Failure) as caught:
        raise Failure("broken")
    console.report(caught.value)
    assert "Traceback" in capsys.readouterr().err


def test_main_returns_the_code_and_never_raises(capsys):
    assert main(["recipes", "show", "no-such-recipe"]) == 2
    assert capsys.readouterr().err.startswith("svt: error: no recipe called")
