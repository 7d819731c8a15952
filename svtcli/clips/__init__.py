"""Clips on disk: plain `.npy` shards beside a manifest; written, read and checked."""

from pathlib import Path


def find_clips(text: str) -> tuple[Path | None, str | None]:
    """Folder and split of CLIPS[:SPLIT], None for each that is left out.

    CLIPS is a folder, whose name may hold a colon, or the name of one in `clips/`. The
    folder need not exist.
    """
    name, colon, split = text.rpartition(":")
    readings = [(name, split or None)] if colon else []
    for folder, of_folder in [(text, None), *readings]:
        for place in (Path(folder), Path("clips") / folder) if folder else ():
            if is_clips(place):
                return place, of_folder
    folder, of_folder = readings[0] if colon else (text, None)
    return (Path(folder) if folder else None), of_folder


def is_clips(folder: Path) -> bool:
    """Tell a folder of prepared clips by its manifest."""
    return (folder / "manifest.json").is_file()
