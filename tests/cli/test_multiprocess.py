"""Flags of a command that runs in several processes."""

import pytest

from svtcli.cli.train import meeting_of
from svtcli.failure import Refused
from svtcli.train.distributed import Meeting


def test_without_its_flags_a_process_is_alone() -> None:
    assert meeting_of(None, None, None, False, 900) is None


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
        meeting_of(*given, 900)


def test_an_address_with_colons_is_one() -> None:
    meeting = meeting_of("[::1]:8476", 2, 1, False, 900)
    assert meeting == Meeting("[::1]:8476", 2, 1)
