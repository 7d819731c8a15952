"""Samples folders: their provenance."""

from dataclasses import replace

import pytest

from svtcli.failure import BadData
from svtcli.run.durable import read_record, write_record
from svtcli.run.samples import read_facts, read_samples, write_samples
from tests.render.made_up import made_up_samples


def test_facts_are_read_as_they_were_written(tmp_path):
    samples = made_up_samples()
    facts = replace(samples.facts, pixels_per_pass=2.5)
    write_samples(tmp_path, replace(samples, facts=facts))
    assert read_facts(tmp_path) == facts
    path = tmp_path / "samples.json"
    content = read_record(path, "")
    del content["truth_frames"]  # as an older svt wrote it
    write_record(path, content)
    assert read_facts(tmp_path) == facts
    del content["schedule"]
    write_record(path, content)
    with pytest.raises(BadData, match="schedule"):
        read_facts(tmp_path)


def test_the_sampling_rule_names_only_settings_that_had_an_effect():
    facts = made_up_samples().facts
    assert facts.sampling_rule == ("temperature 0.9",)
    other = replace(facts, top_k=40, top_p=0.95, precision="bfloat16")
    assert other.sampling_rule == (
        "temperature 0.9",
        "top-k 40",
        "top-p 0.95",
        "bfloat16",
    )
    assert replace(facts, deterministic=True).sampling_rule == ("deterministic",)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("name", ["samples", "truth", "log_prob"])
def test_an_array_that_has_changed_is_refused(tmp_path, name, mapped):
    write_samples(tmp_path, made_up_samples())
    path = tmp_path / f"{name}.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadData, match=rf"{name}\.npy: has changed") as refused:
        read_samples(tmp_path, mapped)
    assert "sample again" in (refused.value.hint or "")
