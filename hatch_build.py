"""Build hook: wheels and sdists record the git commit they were built from."""

import runpy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RecordCommit(BuildHookInterface):
    """Adds the file `svtcli/git_commit`; an editable install asks git instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file aside. In an unpacked sdist there is one already."""
        file = Path(self.root, "svtcli", "run", "distribution.py")
        commit = runpy.run_path(str(file))["source_commit"]()
        if commit is None or version == "editable":
            return
        self.aside = TemporaryDirectory(prefix="svt-build-")
        record = Path(self.aside.name, "git_commit")
        record.write_text(f"{commit}\n", "ascii")
        build_data["force_include"][str(record)] = "svtcli/git_commit"

    def finalize(self, version: str, build_data: dict[str, Any], artifact: str) -> None:
        """Remove the file that was written aside."""
        if hasattr(self, "aside"):
            self.aside.cleanup()
