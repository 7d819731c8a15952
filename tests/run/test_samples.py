"""Samples folders: their provenance."""

import json
from dataclasses import replace

import pytest

from svtcli.failure import BadData
from svtcli.run.samples import read_facts, write_samples
from tests.render.made_up import made_up_samples


def test_facts_are_read_as_they_were_written(tmp_path):
    samples = made_up_samples()
    facts = replace(samples.facts, pixels_per_pass=2.5)
    write_samples(tmp_path, replace(samples, facts=facts))
    assert read_facts(tmp_path) == facts
    path = tmp_path / "samples.json"
    content = json.loads(path.read_text())
    del content["schedule"]
    path.write_text(json.dumps(content))
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
