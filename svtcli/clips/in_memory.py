"""Clips in memory: videos that a model continues, without a folder of clips."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from jaxtyping import Float32, UInt8

from svtcli.clips.format import FLOAT, ClipFacts
from svtcli.clips.reader import Clips
from svtcli.run.durable import fingerprint

Video = UInt8[np.ndarray, "F H W C"]


@dataclass(frozen=True, eq=False)
class MemoryClips(Clips):
    """Videos that all count as equally long: frames that one lacks are white."""

    videos: tuple[np.ndarray, ...]
    """Recorded frames of each, uint8 [F, H, W, C], with an F of its own."""
    known_actions: Float32[np.ndarray, "N F A"] | None = None

    def read(self, index: int, start: int = 0, frames: int | None = None) -> Video:
        video = np.full((self.count(index, start, frames), *self.shape), 255, np.uint8)
        recorded = self.videos[index][start : start + len(video)]
        video[: len(recorded)] = recorded
        return video

    def recorded(self, index: int) -> int:
        return len(self.videos[index])

    def values(
        self, name: str, index: int, start: int = 0, frames: int | None = None
    ) -> Float32[np.ndarray, "F A"] | None:
        """Return known actions, else zeros: nobody has recorded them."""
        if name not in self.beside:
            return None
        count = self.count(index, start, frames)
        if self.known_actions is not None:
            return self.known_actions[index, start : start + count]
        return np.zeros((count, self.beside[name]), FLOAT)


def memory_clips(
    videos: dict[str, np.ndarray],
    frames: int,
    actions: int = 0,
    known: Float32[np.ndarray, "N F A"] | None = None,
) -> MemoryClips:
    """Clips of `frames` frames from videos of one size, by their names.

    There are `actions` numbers beside each frame: those `known`, else zeros.
    """
    names, arrays = tuple(videos), tuple(videos.values())
    checksums = [sha256(video.tobytes()).hexdigest() for video in arrays]
    facts = [] if known is None else [sha256(known.tobytes()).hexdigest()]
    return MemoryClips(
        name=", ".join(names),
        split="",
        shape=arrays[0].shape[1:],
        fingerprint=fingerprint(names, checksums, frames, actions, *facts),
        lengths=np.full(len(arrays), frames),
        facts=[ClipFacts(name, name) for name in names],
        beside={"actions": actions} if actions else {},
        videos=arrays,
        known_actions=known,
    )
