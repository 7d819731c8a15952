"""How processes meet; that they train as one is in tests/faults/test_processes.py."""

import socket
import subprocess
import sys

import jax
import pytest

from svtcli.failure import PeerLost, Refused
from svtcli.train.distributed import ALONE, Meeting, joined, meeting_of


def test_without_a_word_a_process_is_alone_and_decides_for_itself() -> None:
    with joined(meeting_of(None, None, None, False)) as peers:
        assert peers == ALONE
        assert peers.first
        assert peers.decided(lambda: {"step": 5}) == {"step": 5}
        peers.refuse_differing({"a recipe": "any"})
    assert not jax.distributed.is_initialized()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("10.0.0.1:80", None, 1, False), "--processes is missing"),
        ((None, 2, None, False), "--coordinator is missing"),
        (("10.0.0.1:80", 2, 2, False), "--process 2: the 2 processes are 0 to 1"),
        (("10.0.0.1", 2, 1, False), "--coordinator 10.0.0.1: is not HOST:PORT"),
        ((":80", 2, 1, False), "--coordinator :80: is not HOST:PORT"),
        (("host:0", 2, 1, False), "--coordinator host:0: is not HOST:PORT"),
        (("host:70000", 2, 1, False), "--coordinator host:70000: is not HOST:PORT"),
        ((None, 2, None, True), "--cluster finds out by itself what --processes says"),
    ],
)
def test_what_makes_no_sense_is_refused(given: tuple, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        meeting_of(*given)


def test_an_address_with_colons_is_one() -> None:
    meeting = meeting_of("[::1]:8476", 2, 1, False)
    assert meeting == Meeting("[::1]:8476", 2, 1)


def test_process_0_says_where_it_cannot_listen() -> None:
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


def test_a_coordinator_that_does_not_answer_is_missed() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and does not listen
        place = f"127.0.0.1:{reserved.getsockname()[1]}"
        lost = pytest.raises(PeerLost, match=f"{place}: process 0 does not answer")
        with lost, joined(Meeting(place, 2, 1, patience=1)):
            pass


def test_outside_of_a_cluster_its_flag_is_refused() -> None:
    program = """
from svtcli.cli.app import main
raise SystemExit(main(["train", "quickstart", "--cluster"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert "--cluster: this is no Slurm, Open MPI or Kubernetes job" in done.stderr
    assert "Traceback" not in done.stderr
