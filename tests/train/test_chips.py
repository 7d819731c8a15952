import re

import pytest

from svtcli.train.chips import CHIPS, find_chip, peak_flops

KINDS = {
    "NVIDIA B200": "B200",
    "NVIDIA GH200 480GB": "GH200",
    "NVIDIA H200 NVL": "H200-NVL",
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
    "NVIDIA L40": "L40",
    "NVIDIA RTX A6000": "RTX-A6000",
    "NVIDIA A10G": "A10G",
    "NVIDIA A10": "A10",
    "Tesla T4": "T4",
    "Tesla V100-SXM2-16GB": "V100-16GB",
    "Tesla V100-SXM2-32GB": "V100-32GB",
    "Tesla V100-PCIE-16GB": "V100-PCIe-16GB",
    "Tesla V100-PCIE-32GB": "V100-PCIe-32GB",
    "Tesla V100S-PCIE-32GB": "V100S",
    "NVIDIA GeForce RTX 3090": "RTX-3090",
    "NVIDIA GeForce RTX 4090": "RTX-4090",
    "NVIDIA GeForce RTX 5090": "RTX-5090",
    "TPU v3": "TPU-v3",
    "TPU v4": "TPU-v4",
    "TPU v5 lite": "TPU-v5e",
    "TPU v5e": "TPU-v5e",
    "TPU v5": "TPU-v5p",
    "TPU v5p": "TPU-v5p",
    "TPU v6 lite": "TPU-v6e",
    "TPU v6e": "TPU-v6e",
    "TPU7x": "TPU-7x",
}


@pytest.mark.parametrize(("kind", "name"), KINDS.items())
def test_a_chip_is_found_by_its_device_kind(kind: str, name: str) -> None:
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
    [
        "cpu",
        "",
        "NVIDIA L",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 5090 Laptop GPU",
        "NVIDIA GH200 144G HBM3e",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA RTX 6000 Ada Generation",
        "TPU v4 lite",
    ],
)
def test_a_cpu_or_an_unknown_chip_is_not_found(kind: str) -> None:
    assert find_chip(kind) is None
    assert peak_flops(kind, "bfloat16") is None


WITH_SPARSITY = {
    "B200": (4500, 2250),
    "H200": (1979, 989),
    "H200-NVL": (1671, 835),
    "H100": (1979, 989),
    "H100-PCIe": (1513, 756),
    "H100-NVL": (1671, 835),
    "A100-80GB": (624, 312),
    "L40S": (733, 366),
    "L4": (242, 120),
    "A10": (250, 125),
    "RTX-3090": (142, 71),
    "RTX-4090": (330.4, 165.2),
    "RTX-5090": (419, 209.5),
}
"""The headlines of the data sheets, TFLOP/s in bfloat16 and TF32."""


@pytest.mark.parametrize("name", WITH_SPARSITY)
def test_rates_are_the_data_sheets_without_sparsity(name: str) -> None:
    for precision, headline in zip(
        ("bfloat16", "float32"), WITH_SPARSITY[name], strict=True
    ):
        assert peak_flops(name, precision) == pytest.approx(5e11 * headline, rel=0.015)


def test_a_device_of_a_tpu_has_what_jax_s_own_table_gives_it() -> None:
    # Of one device: v3 and 7x have two to a chip. FLOP/s in bfloat16, bytes.
    for name, rate, memory in (
        ("TPU v4", 2.75e14, 34.4e9),
        ("TPU v5 lite", 1.97e14, 17.2e9),
        ("TPU v5p", 4.59e14, 103e9),
        ("TPU v6 lite", 9.20e14, 34.4e9),
        ("TPU7x", 2.31e15 / 2, 206e9 / 2),
    ):
        chip = find_chip(name)
        assert chip is not None
        assert chip.bfloat16 == pytest.approx(rate, rel=0.01)
        assert chip.memory == pytest.approx(memory, rel=0.02)


def test_chips_without_bfloat16_products_compute_them_in_float32() -> None:
    for name in ("T4", "V100-16GB", "V100-PCIe-16GB", "V100S"):
        assert peak_flops(name, "bfloat16") == peak_flops(name, "float32")
    assert peak_flops("T4", "bfloat16") == 8.1e12


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_half_the_bits_are_never_slower(chip) -> None:
    assert chip.bfloat16 >= chip.float32 > 1e12
    assert 15 << 30 <= chip.memory <= 180 << 30
