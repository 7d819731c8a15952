"""Persistent cache of compiled programs: the second run starts at once.

On for GPU and TPU, off for CPU, where a program of one machine may crash on another;
`$SVT_COMPILATION_CACHE` names another folder, also for CPU; set but empty turns it off.

Anyone who can write to the cache can make svt run any program: a folder that is not
private to the user is refused.
"""

import hashlib
import os
import platform
import re
import stat
from importlib import metadata
from pathlib import Path

import jax

from svtcli.failure import Refused
from svtcli.recipe.addresses import refuse_address
from svtcli.run.cache import users_cache

VARIABLE = "SVT_COMPILATION_CACHE"
SHORTEST = 0.5
"""Shortest compilation, in seconds, that is cached."""


def use_compilation_cache() -> Path | None:
    """Turn the cache on; None if it stays off, or jax has its own already.

    It stays off where the user's cache cannot be written to. Errors: Refused for a
    folder that others could write to, and one that was asked for and cannot be created.
    """
    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return None
    backend = jax.default_backend()
    root = compilation_root(backend)
    if root is None:
        return None
    try:
        folder = private_folder(root) / _key(backend)
    except OSError as error:
        if not os.environ.get(VARIABLE):
            return None
        why = f"{root}: cannot be created ({error.strerror})"
        raise Refused(why, f"set {VARIABLE} to another folder") from error
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def private_folder(path: Path) -> Path:
    """Create `path` if needed. Errors: Refused unless it is private to this user."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise Refused(f"{path}: not a folder", f"set {VARIABLE} to another") from None
    real = path.resolve()
    facts = real.stat()
    if facts.st_uid != os.getuid():
        raise Refused(
            f"{path}: belongs to another user, who could make svt run any program",
            f"set {VARIABLE} to a folder of your own",
        )
    if facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Refused(
            f"{path}: is open to others, who could make svt run any program",
            f"close it with: chmod 700 {path}",
        )
    return real


def compilation_root(backend: str) -> Path | None:
    """Folder of the cache for `backend`; None if it is off."""
    wanted = os.environ.get(VARIABLE)
    if wanted is not None:
        refuse_address(wanted, f"${VARIABLE}")
        return Path(wanted).absolute() if wanted else None
    if backend == "cpu":
        return None
    cache = users_cache()
    return None if cache is None else cache / "compiled"


def _key(backend: str) -> str:
    """Name of the subfolder for this jaxlib, chip and processor."""
    kind = re.sub(r"[^a-z0-9]+", "-", jax.devices()[0].device_kind.lower())
    jaxlib = metadata.version("jaxlib")
    return f"{backend}-{kind}-jaxlib-{jaxlib}-{_processor()}"


def _processor() -> str:
    """Hash of the features of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    features = [line for line in lines if line.startswith(("flags", "Features"))][:1]
    known = "\n".join(features or [platform.machine(), platform.processor()])
    return hashlib.sha256(known.encode()).hexdigest()[:12]
