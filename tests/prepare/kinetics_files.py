"""Folders that look like Kinetics, with empty files for videos."""

from collections.abc import Iterable
from pathlib import Path

HEADER = "label,youtube_id,time_start,time_end,split"


def write_list(path: Path, rows: Iterable[str], header: str | None = HEADER) -> Path:
    """A list of videos; `rows` are its lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [*([header] if header else []), *rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def touch(folder: Path, *names: str) -> Path:
    """Empty files."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def youtube_id(number: int) -> str:
    """Eleven characters of the kind that mislead: a dash in front, underscores."""
    return f"-{number:07d}_x_"


def clip_name(number: int, start: int = 10, ending: str = "mp4") -> str:
    """Name a clip like every downloader."""
    return f"{youtube_id(number)}_{start:06d}_{start + 10:06d}.{ending}"
