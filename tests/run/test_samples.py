"""A folder of samples says how it was made, older ones too."""

import json
from dataclasses import replace

import pytest

from svtcli.failure import BadData
from svtcli.run.samples import read_facts, write_samples
from tests.render.made_up import made_up_samples


def test_samples_that_do_not_say_it_were_made_pixel_by_pixel(tmp_path):
    samples = made_up_samples()
    facts = replace(samples.facts, pixels_per_pass=2.5)
    write_samples(tmp_path, replace(samples, facts=facts))
    assert read_facts(tmp_path) == facts
    path = tmp_path / "samples.json"
    said = json.loads(path.read_text())
    for name in ("pixels_per_pass", "top_k", "top_p", "precision", "deterministic"):
        del said[name]
    path.write_text(json.dumps(said))
    assert read_facts(tmp_path) == replace(facts, pixels_per_pass=1.0)
    del said["schedule"]
    path.write_text(json.dumps(said))
    with pytest.raises(BadData, match="schedule"):
        read_facts(tmp_path)


def test_the_sampling_rule_names_what_was_drawn_by_and_nothing_that_had_no_effect():
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
