"""Profile of a device: a trace, kernel by kernel."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import jax

MOST = 14
"""Rows of a table; what comes after is one row."""

HEADER = ("kernels", "starts", "us each", "us", "share")


def trace_rows(work: Callable[[], object], times: int) -> Iterator[tuple]:
    """Kernels of like names together, the longest first, for one of `times` units.

    `work` returns when the device is done.
    """
    with TemporaryDirectory() as place:
        with jax.profiler.trace(place):
            work()
        spent = _by_name(Path(place))
    longest = sorted(spent.items(), key=lambda row: -sum(row[1]))
    every = [each for _, durations in longest for each in durations]
    rest = [each for _, durations in longest[MOST:] for each in durations]
    for name, each in [*longest[:MOST], ("all others", rest), ("all", every)]:
        if each:
            yield (
                name,
                f"{len(each) / times:.1f}",
                f"{sum(each) / len(each) / 1e3:.1f}",
                f"{sum(each) / times / 1e3:.1f}",
                f"{sum(each) / sum(every):.0%}",
            )


def _by_name(folder: Path) -> dict[str, list[float]]:
    """Nanoseconds of every start of a kernel, by its name without its number."""
    spent: dict[str, list[float]] = defaultdict(list)
    for path in folder.rglob("*.xplane.pb"):
        for name, duration in _events(jax.profiler.ProfileData.from_file(str(path))):
            if duration > 0:
                spent[re.sub(r"([._]\d+)+$", "", name)[:60]].append(duration)
    return spent


def _events(trace: jax.profiler.ProfileData) -> Iterator[tuple[str, float]]:
    """Events of a GPU's streams; on a CPU, for trials, of XLA's own threads."""
    planes = {plane.name: list(plane.lines) for plane in trace.planes}
    devices = [name for name in planes if name.startswith("/device:")]
    wanted = "Stream" if devices else "tf_XLAPjRtCpuClient"
    for name in devices or planes:
        for line in planes[name]:
            if line.name.startswith(wanted):
                for event in line.events:
                    if ":" not in event.name:
                        yield event.name, event.duration_ns
