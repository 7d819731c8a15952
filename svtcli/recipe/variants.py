"""Variants of a recipe: its section `sweep` names them, each with the keys it sets.

    sweep:
      base: {}
      deep: {model.encoder_layers: 16, model.decoder_layers: 16}

`svt sweep` trains them all. A run has the recipe of one variant, without this section.
"""

import re
from typing import Any

from svtcli.recipe.document import Document, Problem

SWEEP = "sweep"
"""Name of the section."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""Names of runs and of variants, which are part of them."""
Variants = dict[str, dict[str, Any]]
"""Name of a variant → dotted key → value."""


def take_variants(document: Document) -> Variants:
    """Remove the section `sweep` of a recipe; its problems become the document's."""
    if SWEEP not in document.value:
        return {}
    section = document.value.pop(SWEEP)
    found: Variants = {}
    if not isinstance(section, dict) or not section:
        what = f"{SWEEP}: names variants, each with its keys: `wide: {{model.d: 1024}}`"
        document.problems.append(Problem(document.values[SWEEP,], what))
        return {}
    for name, keys in section.items():
        place = document.keys[SWEEP, name]
        if not NAME.fullmatch(name):
            what = f"{SWEEP}.{name}: use letters, digits, and any of _ . + -"
            document.problems.append(Problem(place, what))
        elif not isinstance(keys or {}, dict):
            what = f"{SWEEP}.{name}: should be keys, as in {{model.d: 1024}}"
            document.problems.append(Problem(document.values[SWEEP, name], what))
        else:
            found[name] = keys or {}
            for key in found[name]:
                if len(key.split(".")) != 2 or not all(key.split(".")):
                    what = f"{SWEEP}.{name}: {key} should be a section.key"
                    place = document.keys[SWEEP, name, key]
                    document.problems.append(Problem(place, what))
    return found
