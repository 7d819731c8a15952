"""A training state as named arrays on disk: the only place that knows orbax.

A checkpoint has two parts, `params` and `training` (optimizer and step), and `ema`
where one is kept, so that sampling reads one alone. Each is one flat dict:
`layers.0.w` → array.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from svtcli.failure import Failure, StorageFailed
from svtcli.run.device_memory import out_of_memory
from svtcli.train.distributed import peer_lost
from svtcli.train.orbax_noise import drop_lost_reports
from svtcli.train.state import State, placed

MAKE_ROOM = "make room and run the same command again"

Named = dict[str, Any]
"""`layers.0.w` → array, or its shape and dtype."""


@runtime_checkable
class Writing(Protocol):
    """A write that goes on in the background."""

    def result(self) -> object:
        """Wait for its end; raise what went wrong."""
        ...


def parts_of(state: State) -> dict[str, Named]:
    """What is stored apart: the parameters, and what only training needs."""
    training = {"opt": state["opt"], "step": state["step"]}
    parts = {"params": named(state["params"]), "training": named(training)}
    return parts | ({"ema": named(state["ema"])} if "ema" in state else {})


def state_from(parts: dict[str, Named], like: State) -> State:
    """The state whose parts these are; `like` gives its structure."""
    training = {"opt": like["opt"], "step": like["step"]}
    training = unnamed(parts["training"], training)
    params = unnamed(parts["params"], like["params"])
    state = State(params=params, opt=training["opt"], step=training["step"])
    if "ema" in like:
        state["ema"] = unnamed(parts["ema"], like["ema"])
    return state


def named(tree: PyTree) -> Named:
    """The leaves of a tree by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in leaves
    }


def unnamed(leaves: Named, like: PyTree) -> PyTree:
    """The tree that has the structure of `like` and these leaves."""
    return jax.tree.unflatten(
        jax.tree.structure(like), [leaves[name] for name in named(like)]
    )


def described(parts: dict[str, Named]) -> dict[str, str]:
    """`params.layers.0.w` → `float32[3,4]`, for every array of every part."""
    return {
        f"{part}.{name}": f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
        for part, leaves in parts.items()
        for name, leaf in leaves.items()
    }


def differences(there: dict[str, str], wanted: dict[str, str], place: str) -> str:
    """What is described otherwise in a `place` than in its recipe; '' where nothing is.

    Three names at most: another model differs in hundreds.
    """
    differ = [name for name in wanted | there if wanted.get(name) != there.get(name)]
    lines = [
        f"{name[:80] if name.isprintable() else ascii(name[:80])}: "
        f"{there.get(name, 'nothing')} in the {place}, "
        f"{wanted.get(name, 'nothing')} in the recipe"
        for name in sorted(differ)[:3]
    ]
    more = f"; and {len(differ) - 3} more" if len(differ) > 3 else ""
    return "; ".join(lines) + more


def size_in_bytes(parts: dict[str, Named]) -> int:
    """What the arrays take; uncompressed, so this is what they take on disk too."""
    return sum(leaf.nbytes for leaves in parts.values() for leaf in leaves.values())


def write(folder: Path, parts: dict[str, Named]) -> Writing:
    """Start writing; returns when the arrays may be given up, as to a donated step."""
    logging.getLogger("absl").addFilter(_once)
    drop_lost_reports()
    context = ocp.Context()
    # Weights do not compress: 8 % smaller for three times the time.
    context.array.saving.use_compression = False
    with storage_errors(folder, MAKE_ROOM), context:
        return ocp.save_checkpointables_async(folder.absolute(), parts)


def read(folder: Path, abstract: dict[str, Named]) -> dict[str, Named]:
    """The arrays of the parts in `abstract`, placed where its leaves say."""
    with storage_errors(folder):
        return ocp.load_checkpointables(folder.absolute(), placed(abstract))


@contextmanager
def storage_errors(place: Path, hint: str | None = None) -> Iterator[None]:
    """Whatever orbax or the system says of a failed read or write, as one line.

    Several processes also talk while they write: that one of them is gone is said so.
    Arrays also come from devices and go there: that these are full is said so too.
    """
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        cause = _first_cause(error)
        if full := out_of_memory(cause):
            raise full from error
        if lost := peer_lost(cause):
            raise lost from error
        raise StorageFailed(f"{place}: {_first_line(cause)}", hint) from error


def _once(record: logging.LogRecord) -> bool:
    """Drop the tracebacks that orbax logs of what it raises as well: 500 lines of it
    when a disk is full."""
    return "orbax" not in record.pathname or record.exc_info is None


def _first_cause(error: BaseException) -> BaseException:
    """What set it all off; orbax wraps it in layers of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
