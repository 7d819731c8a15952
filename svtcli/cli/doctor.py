"""`svt doctor`: whether this machine has what svt needs, and what to do where not."""

import os
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from svtcli.cli import console
from svtcli.failure import CheckFailed

if TYPE_CHECKING:
    from svtcli.project.doctor import Finding

NARROW = 60
"""Columns below which tables are wrapped."""


def doctor() -> None:
    """Say what is here, what is not, and what to do about it; 3 if svt cannot work.

    Versions, devices and one product of matrices on them, codecs, what the optional
    extras give, where files go and how much room is left, the terminal. A line marked
    `note` says what is missing of something that svt can do without.

    For example: svt doctor --json, to show someone else what is here.
    """
    from svtcli.project.doctor import examine

    found = [*examine(console.progress()), _terminal()]
    broken = [each.name for each in found if each.state == "broken"]
    checks = {each.name: _data(each) for each in found}
    rows = [(each.state, each.name, _text(each)) for each in found]
    text = console.table("", ("", "", ""), rows)
    console.show(text, {"ok": not broken, "checks": checks})
    if broken:
        raise CheckFailed(f"broken: {', '.join(broken)}", "see the lines above")


def _text(found: "Finding") -> str:
    return found.said + (f" ({found.hint})" if found.hint else "")


def _data(found: "Finding") -> dict[str, object]:
    data = asdict(found)
    return {key: value for key, value in data.items() if key != "name"}


def _terminal() -> "Finding":
    """What can be shown here."""
    from svtcli.project.doctor import Finding

    columns = shutil.get_terminal_size().columns
    encoding = (sys.stdout.encoding or "ascii").lower()
    live = sys.stderr.isatty()
    color = live and console.settings().color and not os.environ.get("NO_COLOR")
    facts = {"columns": columns, "encoding": encoding, "live": live, "color": color}
    said = (
        f"{columns} columns, {encoding}, {'a live bar' if live else 'lines'} of "
        f"progress, {'in' if color else 'no'} colour"
    )
    hint = None
    if not encoding.startswith("utf"):
        hint = "signs such as a plus-minus are spelled out; PYTHONUTF8=1 shows them"
    elif columns < NARROW:
        hint = f"tables want {NARROW} columns"
    return Finding("terminal", "note" if hint else "ok", said, hint, facts)
