"""Damages videos from seeds, in the ways that disks, networks and people do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.video.video_files import moving_square, write_animation, write_video

Kind = Callable[[bytes, bytes, np.random.Generator], bytes]
CODECS = {
    "a.mp4": ("libx264", "yuv420p"),
    "b.mkv": ("libx264", "yuv444p10le"),
    "c.webm": ("libvpx", "yuv420p"),
    "d.webm": ("libvpx-vp9", "yuv420p"),
    "e.avi": ("mpeg4", "yuv420p"),
    "f.ts": ("mpeg2video", "yuv420p"),
    "g.flv": ("flv", "yuv420p"),
    "h.wmv": ("wmv2", "yuv420p"),
}


def whole_files(folder: Path) -> list[Path]:
    """One small video of every kind that may be in a folder."""
    pictures = moving_square(20)
    videos = [
        write_video(folder / name, pictures, codec, pix_fmt)
        for name, (codec, pix_fmt) in CODECS.items()
    ]
    animations = [
        write_animation(folder / f"i{end}", pictures) for end in (".gif", ".apng")
    ]
    return [*videos, *animations]


def corrupted(wholes: list[Path], folder: Path, seed: int) -> Path:
    """One of them, damaged in one way; another of them lends its header."""
    rng = np.random.default_rng(seed)
    path, other = (wholes[i] for i in rng.choice(len(wholes), 2, replace=False))
    kind = KINDS[rng.integers(len(KINDS))]
    folder.mkdir(exist_ok=True)
    damaged = folder / f"{seed:03d}-{kind.__name__}{path.suffix}"
    damaged.write_bytes(kind(path.read_bytes(), other.read_bytes(), rng))
    return damaged


def flipped(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A few bits anywhere."""
    damaged = np.frombuffer(content, np.uint8).copy()
    places = rng.choice(len(damaged), min(len(damaged), rng.integers(1, 200)), False)
    damaged[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
    return damaged.tobytes()


def flipped_header(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Bits of the first 400 bytes."""
    return flipped(content[:400], other, rng) + content[400:]


def truncated(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A download that stopped."""
    return content[: rng.integers(1, len(content))]


def headless(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Without its first bytes."""
    return content[rng.integers(1, len(content)) :]


def swapped_header(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Begins as another file does."""
    length = int(rng.integers(8, 1200))
    return other[:length] + content[length:]


def with_a_hole(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A block of zeros, as a sparse copy leaves it."""
    start = int(rng.integers(0, len(content) - 16))
    length = int(rng.integers(16, 600))
    hole = bytes(min(length, len(content) - start))
    return content[:start] + hole + content[start + len(hole) :]


def repeated(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A part that is there twice."""
    start, end = sorted(rng.integers(0, len(content) + 1, 2))
    return content[:end] + content[start:]


KINDS: tuple[Kind, ...] = (
    flipped,
    flipped_header,
    truncated,
    headless,
    swapped_header,
    with_a_hole,
    repeated,
)
