"""Trained models by the names that commands and the Python API take."""

from svtcli.run.directory import RunFolder, find_checkpoint, shipped_models
from svtcli.run.progress import Progress


def find_model(ckpt: str, progress: Progress) -> tuple[RunFolder, int | None]:
    """Run and step that CKPT refers to; step None is the latest.

    A model that ships with svt becomes a run at its first use. Errors: Refused if it
    does not exist; those of `import_shipped`.
    """
    name = ckpt.partition("@")[0]
    if file := shipped_models().get(name):
        from svtcli.project.imports import import_shipped  # brings jax

        import_shipped(name, file, progress)
    return find_checkpoint(ckpt)
