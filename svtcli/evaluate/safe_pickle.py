"""Arrays out of a pickle without running anything that it names.

A pickle is a program: whatever class or function it names is called when it is loaded.
Published weights come as pickles of nested dicts of NumPy arrays, which name three
things. Every other name is refused before it is looked up, and even those three are not
NumPy's own but stand-ins that keep what they are given: NumPy believes a pickle about
what the bytes of an array mean, and one that lies makes it follow pointers of its own.
"""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from svtcli.failure import BadData


def read_pickled_arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float32 arrays of nested dicts, each by its keys joined with `/`.

    Written by Python 3 with protocol 3 or 4, by any NumPy. Errors: BadData for a file
    that holds, or names, anything else.
    """
    try:
        with path.open("rb") as file:
            nested = _ArraysOnly(file).load()
        arrays: dict[str, NDArray[np.float32]] = {}
        for name, array in _flat(nested):
            if name in arrays:
                raise BadData(f"has two arrays of the name {name}")
            arrays[name] = array
        return arrays
    except BadData as problem:
        raise BadData(f"{path}: {_line(problem.sentence)}", problem.hint) from problem
    except OSError:
        raise
    except Exception as error:  # what a broken pickle raises has no common parent
        why = _line(str(error) or type(error).__name__)
        raise BadData(f"{path}: not a pickle of arrays ({why})") from error


class _Kind:
    """In place of a dtype: the code ("f4") and byte order that it is given."""

    def __init__(self, code: str, *_flags: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]


class _Array:
    """In place of an array: its parts."""

    def __init__(self, *_begun: object) -> None:
        self.kind: object = None

    def __setstate__(self, state: tuple) -> None:
        _version, self.shape, self.kind, by_columns, self.content = state
        self.order: Literal["F", "C"] = "F" if by_columns else "C"

    def float32(self, name: str) -> NDArray[np.float32]:
        """The array, read-only. Errors: BadData for any other kind."""
        match self.kind:
            case _Kind(code="f4", order="<"):
                values = np.frombuffer(self.content, "<f4").astype("f4", copy=False)
                return values.reshape(self.shape, order=self.order)
            case _Kind(code=str(code), order=str(order)):
                raise BadData(f"{name} holds {order + code!r:.20}, not float32")
        raise BadData(f"{name} is not an array")


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): "ndarray",  # nobody calls it
    ("numpy", "dtype"): _Kind,
}


class _ArraysOnly(pickle.Unpickler):
    """Loads dicts of arrays, and knows no other name."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise BadData(
                f"asks for {module}.{name}: weights hold nothing but arrays",
                "nothing of it was run; get the file again from its publisher, or "
                "write your own as safetensors or with pickle's protocol 4",
            ) from None


def _flat(node: object, name: str = "") -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Every array below `node` with its whole name."""
    if isinstance(node, _Array):
        yield name, node.float32(name or "it")
    elif isinstance(node, dict) and all(isinstance(key, str) for key in node):
        for key, value in node.items():
            yield from _flat(value, f"{name}/{key}" if name else key)
    else:
        kind = type(node).__name__
        raise BadData(f"{name or 'it'} is {kind}, not float32 arrays by name")


def _line(words: str) -> str:
    """Words that may come out of the file, as a line that no terminal obeys."""
    return "".join(c if c.isprintable() else " " for c in words)[:200]
