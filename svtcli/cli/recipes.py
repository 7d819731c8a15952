"""`svt recipes`: what can be run, and whether a recipe of one's own is right."""

import typer

app = typer.Typer(help="List, show, copy and check recipes.")


@app.callback()
def recipes() -> None:
    """List, show, copy and check recipes."""
