"""svt: train, sample, score and show autoregressive video models.

`import svtcli as svt` is the Python API of docs/python.md, loaded at its first use.
"""

__version__ = "0.1.0"

__all__ = [
    "BadData",
    "Clip",
    "Failure",
    "Refused",
    "Run",
    "Scores",
    "Splits",
    "fvd",
    "load_run",
    "lpips",
    "open_clips",
    "prepare",
    "psnr",
    "ssim",
]

TYPE_CHECKING = False  # as in typing, which takes time to import
if TYPE_CHECKING:
    from svtcli.api import (
        BadData,
        Clip,
        Failure,
        Refused,
        Run,
        Scores,
        Splits,
        fvd,
        load_run,
        lpips,
        open_clips,
        prepare,
        psnr,
        ssim,
    )
else:

    def __getattr__(name: str) -> object:
        """Load the API. Errors: AttributeError."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module("svtcli.api"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
