"""Which classes of a labelled dataset are meant: a named subset, or a pattern."""

import re
from typing import Literal

Subset = Literal["cooking"]

SUBSETS: dict[Subset, str] = {
    "cooking": (
        ".*(baking|barbequing|breading|cooking|cutting|pancake|vegetables|meat|cake|"
        "sandwich|pizza|sushi|tea|peeling|fruit|eggs|salad).*"
    ),
}
"""The paper's cooking videos: 29 of Kinetics' 600 classes match (appendix E)."""


def label_pattern(subset: Subset | None, match: str) -> re.Pattern[str] | None:
    """What a label must match from its start; None lets every clip pass.

    At most one of the two is given. Errors: `re.error`.
    """
    if subset is not None:
        return re.compile(SUBSETS[subset])
    return re.compile(match) if match else None


def misfit_of(subset: Subset | None, match: str) -> dict[str, str]:
    """What is wrong with the two keys, by key; empty where nothing is."""
    if subset is not None and match:
        return {"match": "cannot be combined with subset"}
    try:
        label_pattern(subset, match)
    except re.error as error:
        return {"match": f"not a regular expression: {error}"}
    return {}
