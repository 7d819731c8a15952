"""A process that stands still is ended, by another process' clock than the test's."""

import subprocess
import sys

PROGRAM = """
import time
from svtcli.train.watchdog import Watchdog

with Watchdog({patience}, "nothing has moved", stacks={stacks}) as watchdog:
    for _ in range({beats}):
        watchdog.beat()
        time.sleep(0.01)
    time.sleep({asleep})
print("done")
"""


def ended(**settings: object) -> subprocess.CompletedProcess:
    program = PROGRAM.format(**settings)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )


def test_a_process_that_stands_still_ends_and_says_where_it_stood() -> None:
    # A busy machine must not stand still for so long between two beats.
    done = ended(patience=3, stacks=True, beats=3, asleep=600)
    assert done.returncode == 76
    assert "svt: error: nothing has moved" in done.stderr
    assert 'File "<string>", line 9 in <module>' in done.stderr


def test_without_stacks_it_only_says_so() -> None:
    done = ended(patience=0.2, stacks=False, beats=0, asleep=600)
    assert (done.returncode, done.stderr) == (76, "svt: error: nothing has moved\n")


def test_one_that_moves_is_left_alone() -> None:
    done = ended(patience=300, stacks=True, beats=5, asleep=0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
