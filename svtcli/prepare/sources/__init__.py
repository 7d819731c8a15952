"""Datasets: one file for each kind of the recipe's `data` section.

A file has the kind's name, `make_plan`, and `PUBLISHER` where the data can be
downloaded. It is loaded, with the codecs that it needs, when its data is planned.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from svtcli.prepare.plan import Plan
from svtcli.recipe.data import Data

if TYPE_CHECKING:
    from svtcli.prepare.download import Publisher


def make_plan(data: Data) -> Plan:
    """Inspect the source and decide the shards. Errors: `Refused`, `BadData`."""
    plan: Plan = _module(data.kind).make_plan(data)
    return plan


def publisher_of(kind: str) -> "Publisher | None":
    """Return the downloads offered for a kind of dataset; None where there are none."""
    return getattr(_module(kind), "PUBLISHER", None)


def how_to_get(kind: str, text: str) -> str:
    """Add the download command to the hint `text`, where there is a publisher."""
    if publisher_of(kind) is None:
        return text
    return f"{text}; or download it: svt prepare {kind} --download"


def _module(kind: str) -> ModuleType:
    return import_module(f"{__name__}.{kind.replace('-', '_')}")
