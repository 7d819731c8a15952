"""How processes meet; that they train as one is in tests/faults/test_processes.py."""

import os
import socket
import subprocess
import sys

import jax
import pytest

from svtcli.failure import PeerLost, Refused
from svtcli.run.distribution import install_command
from svtcli.train.distributed import ALONE, Meeting, joined


def test_a_single_process_decides_for_itself() -> None:
    with joined(None) as peers:
        assert peers == ALONE
        assert peers.first
        assert peers.decided(lambda: {"step": 5}) == {"step": 5}
        peers.refuse_differing({"a recipe": "any"})
    assert not jax.distributed.is_initialized()


def test_process_0_names_the_address_it_cannot_listen_at() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = pytest.raises(Refused, match=f"{place}: process 0 cannot listen")
        with refused, joined(Meeting(place, 2, 0)):
            pass


def test_a_name_that_only_this_machine_knows_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Debian gives a machine's own name 127.0.1.1."""

    def found(host: str, port: int, **_: object) -> list:
        assert host == "node1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    refused = pytest.raises(Refused, match=r"node1 is 127\.0\.1\.1 on this machine")
    with refused, joined(Meeting("node1:0", 2, 0)):
        pass


def test_a_coordinator_that_does_not_answer_is_lost() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and does not listen
        place = f"127.0.0.1:{reserved.getsockname()[1]}"
        lost = pytest.raises(PeerLost, match=f"{place}: process 0 does not answer")
        with lost, joined(Meeting(place, 2, 1, patience=1)):
            pass


@pytest.mark.parametrize(
    ("kubernetes", "says", "hint"),
    [
        (None, "this is no Slurm, Open MPI or Kubernetes job", "--coordinator"),
        ("None", "a package that is not installed", install_command("k8s")),
        ("FAKE", "Kubernetes does not tell the other pods (no token)", "indexed Job"),
    ],
)
def test_where_no_cluster_is_found_its_flag_is_refused(
    kubernetes: str | None, says: str, hint: str
) -> None:
    program = f"""
import sys
from types import ModuleType, SimpleNamespace
from svtcli.cli.app import main
class ConfigException(Exception):
    pass
def load():
    raise ConfigException("no token")
FAKE = ModuleType("kubernetes")
FAKE.__spec__ = SimpleNamespace()
FAKE.config = SimpleNamespace(load_incluster_config=load)
sys.modules["kubernetes"] = {kubernetes}
raise SystemExit(main(["train", "quickstart", "--cluster"]))
"""
    pod = {"KUBERNETES_SERVICE_HOST": "127.0.0.1"} if kubernetes else {}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | pod,
    )
    assert done.returncode == 2, done.stderr
    error, advice = done.stderr.splitlines()[-2:]
    assert error.startswith("svt: error: --cluster: ")
    assert says in error
    assert hint in advice
    assert "Kubernetes environment detected" not in done.stderr
    assert "Traceback" not in done.stderr


WATCHED = """
import time
from svtcli.train.distributed import Watchdog

with Watchdog({patience}, "no progress", stacks={stacks}) as watchdog:
    for _ in range({beats}):
        watchdog.beat()
        time.sleep(0.01)
    time.sleep({asleep})
print("done")
"""


COMPILING = """
import time
from svtcli.train.distributed import Watchdog

with Watchdog(0.3, "no progress", stacks=False) as watchdog:
    with watchdog.compiling():
        time.sleep(1)
    print("compiled", flush=True)
    time.sleep(600)
"""


def test_a_compiler_may_take_longer_than_patience_and_nothing_after_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPILING], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (76, "compiled\n")
    assert done.stderr == "svt: error: no progress\n"


def ended(**settings: object) -> subprocess.CompletedProcess:
    program = WATCHED.format(**settings)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )


def test_a_stuck_process_ends_and_prints_its_stacks() -> None:
    # A busy machine must not stand still for so long between two beats.
    done = ended(patience=3, stacks=True, beats=3, asleep=600)
    assert done.returncode == 76
    assert "svt: error: no progress" in done.stderr
    assert 'File "<string>", line 9 in <module>' in done.stderr


def test_a_watchdog_without_stacks_prints_one_sentence() -> None:
    done = ended(patience=0.2, stacks=False, beats=0, asleep=600)
    assert (done.returncode, done.stderr) == (76, "svt: error: no progress\n")


def test_a_process_that_makes_progress_is_left_alone() -> None:
    done = ended(patience=300, stacks=True, beats=5, asleep=0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
