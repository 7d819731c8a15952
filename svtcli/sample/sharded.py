"""Every device makes slices of its own videos, at its own pace."""

from functools import partial

import jax
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, UInt8

from svtcli.model.parameters import Params
from svtcli.recipe.model import Model
from svtcli.sample.sampler import MakeSlice
from svtcli.sample.slice_state import Made, Wanted


def over_devices(make_slice: MakeSlice, mesh: jax.sharding.Mesh) -> MakeSlice:
    """The schedule on all devices of `mesh`, which share out the rows of a batch.

    Each runs the loop of the schedule over its rows: nothing is exchanged, and none
    waits for another before its slice is made. As many rows for each.
    """
    whole, by_row = PartitionSpec(), PartitionSpec(mesh.axis_names)

    @partial(
        jax.jit,
        static_argnames=("graphdef", "config", "first"),
        donate_argnames="codes",
        # As `codes` come in: jax would find another name for the same place.
        out_shardings=NamedSharding(mesh, by_row),
    )
    def slices_of_each(
        graphdef: nnx.GraphDef,
        params: Params,
        config: Model,
        codes: UInt8[Array, "B T H W C"],
        wanted: Wanted,
        *,
        first: bool = False,
    ) -> Made:
        def own_slices(
            params: Params, codes: UInt8[Array, "b T H W C"], wanted: Wanted
        ) -> Made:
            return make_slice(graphdef, params, config, codes, wanted, first=first)

        actions = None if wanted.actions is None else by_row
        lies = jax.tree.map(lambda _: whole, wanted)
        lies = lies._replace(keys=by_row, actions=actions)
        # Unchecked: a check would want all that a loop carries marked as apart.
        everywhere = jax.shard_map(
            own_slices,
            mesh=mesh,
            in_specs=(whole, by_row, lies),
            out_specs=by_row,
            check_vma=False,
        )
        return everywhere(params, codes, wanted)

    return slices_of_each
