"""Arrays out of a pickle without running anything that it names.

A pickle is a program: whatever class or function it names is called when it is loaded.
Published weights come as pickles of nested dicts of NumPy arrays, which need three
names. Every other name is refused before it is looked up.
"""

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct
from numpy.typing import NDArray

from svtcli.failure import BadData

_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def read_pickled_arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float32 arrays of nested dicts, each by its keys joined with `/`.

    Errors: BadData for a file that holds, or names, anything else.
    """
    try:
        with path.open("rb") as file:
            nested = _ArraysOnly(file).load()
        return dict(_flat(nested))
    except BadData as problem:
        raise BadData(f"{path}: {problem.sentence}", problem.hint) from problem
    except OSError:
        raise
    except Exception as error:  # what a broken pickle raises has no common parent
        raise BadData(f"{path}: not a pickle of arrays ({error})") from error


class _ArraysOnly(pickle.Unpickler):
    """Loads dicts of arrays, and knows no other name."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise BadData(
                f"asks for {module}.{name}: weights hold nothing but arrays",
                "nothing of it was run; get the file again from its publisher",
            ) from None


def _flat(node: object, name: str = "") -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Every array below `node` with its whole name."""
    if isinstance(node, np.ndarray) and node.dtype == np.float32:
        yield name, node
    elif isinstance(node, Mapping) and all(isinstance(key, str) for key in node):
        for key, value in node.items():
            yield from _flat(value, f"{name}/{key}" if name else key)
    else:
        kind = getattr(node, "dtype", type(node).__name__)
        raise BadData(f"{name or 'it'} is {kind}, not float32 arrays by name")
