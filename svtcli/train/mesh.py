"""Device mesh `data` × `shard`, and the sharding of batch, state and parameters on it.

batch       rows sharded over all devices, along both axes of the mesh
state       the largest axis that divides is sharded over `shard`; small arrays, and
            those without such an axis, are replicated
parameters  gathered where the forward pass uses them; their gradient is sharded again.
            Without that XLA moves the parameters to the layout of the activations
            ("Involuntary full rematerialization").

A single device needs no mesh: arrays are simply placed on it.

Rows are of two kinds: the first rows of a batch are first slices with a decoder of
their own (§4.3), so they lie on the first devices only: with the paper's 256 slices on
128 devices, 16 of them on 8. XLA would give every device a part of either kind, padded
to whole rows, and so more rows than it has, and move rows for it. Here rows stay in
place; a device computes first slices, other slices, or both. Only the sums are
communicated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding
from jaxtyping import Array, Float, PyTree

from svtcli.failure import Refused
from svtcli.recipe.schema import Mesh, Train
from svtcli.run.progress import counted
from svtcli.train import backend
from svtcli.train.chips import find_chip
from svtcli.train.memory import host_memory
from svtcli.train.plan import divisor, refuse_uneven

SMALL = 1024
"""Arrays with fewer elements are replicated: gathering one costs more than its copy."""

Place = NamedSharding | SingleDeviceSharding
SumOfRows = Callable[[int, PyTree, PyTree], Float[Array, ""]]
"""(n, params, rows) -> a sum over rows, the first n of which are first slices."""


@dataclass(frozen=True)
class Layout:
    """Sharding of everything in a training run; created by `layout_of`."""

    mesh: jax.sharding.Mesh

    @property
    def devices(self) -> int:
        """Number of devices."""
        return self.mesh.size

    @property
    def device_kinds(self) -> tuple[str, ...]:
        """jax's `device_kind` of each device."""
        return tuple(str(device.device_kind) for device in self.mesh.devices.flat)

    @property
    def description(self) -> str:
        """Description for people: `cpu`, or `8 x cpu (data 4, shard 2)`."""
        kind = str(self.mesh.devices.flat[0].device_kind)
        if self.devices == 1:
            return kind
        data, shard = self.mesh.devices.shape
        return f"{self.devices} x {kind} (data {data}, shard {shard})"

    @property
    def memory(self) -> int | None:
        """Bytes of a device's memory, on a CPU the machine's; None if unknown."""
        device = self.mesh.devices.flat[0]
        if device.platform == "cpu":
            return host_memory()
        chip = find_chip(str(device.device_kind))
        return chip.memory if chip else None

    @property
    def platform(self) -> str:
        """jax's name of the devices' platform."""
        return str(self.mesh.devices.flat[0].platform)

    @property
    def whole(self) -> Place:
        """Sharding of a replicated array."""
        return self._place(PartitionSpec())

    @property
    def by_row(self) -> Place:
        """Sharding of a batch: each device has rows of its own."""
        return self._place(PartitionSpec(("data", "shard")))

    def kept(self, shape: tuple[int, ...]) -> Place:
        """Sharding of an array of the state between its uses."""
        shard = self.mesh.shape["shard"]
        axes = [axis for axis, size in enumerate(shape) if size % shard == 0]
        if shard == 1 or np.prod(shape) < SMALL or not axes:
            return self.whole
        widest = max(axes, key=lambda axis: shape[axis])
        return self._place(PartitionSpec(*[None] * widest, "shard"))

    def placed(self, shapes: PyTree) -> PyTree:
        """Add their sharding to the abstract arrays of a state."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=self.kept(leaf.shape)
            ),
            shapes,
        )

    def own_bytes(self, placed: PyTree) -> int:
        """Bytes of each device's share of the `placed` arrays."""
        return sum(
            int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize
            for leaf in jax.tree.leaves(placed)
        )

    def created(self, create: Callable[[], PyTree], abstract: PyTree) -> PyTree:
        """Arrays of `create()`, each created with the sharding it has in `abstract`."""
        if self.devices == 1:
            # Compiled as a whole it would be rounded differently.
            return create()
        places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
        return jax.jit(create, out_shardings=places)()

    def gathered(self, params: PyTree) -> PyTree:
        """Replicated parameters for the forward pass, with replicated gradients.

        Sharded gradients would be sums over gathered activations; XLA turns a sum over
        devices followed by sharding into a reduce-scatter by itself.
        """
        if self.devices == 1:
            return params
        constrain = jax.lax.with_sharding_constraint
        return jax.tree.map(lambda leaf: constrain(leaf, self.whole), params)

    def add_up(
        self, nll: SumOfRows, first: int, params: PyTree, rows: PyTree
    ) -> Float[Array, ""]:
        """Sum over rows, `nll(first, params, rows)`; the `first` ones are first slices.

        `params` are `gathered`, rows sharded `by_row`.
        """
        if self.devices == 1 or not first:
            return nll(first, params, rows)
        return sum_mixed_rows(self.mesh, nll, first, params, rows)

    def abstract_batch(self, inputs: PyTree, size: int) -> PyTree:
        """Abstract global batch of `size` rows, given any rows of it."""
        return jax.tree.map(
            lambda rows: jax.ShapeDtypeStruct(
                (size, *rows.shape[1:]), rows.dtype, sharding=self.by_row
            ),
            inputs,
        )

    def own_rows(self, size: int) -> tuple[int, ...]:
        """Row numbers of a batch of `size` that this process's devices compute."""
        slices = self.by_row.addressable_devices_indices_map((size,)).values()
        spans = [range(size)[index[0]] for index in slices if index is not None]
        return tuple(sorted({row for span in spans for row in span}))

    def global_batch(self, inputs: PyTree, size: int) -> PyTree:
        """Global batch of `size` rows over all devices, from the `own_rows` of it."""
        if self.devices == 1:
            return inputs
        own = np.array(self.own_rows(size))

        def spread(rows: np.ndarray) -> jax.Array:
            def of_device(index: tuple[slice, ...] | None) -> np.ndarray:
                wanted = range(size)[index[0] if index else slice(None)]
                return rows[np.searchsorted(own, wanted)]

            shape = (size, *rows.shape[1:])
            return jax.make_array_from_callback(shape, self.by_row, of_device)

        return jax.tree.map(spread, inputs)

    def spread(self, rows: np.ndarray) -> jax.Array:
        """Shard rows that every process has over all devices, equally many on each."""
        if self.devices == 1:
            return jnp.asarray(rows)
        return jax.make_array_from_callback(
            rows.shape, self.by_row, lambda index: rows[index]
        )

    def collected(self, rows: jax.Array) -> np.ndarray:
        """Gather the rows of a sharded result in every process."""
        if rows.is_fully_addressable:
            return np.asarray(rows)
        every: np.ndarray = multihost_utils.process_allgather(rows, tiled=True)
        return every

    def whole_copy(self, params: PyTree) -> PyTree:
        """Parameters replicated on every device, for scoring or export."""
        if self.devices == 1:
            return params
        return jax.jit(lambda tree: tree, out_shardings=self.whole)(params)

    def _place(self, spec: PartitionSpec) -> Place:
        if self.devices == 1:
            return SingleDeviceSharding(self.mesh.devices.flat[0])
        return NamedSharding(self.mesh, spec)


