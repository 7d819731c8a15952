"""Output of a command: results on stdout, everything else on stderr; errors.

One `Settings` holds for the process; `cli/app.py` sets it from the global flags before
a command runs.
"""

import codecs
import errno
import io
import json
import logging
import os
import re
import shutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import typer

from svtcli.cli.streams import discard_stdout
from svtcli.failure import Failure, error_object, in_words
from svtcli.run import signals
from svtcli.run.durable import STORAGE, disk_remedy, room_at, writing
from svtcli.run.progress import Progress, Silent
from svtcli.train.memory import out_of_memory

NARROWEST = 16
"""Columns of the last cell of a table, below which it is not wrapped any further."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, which is no error."""
WANTED = "Input should be a valid "
PARSER_SAYS = {
    f"{WANTED}integer, unable to parse string as an integer": "must be a whole number",
    f"{WANTED}number, unable to parse string as a number": "must be a number",
    "Input should be greater than or equal to": "must be at least",
    "Got unexpected extra argument(s)": "Unexpected argument:",
}
"""Messages of Typer's parser, and plainer ones."""
OF_JAX = re.compile(
    r"(?P<what>[Ii]nvalid .* (environment|JAX flag) '?(?P<name>jax_\w+)'?)",
    re.IGNORECASE,
)
"""Messages of jax about a variable of the shell, when it is imported."""
STDOUT = Path("stdout")
"""Name of stdout in the message of a failed write."""
PIPE_WIDTH = 10_000
"""Columns of a pipe or a file: nothing is wrapped there."""
SPELLED = {
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{MIDDLE DOT}": "-",
    "\N{BULLET}": "*",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{SECTION SIGN}": "section ",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{SUPERSCRIPT TWO}": "^2",
    "\N{SUPERSCRIPT THREE}": "^3",
}
"""Replacements of characters that the terminal's encoding lacks; others become `?`."""

CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
"""Characters that steer a terminal or reorder its text."""


@dataclass(frozen=True)
class Settings:
    """The global flags."""

    quiet: bool = False
    verbose: bool = False
    json: bool = False
    color: bool = True
    debug: bool = False


_settings = Settings()
_progress: Progress = Silent()
_shown = False


def configure(settings: Settings) -> None:
    """Apply the global flags to all output from now on."""
    global _settings, _shown
    _settings, _shown = settings, False
    logging.basicConfig(
        level=logging.INFO if settings.verbose else logging.WARNING,
        format="%(name)s: %(message)s",
        force=True,
    )
    replace_unencodable(sys.stdout, sys.stderr)


def settings() -> Settings:
    """Return the settings in force."""
    return _settings


def progress() -> Progress:
    """Return a stage's progress: a bar, lines on a pipe, or nothing with -q."""
    global _progress
    if _settings.quiet:
        return Silent()
    from svtcli.cli.progress import TqdmProgress

    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    _progress = TqdmProgress(live, every_update=_settings.verbose)
    return _progress


def note(line: str) -> None:
    """Print a line on stderr; nothing with -q."""
    if not _settings.quiet:
        print(printable(line), file=sys.stderr, flush=True)  # noqa: T201


def suggest(what: str, command: str) -> None:
    """Name a command that may come next, as `note`; nothing with --json either."""
    if not _settings.json:
        note(f"{what}: {command}")


