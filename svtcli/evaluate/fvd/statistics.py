"""Statistics of reference clips in a file: FVD without the clips.

A `.npz` of plain arrays: `mean` float64 [K, D] of the features of each of K windows;
`root` float64 [K, R, D] with rootᵀ·root = the covariance over N - 1, R = min(N, D): the
very terms of `frechet`, so that FVD is the same to the last digit; and `protocol`, a
JSON object in UTF-8 bytes, with everything that they depend on.
"""

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from pydantic import TypeAdapter, ValidationError

from svtcli.evaluate.foreign.videos import Pixels, Rows, Selection, Videos
from svtcli.evaluate.fvd.protocol import RANK, Moments
from svtcli.evaluate.metrics import DISTANCES
from svtcli.evaluate.weights import I3D_WEIGHTS, weights_file
from svtcli.failure import BadData, Failure, Refused
from svtcli.recipe.schema import Compare
from svtcli.run.durable import fingerprint_file, write_atomic
from svtcli.run.progress import counted
from svtcli.video.npy_files import open_archive, read_header

FORMAT = 1
_MEMBERS = {f"{name}.npy" for name in ("protocol", "mean", "root")}
_LONGEST = 1 << 20
"""Most bytes of a protocol."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that the statistics of a set of clips depend on."""

    name: str
    """Clips, as their publisher named them."""
    clips: int
    """N."""
    frames: int
    """Frames of each clip; the windows say how many of them count."""
    shape: tuple[int, int, int]
    """Height, width, channels."""
    fps: float | None
    """Frames a second; None if unknown."""
    lossy: bool
    window: int
    starts: tuple[int, ...]
    """First frame of each window."""
    resize: str
    prime: int | None
    """Prime frames, which the windows include; None if unknown."""
    weights: str
    """SHA-256 of the network's file."""
    pixels: str
    """SHA-256 of the clips (`Selection.sha256`)."""
    svt: str
    """Version of svt."""
    format: int = FORMAT


@dataclass(frozen=True, eq=False, kw_only=True)
class ReferenceStatistics(Videos):
    """Reference clips of which only the statistics are at hand."""

    protocol: Protocol
    moments: tuple[Moments, ...]
    """Of each window."""
    sha256: str
    """SHA-256 of the file."""

    def moments_at(self, starts: tuple[int, ...]) -> tuple[Moments, ...]:
        """Moments of the windows that begin at these frames. Errors: ValueError."""
        return tuple(self.moments[self.protocol.starts.index(each)] for each in starts)

    def check(
        self,
        samples: Videos,
        settings: Compare,
        starts: tuple[int, ...],
        i3d: Path | None,
    ) -> None:
        """Refuse metrics that need more than moments, and another protocol.

        Errors: Refused, with both values.
        """
        for name in settings.metrics:
            if name not in DISTANCES or not DISTANCES[name].of_moments:
                raise Refused(
                    f"{name}: {self.name} holds mean and covariance of the clips' "
                    "features, which only FVD can be computed from",
                    f"leave {name} out of --metric, or name the clips themselves",
                )
        if settings.by_clips:
            raise Refused(
                f"--by-clips: {self.name} has no features of single clips",
                "leave it out, or name the clips themselves",
            )
        own = self.protocol
        for what, here, there, hint in (
            ("FVD's window", settings.window, own.window, f"--window {own.window}"),
            ("convention", settings.convention, "tf", "--convention tf"),
            ("resizing", settings.resize, own.resize, f"--resize {own.resize}"),
            ("frames", samples.frames, own.frames, f"--frames {own.frames}"),
            ("frames a second", samples.fps, own.fps, "samples of the same rate"),
        ):
            if here != there and None not in (here, there):
                raise Refused(
                    f"{self.name}: {what} {there} in these statistics, and {here} here",
                    f"use {hint}, or statistics of clips with {here}",
                )
        if missing := [start for start in starts if start not in own.starts]:
            raise Refused(
                f"{self.name}: windows at frames {_listed(own.starts)} in these "
                f"statistics, and {_listed(starts)} here (missing: {missing[0]})",
                "use --metric fvd, the --stride of the statistics, or others that were "
                "saved with --metric fvd-avg",
            )
        sha256 = fingerprint_file(weights_file(I3D_WEIGHTS, i3d))
        if sha256 != own.weights:
            raise Refused(
                f"{self.name}: I3D {own.weights[:12]} in these statistics, "
                f"and {sha256[:12]} here",
                "use the same weights (--i3d FILE), or other statistics",
            )

    def _read(self, rows: Rows, continuation: int, frames: int) -> Pixels:
        raise AssertionError("statistics hold no pixels")


