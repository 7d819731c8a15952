"""Numbers of docs/experiments.md: those of the files beside it."""

import json
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_table_2_states_the_kept_scores():
    text = (DOCS / "experiments.md").read_text(encoding="utf-8")
    files = sorted((DOCS / "experiments/table2").glob("*/eval.json"))
    assert files
    for scored in files:
        kept = json.loads(scored.read_text(encoding="utf-8"))
        (row,) = (each for each in kept["rows"] if each["model"] == "trained")
        name = f"table2/{scored.parent.name}`"
        (line,) = (each for each in text.splitlines() if name in each)
        bound = kept["lower_bound"]
        mean = f"{row['mean']:.1f} ± {row['error']:.1f} ({kept['clips']} clips)"
        above = f"{(row['mean'] / bound - 1):.1%}".replace("%", " %")
        assert f"| {mean} | {bound:.1f} | {above} |" in line
