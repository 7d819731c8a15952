"""Writes the same videos as every kind of source that `open_videos` reads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from svtcli.clips.format import ClipFacts, Layout, Manifest, Split, write_manifest
from svtcli.clips.writer import ShardWriter
from svtcli.run.samples import Samples, write_samples
from tests.render.made_up import made_up_samples
from tests.video.video_files import write_video

Write = Callable[[Path, np.ndarray], str]
"""Writes uint8 [N, F, H, W, C] at a path; returns the source's name."""


def noise(*shape: int) -> np.ndarray:
    """Any bytes."""
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


def npy(path: Path, videos: np.ndarray) -> str:
    np.save(path, videos)
    return f"{path}.npy"


def npy_in_columns(path: Path, videos: np.ndarray) -> str:
    return npy(path, np.asfortranarray(videos))


def npz(path: Path, videos: np.ndarray) -> str:
    np.savez(path, videos=videos, fps=np.float32(4))
    return f"{path}.npz"


def compressed(path: Path, videos: np.ndarray) -> str:
    np.savez_compressed(path, videos)
    return f"{path}.npz"


def npz_key(path: Path, videos: np.ndarray) -> str:
    np.savez(path, a=videos[::-1], b=videos)
    return f"{path}.npz:b"


def samples(path: Path, videos: np.ndarray, truth: np.ndarray | None = None) -> str:
    """A folder of samples; `videos` may have M continuations each."""
    if videos.ndim == 5:
        videos = videos[:, None]
    truth = np.zeros_like(videos[:, 0]) if truth is None else truth
    facts = replace(made_up_samples().facts, frames=videos.shape[2])
    log_prob = np.zeros(videos.shape[:3], np.float32)
    write_samples(path, Samples(videos, truth, log_prob, facts))
    return str(path)


def clips(path: Path, videos: np.ndarray, *splits: str) -> str:
    """Prepared clips, two in a shard, the same in all `splits`; `test` by default.

    `videos` may also be a list of videos of unlike lengths.
    """
    path.mkdir()
    shape, shards = videos[0].shape[1:], []
    for first in range(0, len(videos), 2):
        with ShardWriter(path, f"all-{first:05d}", Layout(shape)) as writer:
            for i, video in enumerate(videos[first : first + 2], first):
                writer.add(ClipFacts(f"clip {i}", f"v{i}.mp4"), video)
        shards.append(writer.shard)
    split = Split(len(videos), sum(map(len, videos)), tuple(shards))
    named = dict.fromkeys(splits or ("test",), split)
    write_manifest(path, Manifest({}, "", shape, named, {}, "f"))
    return str(path)


def frame_folders(ending: str, digits: int = 1) -> Write:
    """A folder per video; names are counted without leading zeros."""

    def write(path: Path, videos: np.ndarray) -> str:
        for n, video in enumerate(videos):
            (path / f"v{n}").mkdir(parents=True)
            for f, picture in enumerate(video):
                save(path / f"v{n}" / f"frame{f + 8:0{digits}}{ending}", picture)
        return str(path)

    return write


def save(path: Path, picture: np.ndarray) -> None:
    """A picture [H, W, C]; gray where C is 1."""
    Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(
        path
    )


def containers(ending: str, codec: str, pix_fmt: str) -> Write:
    """A file per video; numbers are counted without leading zeros."""

    def write(path: Path, videos: np.ndarray) -> str:
        for n, video in enumerate(videos):
            write_video(path / f"{n + 8}{ending}", video, codec, pix_fmt)
        return str(path)

    return write


EVERY_KIND: dict[str, Write] = {
    "npy": npy,
    "columns": npy_in_columns,
    "npz": npz,
    "compressed": compressed,
    "npz key": npz_key,
    "samples": samples,
    "clips": clips,
    "ffv1": containers(".mkv", "ffv1", "bgr0"),
    "huffyuv": containers(".avi", "huffyuv", "rgb24"),
    "png": containers(".mov", "png", "rgb24"),
}
for _ending in (".png", ".bmp", ".tif", ".PNM"):
    EVERY_KIND[_ending] = frame_folders(_ending)
ONLY_RGB = ("ffv1", "huffyuv", "png")
WITH_CONTINUATIONS = ("npy", "columns", "npz", "compressed", "npz key", "samples")