def show(text: str, data: Mapping[str, object]) -> None:
    """Print the result on stdout: `text`, or `data` as a JSON object with --json."""
    global _shown
    _shown = signals.answered = True
    if _settings.json:
        shown = json.dumps(dict(data), default=str)
    else:
        shown = printable(text, lines=True)
    if shown:
        with writing(STDOUT):
            print(shown.rstrip("\n"), flush=True)  # noqa: T201


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lines of a table without a frame; columns of numbers are right-aligned.

    The last column is wrapped where the table is wider than the terminal on stdout;
    nothing is ever cut off.
    """
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    grid.show_header = any(columns)
    cells = [[printable(str(value)) for value in row] for row in rows]
    least = 0
    for number, name in enumerate(columns):
        column = [row[number] for row in cells]
        numeric = bool(column) and all(map(_is_number, column))
        last = number == len(columns) - 1
        grid.add_column(
            name,
            justify="right" if numeric else "left",
            no_wrap=not last,
            overflow="fold",
        )
        widest = max(map(len, [name, *column]))
        least += min(widest, NARROWEST) if last else widest + 2
    for row in cells:
        grid.add_row(*row)
    tty = sys.stdout.isatty()
    width = max(shutil.get_terminal_size().columns if tty else PIPE_WIDTH, least)
    drawn = io.StringIO()
    Console(
        file=drawn, width=width, color_system=None, markup=False, emoji=False
    ).print(grid)
    return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines())


def facts(named: Mapping[str, object]) -> str:
    """Lines of names with their values."""
    return table(("", ""), list(named.items()))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def paint(text: str, code: str) -> str:
    """Put `text` in an ANSI style if stderr is a terminal that wants colour."""
    colored = _settings.color and not os.environ.get("NO_COLOR")
    if not (colored and sys.stderr.isatty()):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def report(error: BaseException) -> int:
    """Print what went wrong on stderr, below a closed bar; return the exit code.

    With --json the object on stdout tells it too, unless a result is there already.
    """
    _progress.end()
    if isinstance(error, OSError):
        discard_stdout()
    if _settings.debug:
        trace = "".join(traceback.format_exception(error))
        print(printable(trace, lines=True), file=sys.stderr)  # noqa: T201
    sentence, hint, code = explain(error)
    if sentence:
        sentence = printable(sentence, lines=getattr(error, "many_lines", False))
        name = paint("svt:" if code == INTERRUPTED else "svt: error:", "1;31")
        print(f"{name} {sentence}", file=sys.stderr)  # noqa: T201
    if hint:
        print(f"{paint('hint:', '1')} {printable(hint)}", file=sys.stderr)  # noqa: T201
    if sentence and _settings.json and not _shown:
        with suppress(OSError):  # also a closed stdout
            show("", error_object(sentence, hint, code))
    return code


def explain(error: BaseException) -> tuple[str, str | None, int]:
    """Sentence (may be empty), hint and exit code of an error."""
    error = out_of_memory(error) or error
    unexpected = None if _settings.debug else "run with --debug for the traceback"
    match error:
        case Failure():
            return error.sentence, error.hint, error.code
        case KeyboardInterrupt() | typer.Abort():
            return "interrupted", None, INTERRUPTED
        case BrokenPipeError():
            return "", None, 1
        case OSError(errno=number) if number in STORAGE:
            place, room = "", ""
            if error.filename:
                place = f"{error.filename}: "
                path = Path(error.filename)
                room = "" if path == STDOUT else room_at(path, error)
            why = f"{place}{error.strerror}{room}"
            return why, f"{disk_remedy(error)}, then run again", 74
        case OSError(errno=errno.ENAMETOOLONG, filename=name) if name is not None:
            return f"{name}: this name is too long", "choose a shorter one", 2
        case OSError(errno=errno.EROFS, filename=name) if name is not None:
            elsewhere = "write to another folder: --out, or SVT_RUNS for a new run"
            return f"{name}: {error.strerror}", elsewhere, 1
        case OSError(strerror=str(why), filename=name) if name is not None:
            return f"{name}: {why}", unexpected, 1
        case _ if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            # A wrong command line, as Typer's parser reports it.
            sentence = " ".join(error.format_message().split())
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "svt"
            # Typer reports enums this way.
            sentence = sentence.replace(": Value error, ", ": ")
            for raw, plain in PARSER_SAYS.items():
                sentence = sentence.replace(raw, plain)
            return sentence, f"{command} --help", error.exit_code
        case ValueError() if wrong := OF_JAX.search(str(error)):
            return wrong["what"], f"correct {wrong['name'].upper()}, or unset it", 2
        case MemoryError():
            return "out of memory", "a smaller batch needs less", 1
    place, reason = _place(error), in_words(error, "")
    return ": ".join(filter(None, (f"unexpected error{place}", reason))), unexpected, 1


def _place(error: BaseException) -> str:
    """File and line of svt in which an unexpected error was raised."""
    own = [
        f" at svtcli{frame.filename.rpartition('svtcli')[2]}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "svtcli" in frame.filename
    ]
    return own[-1] if own else ""


def printable(text: str, lines: bool = False) -> str:
    """Escape control characters, as in a file's name; `lines` and tabs may stay."""
    kept = "\n\t" if lines else ""

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if character in kept:
            return character
        return character.encode("unicode_escape").decode()

    return CONTROL.sub(escaped, text)


def replace_unencodable(*streams: object) -> None:
    """Let `streams` write text with characters that their encoding lacks."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="svt-spelled")


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return the replacement of a character, and the position after it.

    Python represents undecodable bytes of a file name as surrogates: they are written
    as the bytes, so that a printed path still names its file.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character, after = error.object[error.start], error.start + 1
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return bytes([ord(character) - 0xDC00]), after
    return SPELLED.get(character, "?"), after


codecs.register_error("svt-spelled", _spelled)
