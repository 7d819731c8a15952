"""Trash of a folder of runs, `.trash/` in it, from which a run can be got back."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from shlex import quote

from svtcli.failure import Refused
from svtcli.recipe.variants import NAME
from svtcli.run.directory import find_run, runs_root
from svtcli.run.durable import move_into_place
from svtcli.run.lock import OWNER, only_writer, refuse_work_in

TRASH = ".trash"
"""Not the name of a run, as it begins with a dot."""


@dataclass(frozen=True)
class Removal:
    """A run that is moved to the trash."""

    run: Path
    trash: Path
    """Its folder in the trash."""

    @property
    def restore(self) -> str:
        """Shell command that undoes it."""
        return f"mv {quote(str(self.trash))} {quote(str(self.run))}"

    @property
    def delete(self) -> str:
        """Shell command that frees the disk space."""
        return f"rm -r {quote(str(self.trash))}"


def plan_removals(names: Sequence[str]) -> list[Removal]:
    """Find the runs and their places in the trash; writes nothing.

    Errors: Refused for what is no run, a link, or in the trash already; Locked for a
    run in which a process works.
    """
    removals: list[Removal] = []
    for path in dict.fromkeys(_folder(name) for name in names):
        if path.is_symlink():
            what = f"{path}: a link to {path.readlink()}"
            raise Refused(what, f"remove the link: rm {quote(str(path))}")
        if path.parent.name == TRASH:
            hint = f"delete it: rm -r {quote(str(path))}"
            raise Refused(f"{path}: is in the trash already", hint)
        refuse_work_in(path)
        endings = chain([""], (f".{number}" for number in count(2)))
        places = (path.parent / TRASH / f"{path.name}{end}" for end in endings)
        taken = {each.trash for each in removals}
        place = next(each for each in places if not (each.exists() or each in taken))
        removals.append(Removal(path, place))
    return removals


def remove(removal: Removal) -> None:
    """Move the run to the trash. Errors: Locked, where a process works in it by now."""
    with only_writer(removal.run):
        removal.trash.parent.mkdir(exist_ok=True)
        move_into_place(removal.run, removal.trash)
        (removal.trash / OWNER).unlink(missing_ok=True)  # this process's own


def _folder(name: str) -> Path:
    """Folder of a run by path or name, or of what a damaged run has left.

    Errors: Refused if there is none.
    """
    root = runs_root()
    try:
        path = find_run(name).path
    except Refused:
        left = (
            each
            for each in (Path(name), root / name)
            if each.is_dir() and NAME.fullmatch(each.name)
        )
        known = [each for each in left if each.parent.resolve() == root.resolve()]
        if not known:
            raise
        path = known[0]
    return path if path.name not in ("", "..") else path.resolve()
