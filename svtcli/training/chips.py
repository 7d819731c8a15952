"""What accelerators can do, from their data sheets: matrix FLOP/s and memory.

Dense rates, without sparsity, that XLA's products reach in the best case: in float32
NVIDIA's tensor cores compute in TF32 where they have it, and TPUs in bfloat16. Where a
chip has no bfloat16 products, XLA computes them in float32.
"""

import re
from dataclasses import dataclass

TERA, GIB = 1e12, 1 << 30


@dataclass(frozen=True)
class Chip:
    """One device as jax counts them: a whole GPU, a TPU chip, or a core up to v3."""

    name: str
    pattern: str
    """Finds the chip in a `device_kind`, or in what a person calls it."""
    bfloat16: float
    float32: float
    memory: int
    """Bytes."""

    def peak(self, precision: str) -> float:
        """FLOP/s of matrix products in `precision`."""
        return {"bfloat16": self.bfloat16, "float32": self.float32}[precision]


def _chip(name: str, pattern: str, bf16: float, f32: float, gib: int) -> Chip:
    return Chip(name, pattern, bf16 * TERA, f32 * TERA, gib * GIB)


CHIPS = (
    # The first pattern that is found counts: the narrower stand before the wider.
    _chip("H200", r"\bH200\b", 989.4, 494.7, 141),
    _chip("H100-PCIe", r"\bH100[ -]PCIe\b", 756.0, 378.0, 80),
    _chip("H100-NVL", r"\bH100[ -]NVL\b", 835.0, 417.5, 94),
    _chip("H100", r"\bH100\b", 989.4, 494.7, 80),
    _chip("A100-80GB", r"\bA100\b.*\b80GB\b", 312.0, 156.0, 80),
    _chip("A100-40GB", r"\bA100\b", 312.0, 156.0, 40),
    _chip("L40S", r"\bL40S\b", 362.0, 183.0, 48),
    _chip("L4", r"\bL4\b", 121.0, 60.5, 24),
    _chip("A10G", r"\bA10G\b", 70.0, 35.0, 24),
    _chip("T4", r"\bT4\b", 8.1, 8.1, 16),
    _chip("V100-32GB", r"\bV100\b.*\b32GB\b", 15.7, 15.7, 32),
    _chip("V100-16GB", r"\bV100\b", 15.7, 15.7, 16),
    _chip("RTX-3090", r"\bRTX[ -]?3090\b(?! Ti)", 71.0, 35.6, 24),
    _chip("RTX-4090", r"\bRTX[ -]?4090\b(?! D)", 165.2, 82.6, 24),
    _chip("TPU-v3", r"\bTPU[ -]?v3\b", 61.5, 61.5, 16),
    _chip("TPU-v4", r"\bTPU[ -]?v4\b(?! lite)", 275.0, 275.0, 32),
    _chip("TPU-v5e", r"\bTPU[ -]?v5(e\b| lite\b)", 197.0, 197.0, 16),
    _chip("TPU-v5p", r"\bTPU[ -]?v5p?\b", 459.0, 459.0, 95),
    _chip("TPU-v6e", r"\bTPU[ -]?v6(e\b| lite\b)", 918.0, 918.0, 32),
)


def find_chip(device_kind: str) -> Chip | None:
    """The chip that jax, or a person, calls so; None for a CPU or an unknown one."""
    for chip in CHIPS:
        if re.search(chip.pattern, device_kind, re.IGNORECASE):
            return chip
    return None


def peak_flops(device_kind: str, precision: str) -> float | None:
    """The device's matrix FLOP/s in `precision` (float32 or bfloat16), if known."""
    chip = find_chip(device_kind)
    return None if chip is None else chip.peak(precision)
