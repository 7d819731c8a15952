import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from svtcli.train.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

np.ones(50_000_000, np.uint8)
before = faults()
for _ in range(5):
    np.ones(50_000_000, np.uint8)
print(faults() - before)
"""


def page_faults(how: str) -> int:
    """Of five times 50 MB that are allocated, filled and freed."""
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")
def test_freed_memory_is_not_faulted_in_again():
    assert page_faults("keep") < page_faults("default") / 10
