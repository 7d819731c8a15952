import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from svtcli.failure import Locked
from svtcli.run.partial import only_writer

HOLDS = """
import sys, time
from pathlib import Path
from svtcli.run.partial import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_names_its_holder_and_is_free_when_that_is_killed(
    tmp_path: Path,
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    for _ in range(2):  # asking does not disturb the holder
        with pytest.raises(Locked, match=f"in use by process {holder.pid} on ") as no:
            only_writer(tmp_path).__enter__()
        assert no.value.code == 73
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with only_writer(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / ".lock").read_text()


def test_a_lock_is_released(tmp_path: Path) -> None:
    for _ in range(2):
        with only_writer(tmp_path / "new"):
            assert (tmp_path / "new").is_dir()