def write_statistics(
    path: Path, protocol: Protocol, moments: tuple[Moments, ...]
) -> None:
    """Write the file, whole or not at all."""
    content = io.BytesIO()
    np.savez(
        content,
        protocol=np.frombuffer(json.dumps(asdict(protocol)).encode(), np.uint8),
        mean=np.stack([each.mean for each in moments]),
        root=np.stack([each.root for each in moments]),
    )
    write_atomic(path, content.getvalue())


def pixels_sha256(side: Selection, continuations: int = 1) -> str:
    """Hash of the clips, also of those of which only statistics are known."""
    if isinstance(side.videos, ReferenceStatistics):
        return side.videos.protocol.pixels
    return side.sha256(continuations)


def is_statistics(path: Path) -> bool:
    """Tell statistics from videos in a `.npz`; False for a file that is none."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with open_archive(path) as archive:
            return "protocol.npy" in archive.namelist()
    except Failure:
        return False


def read_statistics(path: Path, name: str) -> ReferenceStatistics:
    """Read the file. Errors: BadData for damage, or a file of something else."""
    with open_archive(path) as archive:
        if (members := set(archive.namelist())) != _MEMBERS:
            raise _foreign(path, f"it lacks {', '.join(sorted(_MEMBERS - members))}")
        protocol = _protocol(path, _array(path, archive, "protocol"))
        mean, root = (_array(path, archive, each) for each in ("mean", "root"))
    K, R = len(protocol.starts), min(protocol.clips, RANK)
    for array, shape in ((mean, (K, RANK)), (root, (K, R, RANK))):
        if array.dtype != np.float64 or array.shape != shape:
            has = f"{array.dtype} {list(array.shape)}"
            raise _foreign(path, f"an array is {has}, should be float64 {list(shape)}")
        if not np.isfinite(array).all():
            raise _foreign(path, "it holds numbers that are not finite")
    return ReferenceStatistics(
        name=name,
        count=protocol.clips,
        frames=protocol.frames,
        shape=protocol.shape,
        fps=protocol.fps,
        lossy=protocol.lossy,
        protocol=protocol,
        moments=tuple(map(Moments, mean, root)),
        sha256=fingerprint_file(path),
    )


def _array(path: Path, archive: ZipFile, name: str) -> np.ndarray:
    """Read a member, once its header tells that it is small enough. Errors: BadData."""
    where = f"{path}:{name}"
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        header = read_header(file, where)
    if header.size != info.file_size:
        raise BadData(f"{where}: {info.file_size} bytes, should be {header.size}")
    if name == "protocol" and header.size > _LONGEST:
        raise _foreign(path, "its protocol is too long")
    with archive.open(info) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _protocol(path: Path, content: np.ndarray) -> Protocol:
    try:
        values = TypeAdapter(Protocol).validate_json(content.tobytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "protocol"
        raise _foreign(path, f"{where}: {first['msg']}") from error
    if values.format != FORMAT:
        raise _foreign(path, f"format {values.format}, should be {FORMAT}")
    if values.clips < 2 or not values.starts:
        raise _foreign(path, f"{counted(values.clips, 'clip')} or no window")
    return values


def _foreign(path: Path, why: str) -> BadData:
    words = "".join(c if c.isprintable() else " " for c in why)[:200]
    return BadData(
        f"{path}: no statistics that svt eval --save-stats has written ({words})",
        "get it again, or save others with svt eval CLIPS --save-stats FILE.npz",
    )


def _listed(starts: tuple[int, ...]) -> str:
    few = [str(each) for each in starts[:3]]
    return ", ".join([*few, *(["…", str(starts[-1])] if len(starts) > 3 else [])])
