"""Progress by tqdm: a live bar on a terminal, plain lines on a pipe."""

import os
import sys
import threading
from collections.abc import Mapping

from tqdm import tqdm

from svtcli.cli.console import printable

NARROW = 60
"""A terminal with fewer columns has no room for a bar, a rate and facts."""
NUMBERS = 28
"""Columns of the numbers on a narrow terminal; the task's name gets the others."""
SHORTEST_NAME = 8
LINE_SECONDS, LINE_SHARE = 30.0, 0.05
"""A line on a pipe is due after either, but at most one a second."""

tqdm.monitor_interval = 0  # no thread beside the work
tqdm.set_lock(threading.RLock())  # the default lock is shared with worker processes


class TqdmProgress:
    """Show share, rate, time left and facts of the current task on stderr."""

    def __init__(self, live: bool, every_update: bool = False) -> None:
        self._live = live
        self._every_update = every_update
        self._bar: tqdm | None = None

    def begin(self, task: str, total: int | None = None, unit: str = "") -> None:
        """Open a bar; a bar that is still open is closed first."""
        self.end()
        columns = _columns()
        narrow = self._live and columns < NARROW
        if narrow:
            task = task[: max(columns - NUMBERS, SHORTEST_NAME)].rstrip()
        self._started = False
        self._bar = (tqdm if self._live else _Lines)(
            desc=printable(task),
            total=total,
            unit="B" if unit == "bytes" else unit.removesuffix("s"),
            unit_scale=unit == "bytes",
            bar_format=_layout(total, unit, bar=self._live, narrow=narrow),
            mininterval=0.1 if self._live else 0.0 if self._every_update else 1.0,
            smoothing=0.3 if self._live else 0.0,
            dynamic_ncols=self._live,
        )

    def advance(
        self, done: int | float, facts: Mapping[str, str] | None = None
    ) -> None:
        """Move the bar to `done`; `facts` stay until they change.

        The first call marks the start: work done before a resume has no rate.
        """
        bar = self._bar
        if bar is None:
            return
        if facts is not None:
            text = ", ".join(f"{name} {value}" for name, value in facts.items())
            bar.set_postfix_str(text, refresh=False)
        if not self._started:
            self._started = True
            bar.initial = bar.n = bar.last_print_n = done
            bar.unpause()
        bar.update(done - bar.n)
        if done == bar.total and bar.last_print_n < done:
            bar.refresh()
            bar.last_print_n = bar.n

    def end(self) -> None:
        """Close the bar where it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def note(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        line = printable(line)
        if self._live and self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)  # noqa: T201


class _Lines(tqdm):
    """A bar that prints lines: first the task's name, then one when it is due."""

    def update(self, n: int | float | None = 1) -> bool | None:
        """Advance, and print a line if it is due."""
        now = self.start_t + self.format_dict["elapsed"]
        if not self.mininterval:
            self.miniters = 0
        elif now - self.last_print_t >= LINE_SECONDS:
            self.miniters = 1e-9  # any progress
        else:
            self.miniters = LINE_SHARE * (self.total or float("inf"))
        return super().update(n)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Print the current state, or the name before the first `update`."""
        line = str(self) if hasattr(self, "start_t") else self.desc
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    def close(self) -> None:
        """Print what is not yet printed."""
        if not self.disable and self.n != self.last_print_n:
            self.refresh()
        self.leave = False
        self.sp = None
        super().close()


def _layout(total: int | None, unit: str, *, bar: bool, narrow: bool) -> str:
    """tqdm's default layout, with whole counts, or as much of it as there is room."""
    count, of = "{n:.0f}", "" if total is None else f"/{total}"
    if unit == "bytes":
        count, of = "{n_fmt}", "" if total is None else "/{total_fmt}"
    share = "" if total is None else " {percentage:3.0f}%"
    if narrow:
        time = "{elapsed}" if total is None else "{remaining}"
        return f"{{desc}}{share} {count}{of} {time}"
    left = "" if total is None else "<{remaining}"
    drawn = "|{bar}|" if bar and total is not None else ""
    return (
        f"{{desc}}:{share}{drawn} {count}{of} "
        f"[{{elapsed}}{left}, {{rate_fmt}}{{postfix}}]"
    )


def _columns() -> int:
    """Columns of the terminal on stderr."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
