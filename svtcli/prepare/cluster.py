"""Build groups on a Ray cluster: one CPU and one worker process for each group.

Ray moves a group elsewhere when a machine is lost; within a group, a decoder that
crashes or hangs loses only its file, as on one machine. Frames go straight to the
shared folder, and only counts travel through Ray.
"""

import io
import pickle
import socket
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

from svtcli.clips.format import Layout
from svtcli.prepare.build import PrepareOptions, build_here
from svtcli.prepare.journal import Built, Journal
from svtcli.prepare.plan import Group
from svtcli.run.ray_cluster import ClusterFailed, connected, run_on_ray
from svtcli.run.signals import RESUME


class Parcel(pickle.Pickler):
    """Pickler that makes paths absolute: each worker of Ray has its own folder."""

    def reducer_override(self, value: Any) -> Any:
        """Make a path absolute; leave all else to pickle."""
        if isinstance(value, Path):
            return type(value), (str(value.absolute()),)
        return NotImplemented


def build_on_ray(
    groups: tuple[Group, ...],
    layout: Layout,
    journal: Journal,
    options: PrepareOptions,
    check: Callable[[], None],
) -> Generator[tuple[Group, Built], None, None]:
    """Build groups wherever there is room, and yield each when it is finished.

    `options.address` is a cluster's (`auto` finds the one of this machine), None starts
    Ray here with `options.workers` CPUs. All machines must see the source and
    `journal.out` under the same paths. `check` is called often, and may raise to stop.
    Errors: `Refused` without Ray or cluster, `ClusterFailed`, those of a group.
    """
    single = replace(options, workers=1)
    jobs = [(each.name, _packed(each, layout, journal, single)) for each in groups]
    with connected(options.address, options.workers) as ray:
        for number, result in run_on_ray(ray, build_one, jobs, check, {"num_cpus": 1}):
            yield groups[number], result()


def build_one(packed: bytes) -> Built:
    """Build one group on some machine, or read it if it is finished already.

    Errors: `ClusterFailed` where this machine lacks the source or the clips' folder.
    """
    # Bytes of `_packed` in the calling process; Ray unpickles arguments all the same.
    group, layout, journal, options = pickle.loads(packed)  # noqa: S301
    files = (file for task in group.tasks for file in task.files)
    for path in (journal.folder, *files):
        if not path.exists():
            raise ClusterFailed(
                f"{path}: missing on {socket.gethostname()}, a machine of the cluster",
                f"is the folder shared? Finished shards are kept; {RESUME}",
            )
    if (built := journal.read(group)) is not None:
        return built
    ((_, built),) = build_here((group,), layout, journal, options, group.name)
    return built


def _packed(*work: Group | Layout | Journal | PrepareOptions) -> bytes:
    """Pickle work with absolute paths."""
    buffer = io.BytesIO()
    Parcel(buffer).dump(work)
    return buffer.getvalue()
