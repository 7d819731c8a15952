"""`svt open`: the report page of samples in the browser."""

import os
import sys
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from svtcli.cli import completion, console
from svtcli.cli.flags import DryRun
from svtcli.cli.render import default_out, samples_folder
from svtcli.clips import is_clips
from svtcli.failure import Refused
from svtcli.recipe.schema import Render
from svtcli.run.names import typed


def open_(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|SAMPLES",
            help="A run (its newest samples) or a folder of samples. Default: the "
            "newest samples of all runs.",
            show_default=False,
            autocompletion=completion.runs,
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Open the report page of samples in a browser.

    The page is drawn first where it is missing or stale. Without a display, as over
    SSH, its path is printed: the page is a single file. $BROWSER names a browser.

    For example: svt open quickstart
    """
    from svtcli.render import stage
    from svtcli.run.directory import run_of_samples

    if source and is_clips(folder := Path(source)):
        sheet = f"draw them: {typed('svt', 'render', folder)}"
        raise Refused(f"{source}: clips; a page is of samples", sheet)
    samples = samples_folder(source)
    run, out = run_of_samples(samples), default_out(samples, ())
    settings = run.recipe().render if run else Render()
    settings = replace(settings, formats=("html",), each=None)
    drawn = stage.render(samples, out, settings, console.progress(), dry_run=dry_run)
    data = {"samples": str(samples), "dry_run": dry_run}
    if dry_run:
        page = out / "report.html"
        text = f"would {'draw and ' if drawn else ''}open {page}"
        console.show(text, {**data, "page": str(page)})
        return
    (page,) = drawn
    why = _no_browser()
    if not why and not _opened(page):
        why = "none could be started"
    console.show(str(page), {**data, "page": str(page), "opened": not why})
    if why:
        console.note(f"no browser: {why}; the page is a single file, copy it to one")


def _no_browser() -> str | None:
    """Reason why this shell can show no page; None if it may be able to."""
    if os.environ.get("BROWSER"):
        return None
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return "this shell runs over SSH"
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not display:
        return "there is no display here"
    return None


def _opened(page: Path) -> bool:
    """Return True if a browser takes the page."""
    try:
        return webbrowser.open(page.resolve().as_uri())
    except (OSError, webbrowser.Error):
        return False
