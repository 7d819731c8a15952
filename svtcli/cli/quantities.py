"""Numbers for people: bytes, counts, rates, times."""

from svtcli.run.device_memory import size as size


def amount(count: int | float, unit: str) -> str:
    """So much of something, without the unit unless that is bytes: `12,000`."""
    if unit == "bytes":
        return size(count)
    return f"{count:,.0f}" if count >= 100 else f"{count:.3g}"


def duration(seconds: int | float) -> str:
    """`h:mm:ss` or `m:ss`, whole seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def about(seconds: int | float) -> str:
    """A rough time: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.3g} h"
