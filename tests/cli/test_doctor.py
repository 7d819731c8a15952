"""`svt doctor`: a line for each thing, one JSON object, 0 or 3."""

import json

import jax
import pytest

from svtcli.project import doctor
from svtcli.video import encode
from tests.cli.terminal import svt_here


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setitem(doctor.SIDES, "cpu", 8)
    monkeypatch.setattr(encode, "check_round_trip", lambda: None)


def test_every_finding_is_one_line_and_one_key(capfd):
    said = svt_here(capfd, "doctor", "--full")
    assert said.code == 0, said.out
    assert "compiling a product of" in said.err
    lines = {line.split()[1]: line.split()[0] for line in said.out.splitlines()}
    as_json = svt_here(capfd, "doctor", "--full", "--json")
    data = json.loads(as_json.out)
    assert data["ok"] is True
    assert list(data["checks"]) == list(lines)
    assert lines.keys() >= {"python", "devices", "product", "runs", "terminal"}
    for each in data["checks"].values():
        assert list(each) == ["state", "said", "hint", "facts"]
    assert data["checks"]["terminal"]["facts"]["live"] is False


def test_a_machine_without_a_device_ends_in_3_and_still_tells_all(capfd, monkeypatch):
    def none():
        raise RuntimeError("no backend")

    monkeypatch.setattr(jax, "devices", none)
    said = svt_here(capfd, "doctor")
    assert said.code == 3
    assert "jax finds no such device here (no backend)" in (said.out)
    assert "ok      python" in said.out
    assert "svt: error: not working: devices" in said.err
    assert "Traceback" not in said.err
    assert json.loads(svt_here(capfd, "doctor", "--json").out)["ok"] is False