def layout_of(
    mesh: Mesh, train: Train, devices: Sequence[jax.Device] | None = None
) -> Layout:
    """Mesh of the recipe on `devices`; None for all devices of jax.

    Errors: Refused where devices or batch do not divide.
    """
    devices = backend.devices(jax.devices) if devices is None else devices
    if mesh.data == -1 and len(devices) % mesh.shard:
        raise Refused(
            f"mesh.shard={mesh.shard}: does not divide the number of devices "
            f"here, {len(devices)}",
            f"mesh.shard={divisor(len(devices), mesh.shard)} does",
        )
    data = len(devices) // mesh.shard if mesh.data == -1 else mesh.data
    wanted = data * mesh.shard
    if wanted > len(devices) or (jax.process_count() > 1 and wanted != len(devices)):
        raise Refused(
            f"mesh.data={data} mesh.shard={mesh.shard}: {counted(wanted, 'device')}, "
            f"but there are {len(devices)}",
            "mesh.data=-1 takes all there are",
        )
    refuse_uneven(train, data, mesh.shard, data)
    return _grid(devices[:wanted], data, mesh.shard)


def side_by_side(devices: Sequence[jax.Device]) -> Layout:
    """Data-parallel layout for sampling and scoring: rows sharded, parameters not."""
    return _grid(devices, len(devices), 1)


def _grid(devices: Sequence[jax.Device], data: int, shard: int) -> Layout:
    names, types = ("data", "shard"), (AxisType.Auto,) * 2
    return Layout(
        jax.make_mesh((data, shard), names, axis_types=types, devices=devices)
    )


def first_of_each(first: int, rows: int, devices: int) -> tuple[int, ...]:
    """Number of each device's rows that are among the `first` ones of all `rows`."""
    own = rows // devices
    return tuple(min(max(first - i * own, 0), own) for i in range(devices))


def sum_mixed_rows(
    mesh: jax.sharding.Mesh, nll: SumOfRows, first: int, params: PyTree, rows: PyTree
) -> Float[Array, ""]:
    """`nll(first, params, rows)`, for rows that are sharded over all of `mesh`.

    Differentiable in `params`, which are replicated. The gradient is computed together
    with the value: kept apart, a device would reserve memory for the residuals of all
    branches.
    """
    size = jax.tree.leaves(rows)[0].shape[0]
    each = first_of_each(first, size, mesh.size)
    kinds = sorted(set(each))
    branch = np.array([kinds.index(of_device) for of_device in each])
    axes = mesh.axis_names

    def everywhere(function: Callable[..., PyTree]) -> Callable[..., Any]:
        """Sum of `function` over all devices, each in the branch of its kind."""
        branches = [partial(function, kind) for kind in kinds]

        def here(params: PyTree, rows: PyTree) -> PyTree:
            number = jnp.asarray(branch)[jax.lax.axis_index(axes)]
            return jax.lax.psum(jax.lax.switch(number, branches, params, rows), axes)

        whole, by_row = PartitionSpec(), PartitionSpec(axes)
        # Unchecked: a check would put sums of gradients in branches, where not all
        # devices take part.
        return jax.shard_map(
            here, mesh=mesh, in_specs=(whole, by_row), out_specs=whole, check_vma=False
        )

    @jax.custom_vjp
    def total(params: PyTree, rows: PyTree) -> Float[Array, ""]:
        value: Float[Array, ""] = everywhere(nll)(params, rows)
        return value

    def forward(params: PyTree, rows: PyTree) -> tuple[Float[Array, ""], PyTree]:
        both = everywhere(jax.value_and_grad(nll, argnums=1))
        value, gradient = both(params, rows)
        return value, gradient

    def backward(gradient: PyTree, share: Float[Array, ""]) -> tuple[PyTree, None]:
        return jax.tree.map(lambda g: (share * g).astype(g.dtype), gradient), None

    total.defvjp(forward, backward)
    value: Float[Array, ""] = total(params, rows)
    return value
