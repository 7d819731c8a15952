import re

import pytest

from svtcli.training.chips import CHIPS, find_chip, peak_flops

KINDS = {
    "NVIDIA H100 80GB HBM3": "H100",
    "NVIDIA H100 PCIe": "H100-PCIe",
    "NVIDIA H100 NVL": "H100-NVL",
    "NVIDIA H200": "H200",
    "NVIDIA A100-SXM4-40GB": "A100-40GB",
    "NVIDIA A100-PCIE-40GB": "A100-40GB",
    "NVIDIA A100-SXM4-80GB": "A100-80GB",
    "NVIDIA A100 80GB PCIe": "A100-80GB",
    "NVIDIA L4": "L4",
    "NVIDIA L40S": "L40S",
    "NVIDIA A10G": "A10G",
    "Tesla T4": "T4",
    "Tesla V100-SXM2-16GB": "V100-16GB",
    "Tesla V100-SXM2-32GB": "V100-32GB",
    "NVIDIA GeForce RTX 3090": "RTX-3090",
    "NVIDIA GeForce RTX 4090": "RTX-4090",
    "TPU v3": "TPU-v3",
    "TPU v4": "TPU-v4",
    "TPU v5 lite": "TPU-v5e",
    "TPU v5e": "TPU-v5e",
    "TPU v5": "TPU-v5p",
    "TPU v5p": "TPU-v5p",
    "TPU v6 lite": "TPU-v6e",
    "TPU v6e": "TPU-v6e",
}


@pytest.mark.parametrize(("kind", "name"), KINDS.items())
def test_a_device_is_known_by_what_jax_calls_it(kind: str, name: str) -> None:
    chip = find_chip(kind)
    assert chip is not None
    assert chip.name == name


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_a_chip_is_found_by_its_own_name(chip) -> None:
    assert find_chip(chip.name) is chip
    assert find_chip(chip.name.lower()) is chip
    assert re.compile(chip.pattern)


@pytest.mark.parametrize(
    "kind",
    ["cpu", "", "NVIDIA L", "NVIDIA GeForce RTX 3090 Ti", "TPU7x", "TPU v4 lite"],
)
def test_of_a_cpu_or_an_unknown_chip_nothing_is_said(kind: str) -> None:
    assert find_chip(kind) is None
    assert peak_flops(kind, "bfloat16") is None


def test_rates_are_the_data_sheets() -> None:
    assert peak_flops("NVIDIA H100 80GB HBM3", "bfloat16") == 989.4e12
    assert peak_flops("NVIDIA A100-SXM4-80GB", "float32") == 156e12
    assert peak_flops("TPU v4", "bfloat16") == 275e12


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_half_the_bits_are_never_slower(chip) -> None:
    assert chip.bfloat16 >= chip.float32 > 1e12
    assert chip.memory >= 16 << 30
