"""`svt runs export` and `import`: weights with their recipe, as a file or a folder."""

from pathlib import Path
from typing import Annotated

import typer

from svtcli.cli import completion, console
from svtcli.cli.flags import DryRun, Force, find_model
from svtcli.recipe.schema import UNITS

Ckpt = Annotated[
    str,
    typer.Argument(
        metavar="CKPT",
        help="A run, RUN@STEP, or a checkpoint.",
        autocompletion=completion.checkpoints,
    ),
]
NewRun = Annotated[str, typer.Argument(metavar="RUN", help="Name of the new run.")]


def export_(
    ckpt: Ckpt,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|FILE", help="The new folder, or a file NAME.safetensors."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="K=V",
            help="Changes to the recipe in the file, for example sample.count=4.",
            autocompletion=completion.overrides,
        ),
    ] = None,
    half: Annotated[
        bool,
        typer.Option(
            "--half",
            help="Store the weights in float16; refused where their score changes.",
        ),
    ] = False,
    clips: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Add N clips of each split that the recipe samples or scores.",
        ),
    ] = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Export a checkpoint's weights, recipe and step.

    A folder is ready for a model hub: model.safetensors, recipe.yaml, and README.md, a
    model card with the scores and pictures of the run. A file has the weights and the
    recipe alone; svt runs import takes both. With --clips the run that is made of it
    can be sampled and scored at once: it has the clips, and the score on them.

    For example: svt runs export bair_large@300000 bair_large
    """
    from svtcli.train.commit_record import open_checkpoint

    checkpoint = open_checkpoint(*find_model(ckpt, dry_run), console.note)
    # Refusals come before the import of JAX, which takes seconds.
    from svtcli.project.export import Contents, export_weights

    contents = Contents(half, clips, tuple(overrides or ()))
    if file.suffix == ".safetensors":
        export_weights(checkpoint, file, contents, force, dry_run)
    else:
        from svtcli.project.model_card import export_folder

        progress = console.progress()
        export_folder(checkpoint, file, contents, progress, force, dry_run)
    data = {"file": str(file), "checkpoint": checkpoint.name, "dry_run": dry_run}
    text = f"would write {checkpoint.name} to {file}" if dry_run else str(file)
    console.show(text, data)


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|FILE", help="A folder or file of svt runs export."
        ),
    ],
    run: NewRun,
    dry_run: DryRun = False,
) -> None:
    """Create a run from exported weights.

    It can be sampled, scored or trained further.

    For example: svt runs import bair_large.safetensors bair_large
    """
    from svtcli.run.directory import run_folder

    folder = run_folder(run)
    from svtcli.project.imports import import_weights, weights_to_import

    if dry_run:
        weights = weights_to_import(file, folder)
    else:
        weights = import_weights(file, folder, console.progress())
    scores = "".join(f", {x:.4g} {UNITS[k]}" for k, x in weights.scores.items())
    console.note(
        f"step {weights.step} of {weights.recipe.name}{scores}; further training "
        "begins with a new optimizer state"
    )
    text = f"would create {folder.path}" if dry_run else str(folder.path)
    data = {"run": str(folder.path), "step": weights.step, "dry_run": dry_run}
    console.show(text, data)
