"""Sums of two kinds of rows on 8 simulated devices; run as a process of its own.

Prints one line of JSON: a list, of what each case gives beside one device.
"""

import collections
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from svtcli.train.mesh import first_of_each, sum_mixed_rows
from tests.train.compile_worker import MOVES

WIDTH = 3


def nats(first: int, params: PyTree, rows: PyTree) -> jax.Array:
    """The first rows are bent by one array, the others by another, some by both."""
    own = jnp.tanh(rows["x"][:first] @ params["own"])
    rest = jnp.sin(rows["x"][first:] @ params["rest"] + params["both"])
    weights = rows["weight"][:, None]
    both = (own * params["both"] * weights[:first]).sum()
    return both + (rest * weights[first:]).sum()


def case(data: int, shard: int, first: int, size: int) -> dict[str, object]:
    """Devices and one, side by side."""
    rng = np.random.default_rng(size)
    params = {
        "own": rng.normal(size=(WIDTH, WIDTH)),
        "rest": rng.normal(size=(WIDTH, WIDTH)),
        "both": rng.normal(size=WIDTH),
    }
    rows = {"x": rng.normal(size=(size, WIDTH)), "weight": rng.random(size)}
    params, rows = jax.tree.map(jnp.float32, (params, rows))
    devices, types = jax.devices()[: data * shard], (AxisType.Auto,) * 2
    mesh = jax.make_mesh((data, shard), ("data", "shard"), types, devices=devices)

    def total(params: PyTree, rows: PyTree) -> jax.Array:
        return sum_mixed_rows(mesh, nats, first, params, rows) / size

    whole = NamedSharding(mesh, PartitionSpec())
    by_row = NamedSharding(mesh, PartitionSpec(("data", "shard")))
    placed = jax.device_put(params, whole), jax.device_put(rows, by_row)
    step = jax.jit(jax.value_and_grad(total), out_shardings=whole)
    compiled = step.lower(*placed).compile()
    value, gradient = compiled(*placed)
    alone, expected = jax.value_and_grad(lambda p: nats(first, p, rows) / size)(params)
    apart = jax.tree.map(lambda a, b: float(abs(a - b).max()), gradient, expected)
    text = compiled.as_text()
    (branches,) = [line for line in text.splitlines() if " conditional(" in line]
    return {
        "case": (data, shard, first, size),
        "value": float(value),
        "alone": float(alone),
        "gradient": max(apart.values()),
        "moved": collections.Counter(MOVES.findall(text)),
        "kinds": len(set(first_of_each(first, size, data * shard))),
        "branches": branches.count("region") or branches.count("branch_"),
    }


if __name__ == "__main__":
    cases = [(8, 1, 2, 16), (4, 2, 3, 16), (2, 1, 1, 2)]
    print(json.dumps([case(*each) for each in cases]))
