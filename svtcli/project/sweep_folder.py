"""Folder of a sweep: its table and chart, and the small files of its runs.

table.md, table.csv       the table that was printed
chart.png, chart.svg      each score against a setting
runs/NAME/                recipe.yaml, run.json, eval/*.json, a short metrics.jsonl of
                          each run: `svt runs table DIR/runs/*` makes the table again
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from svtcli.evaluate.run_table import Row, comma_separated, markdown, notes
from svtcli.failure import BadData
from svtcli.render.sweep_chart import draw_sweep
from svtcli.run.directory import RunFolder
from svtcli.run.durable import read_record, write_atomic, write_record
from svtcli.run.metrics_log import end_of

LONGEST_LOG = 200_000
"""Bytes of a log that is kept."""


def write_sweep(
    rows: Sequence[Row], runs: Sequence[RunFolder], out: Path
) -> list[Path]:
    """Write the folder over an older one; return the paths of table and chart."""
    tables = {
        out / "table.md": markdown(rows, notes(rows)),
        out / "table.csv": comma_separated(rows),
    }
    for path, text in tables.items():
        write_atomic(path, text)
    for run in runs:
        keep_small_files(run, out / "runs" / run.name)
    return [*tables, *draw_sweep(rows, out)]


def keep_small_files(run: RunFolder, place: Path) -> None:
    """Copy everything that a table is made of."""
    if place.resolve() == run.path.resolve():
        return
    for file in _small_files(run):
        write_atomic(place / file.relative_to(run.path), file.read_bytes())
    with suppress(BadData, OSError):
        facts = read_record(run.run_file, "")
        source = Path(facts["source"]).name  # no folder of this machine
        write_record(place / run.run_file.name, facts | {"source": source})


def _small_files(run: RunFolder) -> Iterator[Path]:
    log = (run.metrics, end_of(run.metrics))
    short = all(file.is_file() for file in log)
    short = short and run.metrics.stat().st_size <= LONGEST_LOG
    for file in (run.recipe_file, run.run_file, *(log if short else ())):
        if file.is_file():
            yield file
    yield from sorted(run.eval.glob("*.json"))
