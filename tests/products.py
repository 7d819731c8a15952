"""What a traced function computes: its matrix products, and the types of the rest."""

from collections.abc import Iterator
from math import prod
from typing import Any

import jax


def equations(jaxpr: Any) -> Iterator[tuple[Any, int]]:
    """Every primitive equation, within calls too, and how often it runs.

    What a scatter does to each number is part of it and no call.
    """
    for equation in jaxpr.eqns:
        loop = equation.primitive.name == "scan"
        times = equation.params["length"] if loop else 1
        inner = [
            each.jaxpr if hasattr(each, "jaxpr") else each
            for name, value in equation.params.items()
            if name != "update_jaxpr"
            for each in (value if isinstance(value, tuple | list) else (value,))
            if isinstance(each, jax.extend.core.Jaxpr | jax.extend.core.ClosedJaxpr)
        ]
        if not inner:
            yield equation, 1
        for each in inner:
            for found, often in equations(each):
                yield found, often * times


def products_of(jaxpr: Any) -> float:
    """FLOPs of all matrix products."""
    total = 0.0
    for equation, times in equations(jaxpr):
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            inner = prod(left[axis] for axis in contracted)
            total += 2.0 * times * inner * prod(equation.outvars[0].aval.shape)
    return total
