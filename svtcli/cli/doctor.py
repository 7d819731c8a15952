"""`svt doctor`: checks of this machine, and remedies."""

import os
import shutil
import sys
from typing import TYPE_CHECKING

from svtcli.cli import console
from svtcli.failure import CheckFailed

if TYPE_CHECKING:
    from svtcli.project.doctor import Finding

NARROW = 60
"""Columns below which tables are wrapped."""


def doctor() -> None:
    """Check this machine for all that svt needs; 3 if it cannot run.

    Versions, devices and a matrix product on them, codecs, optional extras, folders and
    free disk space, the terminal. A line marked `note` names something missing that svt
    can do without.

    For example: svt doctor --json, to show someone else what is here.
    """
    from svtcli.project.doctor import examine

    found = [*examine(console.progress()), _terminal()]
    rows, checks = [], {}
    for each in found:
        hint = f" ({each.hint})" if each.hint else ""
        rows.append((each.state, each.name, each.text + hint))
        checks[each.name] = {
            "state": each.state,
            "said": each.text,
            "hint": each.hint,
            "facts": each.facts,
        }
    broken = [each.name for each in found if each.state == "broken"]
    text = console.table("", ("", "", ""), rows)
    console.show(text, {"ok": not broken, "checks": checks})
    if broken:
        raise CheckFailed(f"broken: {', '.join(broken)}", "see the lines above")


def _terminal() -> "Finding":
    """Check the terminal: columns, encoding, colour, and the kind of progress."""
    from svtcli.project.doctor import Finding

    columns = shutil.get_terminal_size().columns
    encoding = (sys.stdout.encoding or "ascii").lower()
    live = sys.stderr.isatty()
    color = live and console.settings().color and not os.environ.get("NO_COLOR")
    facts = {"columns": columns, "encoding": encoding, "live": live, "color": color}
    text = (
        f"{columns} columns, {encoding}, progress as {'a bar' if live else 'lines'}, "
        f"{'colour' if color else 'no colour'}"
    )
    hint = None
    if not encoding.startswith("utf"):
        hint = "signs such as a plus-minus are spelled out; PYTHONUTF8=1 shows them"
    elif columns < NARROW:
        hint = f"tables want {NARROW} columns"
    return Finding("terminal", "note" if hint else "ok", text, hint, facts)
