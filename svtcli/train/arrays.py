"""Named arrays of a training state on disk: the only module that knows orbax.

A checkpoint has two parts, `params` and `training` (optimizer and step), and a third,
`ema`, if the recipe averages parameters; sampling reads one part alone. Each is one
flat dict: `layers.0.w` → array.
"""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import jax
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from svtcli.failure import Failure, StorageFailed
from svtcli.run.durable import can_flush, disk_remedy, room_at
from svtcli.train.distributed import peer_lost
from svtcli.train.memory import out_of_memory
from svtcli.train.state import State, placed

Named = dict[str, Any]
"""`layers.0.w` → array, or its shape and dtype."""


def parts_of(state: State) -> dict[str, Named]:
    """Split a state into the parts of a checkpoint."""
    return {part: named(tree) for part, tree in _split(state).items()}


def state_from(parts: dict[str, Named], like: State) -> State:
    """Join the parts of a checkpoint into a state with the structure of `like`."""
    trees = {part: unnamed(parts[part], tree) for part, tree in _split(like).items()}
    return cast("State", trees.pop("training") | trees)


def _split(state: State) -> dict[str, PyTree]:
    rest = {key: tree for key, tree in state.items() if key not in ("opt", "step")}
    return {**rest, "training": {"opt": state["opt"], "step": state["step"]}}


def named(tree: PyTree) -> Named:
    """Leaves of a tree by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in leaves
    }


def unnamed(leaves: Named, like: PyTree) -> PyTree:
    """Tree with the structure of `like` and these leaves; the inverse of `named`."""
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
    """Arrays that differ between a `place` and its recipe, in words; '' for none.

    Names at most three: another model differs in hundreds.
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
    """Size of the arrays in memory, and on disk, where they are not compressed."""
    return sum(leaf.nbytes for leaves in parts.values() for leaf in leaves.values())


def write(folder: Path, parts: dict[str, Named]) -> Any:
    """Start writing; returns once the arrays may be donated to the next step.

    `result()` of what it returns waits until all is written, and raises its error.
    """
    logging.getLogger("absl").addFilter(_without_orbax_tracebacks)
    if not isinstance(sys.unraisablehook, _DropLateReports):
        sys.unraisablehook = _DropLateReports(sys.unraisablehook)
    context = ocp.Context()
    # Weights do not compress: 8 % smaller for three times the time.
    context.array.saving.use_compression = False
    if not can_flush(folder.parent):
        # TensorStore would fail; `seal` flushes each file before the folder counts.
        from orbax.checkpoint._src.serialization import tensorstore_utils as orbax

        orbax._DEFAULT_OCDBT_TS_CONTEXT["file_io_sync"] = False
    with storage_errors(folder), context:
        return ocp.save_checkpointables_async(folder.absolute(), parts)


def read(folder: Path, abstract: dict[str, Named]) -> dict[str, Named]:
    """Read the parts in `abstract`, each array onto the devices its leaf names."""
    with storage_errors(folder):
        return ocp.load_checkpointables(folder.absolute(), placed(abstract))


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Turn any error of orbax or the system into a StorageFailed of one line.

    A lost peer is PeerLost instead, a full device OutOfMemory: processes communicate
    and arrays move between host and device during a read or write.
    """
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        cause = error
        # Orbax wraps errors in layers of its own.
        while isinstance(cause.__cause__, Exception):
            cause = cause.__cause__
        if known := out_of_memory(cause) or peer_lost(cause):
            raise known from error
        lines = str(getattr(cause, "strerror", None) or cause).strip().splitlines()
        why = lines[0] if lines else "could not be read or written"
        raise StorageFailed(
            f"{place}: {why}{room_at(place, cause)}",
            f"{disk_remedy(cause)}, then run the same command again",
        ) from error


def _without_orbax_tracebacks(record: logging.LogRecord) -> bool:
    """Filter out tracebacks that orbax logs and raises: 500 lines on a full disk."""
    return "orbax" not in record.pathname or record.exc_info is None


class _DropLateReports:
    """`sys.unraisablehook` without the reports that come after a failed write.

    TensorStore's threads report to an event loop that orbax has closed by then, and
    Python prints a traceback for each report, hiding the one line with the cause.
    """

    def __init__(self, other: Callable[["sys.UnraisableHookArgs"], object]) -> None:
        self.other = other

    def __call__(self, unraisable: "sys.UnraisableHookArgs") -> None:
        error = unraisable.exc_value
        if isinstance(error, RuntimeError) and str(error) == "Event loop is closed":
            frames = traceback.extract_tb(error.__traceback__)
            if frames and frames[0].name == "call_soon_threadsafe":
                return
        self.other(unraisable)
