"""The kernels of a program that XLA has compiled for a GPU, read from its HLO.

Each has a kind, a number of bytes to move, and matrix products. An instruction that
only renames a buffer is no kernel. A kernel that takes a slice of a buffer reads the
slice; one that updates a buffer in place writes the updated part.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

SIZES = {
    "pred": 1,
    "s8": 1,
    "u8": 1,
    "s16": 2,
    "u16": 2,
    "bf16": 2,
    "f16": 2,
    "s32": 4,
    "u32": 4,
    "f32": 4,
    "s64": 8,
    "u64": 8,
    "f64": 8,
}
NO_KERNEL = frozenset(
    (
        *("parameter", "constant", "tuple", "get-tuple-element", "bitcast"),
        *("after-all", "partition-id", "replica-id", "while"),
    )
)
TAKES_A_PART = ("dynamic-slice", "slice", "gather")
CHANGES_A_PART = {"dynamic-update-slice": 1, "scatter": 2}
"""And which operand is the part."""

HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
LINE = re.compile(r"^\s*(ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")
ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


@dataclass(frozen=True)
class Instruction:
    """A line of HLO."""

    name: str
    shape: str
    operation: str
    operands: tuple[str, ...]
    rest: str
    root: bool

    @property
    def bytes(self) -> int:
        """Bytes of the result."""
        return sum(
            SIZES.get(kind, 0) * prod(_extents(axes))
            for kind, axes in ARRAY.findall(self.shape)
        )

    def named(self, attribute: str) -> str | None:
        """The computation that an attribute names."""
        found = re.search(rf"\b{attribute}=%?([\w.\-]+)", self.rest)
        return found[1] if found else None

    def axes(self, attribute: str) -> list[int]:
        """The axes that an attribute lists."""
        found = re.search(rf"\b{attribute}=\{{([\d,]*)\}}", self.rest)
        return _extents(found[1]) if found else []


@dataclass(frozen=True)
class Kernel:
    """One launch on the device."""

    name: str
    kind: str
    source: str
    """Origin in the traced program, as jax names it."""
    shape: str
    read: int
    written: int
    flops: float
    """FLOPs of its matrix products."""

    @property
    def moved(self) -> int:
        """Bytes from and to memory, where no cache holds them."""
        return self.read + self.written


class Program:
    """The computations of an optimised HLO module, by name."""

    def __init__(self, text: str) -> None:
        self._computations: dict[str, dict[str, Instruction]] = {}
        here: dict[str, Instruction] = {}
        for line in text.splitlines():
            if head := HEAD.match(line):
                here = self._computations.setdefault(head[1], {})
                if line.startswith("ENTRY"):
                    self.entry = head[1]
            elif found := LINE.match(line):
                each = _instruction(found)
                here[each.name] = each

    @cached_property
    def loops(self) -> list[str]:
        """The bodies of its loops, the one with the most kernels first."""
        bodies = {
            body
            for computation in self._computations.values()
            for each in computation.values()
            if each.operation == "while" and (body := each.named("body"))
        }
        return sorted(bodies, key=lambda body: -len(list(self.kernels(body))))

    def kernels(self, computation: str | None = None) -> Iterator[Kernel]:
        """Kernels of one computation in order, or of the program outside its loops."""
        lines = self._computations[computation or self.entry]
        for each in lines.values():
            if each.operation not in NO_KERNEL:
                yield self._kernel(each, lines)

    def _kernel(self, each: Instruction, lines: dict[str, Instruction]) -> Kernel:
        inner = self._computations.get(each.named("calls") or "", {})
        sizes = [lines[name].bytes for name in each.operands if name in lines]
        source = re.search(r'op_name="([^"]*)"', each.rest)
        return Kernel(
            each.name,
            _kind(each, inner),
            source[1] if source else "",
            each.shape,
            _read(inner, sizes) if inner else sum(sizes),
            _written(each, inner),
            self._flops(each, lines),
        )

    def _flops(self, each: Instruction, lines: dict[str, Instruction]) -> float:
        if each.operation == "dot":
            left = lines[each.operands[0]]
            extents = _extents(ARRAY.findall(left.shape)[0][1])
            inner = prod(extents[axis] for axis in each.axes("lhs_contracting_dims"))
            return 2.0 * inner * prod(_extents(ARRAY.findall(each.shape)[0][1]))
        called = self._computations.get(each.named("calls") or "", {})
        return sum(self._flops(one, called) for one in called.values())


def _instruction(found: re.Match[str]) -> Instruction:
    root, name, shape, operation, rest = found.groups()
    arguments = rest.split("), ", 1)[0]
    operands = tuple(re.findall(r"%([\w.\-]+)", arguments))
    return Instruction(name, shape, operation, operands, rest, bool(root))


def _kind(each: Instruction, inner: dict[str, Instruction]) -> str:
    """In words for a table."""
    operations = {one.operation for one in inner.values()} | {each.operation}
    if {"dot", "custom-call"} & operations or "gemm" in each.name:
        return "products"
    if "transpose" in operations:
        return "transposes"
    if operations & {"gather", "scatter", *CHANGES_A_PART, "dynamic-slice"}:
        return "caches and look-ups"
    if "reduce" in operations:
        return "norms, softmax, sums"
    return "number by number"


def _read(inner: dict[str, Instruction], sizes: list[int]) -> int:
    """Bytes that a fusion reads of its operands."""
    total = 0
    for each in inner.values():
        if each.operation == "parameter":
            number = int(each.rest.split(")")[0])
            whole = sizes[number] if number < len(sizes) else each.bytes
            total += min(whole, _used(inner, each.name, whole))
    return total


def _used(inner: dict[str, Instruction], name: str, whole: int) -> int:
    """Bytes of a value that those read who use it."""
    used = 0
    for each in inner.values():
        if name not in each.operands:
            continue
        if each.operation in ("bitcast", "transpose"):
            used += _used(inner, each.name, whole)
        elif each.operation in TAKES_A_PART and each.operands[0] == name:
            used += each.bytes
        elif each.operation in CHANGES_A_PART and each.operands[0] == name:
            continue
        else:
            return whole
    return used


def _written(each: Instruction, inner: dict[str, Instruction]) -> int:
    """Bytes of the results, of a changed buffer only the change."""
    root = next((one for one in inner.values() if one.root), each)
    known = inner or {each.name: each}
    results = root.operands if root.operation == "tuple" else (root.name,)
    return sum(_change(known[name], known) for name in results if name in known)


def _change(result: Instruction, known: dict[str, Instruction]) -> int:
    while result.operation == "bitcast" and result.operands[0] in known:
        result = known[result.operands[0]]
    part = CHANGES_A_PART.get(result.operation)
    if part is None:
        return result.bytes
    changed = known.get(result.operands[part])
    return changed.bytes if changed else result.bytes


def _extents(axes: str) -> list[int]:
    return [int(extent) for extent in axes.split(",") if extent]
