"""jax as svt uses it: settings that decide results, devices, keys of seeds.

The command line ignores the shell's settings before jax is imported
(`run/environment.py`); a Python program may have set them by itself.
"""

import os
import re
from collections.abc import Callable

import jax
from jaxtyping import PRNGKeyArray

from svtcli.failure import Refused, in_words
from svtcli.run.environment import PINNED
from svtcli.train.compilation_cache import use_compilation_cache

JAX_SAYS = re.compile(
    r"(?:Unable to initialize|Unknown) backend '?(.*?)'?(?:: (?:[A-Z]+: )?(.*?))?"
    r"(?: \(set JAX|$)"
)
"""Platform and reason."""


def start_jax() -> None:
    """Pin what decides results in this process, and turn the compilation cache on.

    Errors: Refused for a cache that others could write to, or without a device.
    """
    pin()
    devices()
    use_compilation_cache()


def pin() -> None:
    """Set jax's settings that decide results, for the rest of this process."""
    for name, value in PINNED.items():
        if getattr(jax.config, name, value) != value:
            jax.config.update(name, value)


def key_of(seed: int) -> PRNGKeyArray:
    """Key of a recipe's seed, by one algorithm whatever jax's default is."""
    pin()
    return jax.random.key(seed, impl="threefry2x32")


def devices(
    find: Callable[[], list[jax.Device]] = jax.local_devices,
) -> list[jax.Device]:
    """Devices of this process, or of all with `jax.devices`.

    Errors: Refused where jax finds none, or not the one that JAX_PLATFORMS names.
    """
    try:
        return find()
    except Exception as error:  # jax raises several kinds, and an empty AssertionError
        said = JAX_SAYS.search(str(error))
        reason = f"{said[1]}: {said[2]}" if said else in_words(error, "")
        why = f" ({reason})" if reason and "known backends" not in reason else ""
        if wanted := os.environ.get("JAX_PLATFORMS"):
            raise Refused(
                f"JAX_PLATFORMS={wanted}: jax finds no such device here{why}",
                "unset JAX_PLATFORMS to use what is here, or set it to cpu",
            ) from error
        raise Refused(
            f"jax finds no device to compute on{why}", "svt doctor checks this machine"
        ) from error
