"""`svt eval`: how good a model is, or samples of any model."""

from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from svtcli.cli.arguments import ClipsAndSplit, PrecisionFlag, clips_and_split, said
from svtcli.cli.eval_runs import WORDS, Call, score_runs
from svtcli.cli.eval_samples import compare_videos, is_run
from svtcli.failure import Refused

METRICS = ("bits", "nats", "fvd", "fvd-avg", "kvd", "psnr", "ssim", "lpips")


class Baseline(StrEnum):
    """What a model can be compared with; a test holds it equal to the recipe's."""

    uniform = "uniform"
    untrained = "untrained"


class Resize(StrEnum):
    """How frames come to FVD's 224 pixels; a test holds it equal to the recipe's."""

    tf1 = "tf1"
    half_pixel = "half-pixel"


class LpipsNet(StrEnum):
    """The networks of LPIPS; a test holds it equal to the recipe's."""

    alexnet = "alexnet"
    vgg16 = "vgg16"


def evaluate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="CKPT|SAMPLES...",
            help="Runs, RUN@STEP or checkpoints; or samples of any model: a folder of "
            "samples, a .npy or .npz of uint8 [N,T,H,W,C] or [N,M,T,H,W,C], or a "
            "folder with one folder of lossless frames per video.",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAMES",
            help=f"Of {', '.join(METRICS)}; several with commas. Default: what the "
            "recipe says, of SAMPLES fvd.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="CLIPS",
            help="True clips for SAMPLES, in any of their forms or CLIPS[:SPLIT]. "
            "Default: those in the folder of samples.",
            show_default=False,
        ),
    ] = None,
    prime: Annotated[
        int | None, typer.Option(min=0, help="Given frames, which are not scored.")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=2, help="Frames of each clip, given ones included."),
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Score at most so many clips.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Sets of samples; ± is their spread.")
    ] = None,
    per_prime: Annotated[
        int | None, typer.Option(min=1, help="Continuations of each clip in a trial.")
    ] = None,
    temp: Annotated[
        float | None, typer.Option(min=0.0, help="Temperature of a run's samples.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the noise of a run's samples.")
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=9, help="Frames that FVD sees at once.")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Frames from one window of fvd-avg to the next."),
    ] = None,
    resize: Annotated[
        Resize | None,
        typer.Option(help="How FVD resizes frames: as published, or as PyTorch does."),
    ] = None,
    i3d: Annotated[
        Path | None, typer.Option(help="A file of FVD's weights, not the package's.")
    ] = None,
    gray: Annotated[
        bool, typer.Option("--gray", help="SSIM of the luma, not of each colour.")
    ] = False,
    lpips_net: Annotated[
        LpipsNet | None, typer.Option(help="The network of LPIPS.")
    ] = None,
    allow_lossy: Annotated[
        bool,
        typer.Option("--allow-lossy", help="Take SAMPLES and CLIPS from MP4 and JPEG."),
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, help="Clips at once on all devices; does not change the score."
        ),
    ] = None,
    precision: PrecisionFlag = None,
    baselines: Annotated[
        list[Baseline] | None,
        typer.Option("--baseline", help="Also score this; may be repeated."),
    ] = None,
    data: ClipsAndSplit = None,
    splits: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="NAME",
            help="Score this split; may be repeated, each is scored by itself.",
        ),
    ] = None,
    per_frame: Annotated[
        bool,
        typer.Option(
            "--per-frame", help="Also show the scores of each frame, FVD by window."
        ),
    ] = False,
    table: Annotated[
        bool,
        typer.Option(
            "--table", help="Show all results of the runs beside the paper's."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="File for the result of SAMPLES; runs have their eval/."),
    ] = None,
    task_index: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="I",
            help="Score the clips of task I (from 0) of a job array; the last task to "
            "end writes the result, as with --task-index $SLURM_ARRAY_TASK_ID.",
        ),
    ] = None,
    task_count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tasks of the job array.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say what would be scored.")
    ] = False,
) -> None:
    """Score trained models, or samples of any model.

    Of a model, by default: bits/dim, or nats/frame with the deterministic loss. Every
    clip is scored by the windows and slices that would sample it; given frames are not
    scored. The other metrics make samples first and compare them with the clips. What
    no flag says, the run's recipe says (its section `eval`). For example:

    svt eval bair_large --metric bits,fvd,fvd-avg

    svt eval samples.npy --reference clips.npy --metric fvd,ssim --prime 1

    All devices of the machine take part. The same command again goes on where it was
    stopped.
    """
    asked = _asked(metric)
    of_samples = said(
        trials=trials,
        per_prime=per_prime,
        window=window,
        stride=stride,
        resize=resize and resize.value,
        gray=gray or None,
        lpips=lpips_net and lpips_net.value,
    )
    only_runs = {
        "--temp": temp,
        "--seed": seed,
        "--batch": batch,
        "--precision": precision,
        "--baseline": baselines,
        "--data": data,
        "--split": splits,
        "--table": table or None,
        "--task-index": task_index,
        "--task-count": task_count,
    }
    only_samples = {
        "--reference": reference,
        "--out": out,
        "--allow-lossy": allow_lossy or None,
    }
    if not _are_runs(sources):
        _refuse(only_runs, f"{sources[0]} is no run, but samples that are there")
        if likelihoods := [word for word in asked if word in WORDS]:
            raise Refused(
                f"--metric {likelihoods[0]}: samples alone have no likelihood",
                "name the run that made them",
            )
        flags = of_samples | ({"metrics": asked} if asked else {})
        compare_videos(
            *(sources, reference, flags, frames, prime, clips, i3d, out),
            *(allow_lossy, per_frame, dry_run),
        )
        return
    _refuse(only_samples, f"{sources[0]} is a run, whose own clips are taken")
    if prime == 0:
        raise Refused("--prime 0: a model goes on from one frame or more")
    folder, split = clips_and_split(data)
    if split and splits:
        raise Refused(f"--data {data} --split {splits[0]}: both name a split")
    named = (split,) if split else tuple(splits or ())
    likelihood = ("likelihood",) if set(WORDS) & set(asked) else ()
    rest = tuple(word for word in asked if word not in WORDS)
    scoring = of_samples | said(
        metrics=likelihood + rest or None,
        prime=prime,
        sampled_prime=prime,
        frames=frames,
        sampled_frames=frames,
        batch=batch,
        split=named[0] if named else None,
        also=named[1:] if named else None,
        precision=precision and precision.value,
        baselines=tuple(each.value for each in baselines) if baselines else None,
    )
    score_runs(
        sources,
        Call(
            clips=folder,
            scoring=scoring,
            sampling=said(temperature=temp, seed=seed),
            asked=asked,
            most=clips,
            i3d=i3d,
            task=(task_index, task_count),
            per_frame=per_frame,
            table=table,
            dry_run=dry_run,
        ),
    )


def _asked(metric: list[str] | None) -> tuple[str, ...]:
    """The words of all --metric flags, once each. Errors: Refused for no metric."""
    words = [word.strip() for each in metric or () for word in each.split(",")]
    for word in words:
        if word not in METRICS:
            near = get_close_matches(word, METRICS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"of {', '.join(METRICS)}"
            raise Refused(f"--metric {word!r}: no such metric", hint)
    return tuple(dict.fromkeys(words))


def _are_runs(sources: list[str]) -> bool:
    """Whether runs are to be scored. Errors: Refused for runs and samples together."""
    runs = [is_run(source) for source in sources]
    if any(runs) and not all(runs):
        one, other = sources[runs.index(True)], sources[runs.index(False)]
        raise Refused(f"{one} is a run, {other} is not: score them one by one")
    return all(runs)


def _refuse(flags: dict[str, Any], why: str) -> None:
    """Refuse flags that would be ignored."""
    for flag, value in flags.items():
        if value is not None:
            raise Refused(f"{flag}: {why}", f"leave {flag} out")
