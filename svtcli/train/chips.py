"""Data sheets of accelerators: matrix FLOP/s, memory, bandwidth.

Dense rates that XLA's matrix products reach at best: in float32 NVIDIA's tensor cores
compute in TF32 if they have it, and TPUs in bfloat16. On a chip without bfloat16
products, XLA computes them in float32.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from svtcli.failure import Refused

TERA, MIB = 1e12, 1 << 20


@dataclass(frozen=True)
class Chip:
    """One device as jax counts them: a GPU; a TPU chip, or a core of it (v3, 7x)."""

    name: str
    pattern: str
    """Regular expression that finds the chip in a `device_kind`, or a name in use."""
    bfloat16: float
    float32: float
    memory: int
    """Bytes available to a program; a little less than the chip has."""
    bandwidth: float
    """Bytes a second to and from that memory."""

    def peak(self, precision: str) -> float:
        """FLOP/s of matrix products in `precision`."""
        return {"bfloat16": self.bfloat16, "float32": self.float32}[precision]


def _chip(
    name: str, pattern: str, bf16: float, f32: float, mib: int, tbs: float
) -> Chip:
    return Chip(name, pattern, bf16 * TERA, f32 * TERA, mib * MIB, tbs * TERA)


CHIPS = (
    # Rates of NVIDIA: its data sheets and architecture papers, GeForce with float32
    # sums. From L4 and H100 on those give rates "with sparsity": here is half of them.
    # A10G has no public sheet: Baseten's comparison with the A10. Memory: nvidia-smi.
    # TPUs: Google Cloud's pages of each version, and jax/_src/tpu_info.py.
    # The first matching pattern counts: narrower ones stand before wider ones.
    _chip("B200", r"\bB200\b", 2250.0, 1125.0, 183359, 8.0),
    _chip("GH200", r"\bGH200\b(?! 144G)", 989.4, 494.7, 97871, 4.0),
    _chip("H200-NVL", r"\bH200[ -]NVL\b", 835.5, 417.5, 143771, 4.8),
    _chip("H200", r"\bH200\b", 989.4, 494.7, 143771, 4.8),
    _chip("H100-PCIe", r"\bH100[ -]PCIe\b", 756.0, 378.0, 81559, 2.0),
    _chip("H100-NVL", r"\bH100[ -]NVL\b", 835.5, 417.5, 95830, 3.938),
    _chip("H100", r"\bH100\b", 989.4, 494.7, 81559, 3.352),
    _chip("A100-80GB", r"\bA100\b.*\b80GB\b", 312.0, 156.0, 81920, 2.039),
    _chip("A100-40GB", r"\bA100\b", 312.0, 156.0, 40960, 1.555),
    _chip("L40S", r"\bL40S\b", 362.05, 183.0, 46068, 0.864),
    _chip("L40", r"\bL40\b", 181.05, 90.5, 46068, 0.864),
    _chip("L4", r"\bL4\b", 121.0, 60.0, 23034, 0.3),
    _chip("RTX-A6000", r"\bA6000\b", 154.8, 77.4, 49140, 0.768),
    _chip("A10G", r"\bA10G\b", 70.0, 35.0, 23028, 0.6),
    _chip("A10", r"\bA10\b", 125.0, 62.5, 23028, 0.6),
    _chip("T4", r"\bT4\b", 8.1, 8.1, 15360, 0.32),
    _chip("V100S", r"\bV100S\b", 16.4, 16.4, 32510, 1.134),
    _chip("V100-PCIe-32GB", r"\bV100-PCIe-32GB\b", 14.0, 14.0, 32510, 0.9),
    _chip("V100-PCIe-16GB", r"\bV100-PCIe-16GB\b", 14.0, 14.0, 16160, 0.9),
    _chip("V100-32GB", r"\bV100\b.*\b32GB\b", 15.7, 15.7, 32510, 0.9),
    _chip("V100-16GB", r"\bV100\b", 15.7, 15.7, 16160, 0.9),
    _chip("RTX-3090", r"\bRTX[ -]?3090\b(?! Ti)", 71.0, 35.6, 24576, 0.936),
    _chip("RTX-4090", r"\bRTX[ -]?4090\b(?! D| Laptop)", 165.2, 82.6, 24564, 1.008),
    _chip("RTX-5090", r"\bRTX[ -]?5090\b(?! D| Laptop)", 209.5, 104.8, 32607, 1.792),
    _chip("TPU-v3", r"\bTPU[ -]?v3\b", 61.5, 61.5, 16 * 1024, 0.45),
    _chip("TPU-v4", r"\bTPU[ -]?v4\b(?! lite)", 275.0, 275.0, 32 * 1024, 1.228),
    _chip("TPU-v5e", r"\bTPU[ -]?v5(e\b| lite\b)", 197.0, 197.0, 16 * 1024, 0.819),
    _chip("TPU-v5p", r"\bTPU[ -]?v5p?\b", 459.0, 459.0, 95 * 1024, 2.765),
    _chip("TPU-v6e", r"\bTPU[ -]?v6(e\b| lite\b)", 918.0, 918.0, 32 * 1024, 1.64),
    _chip("TPU-7x", r"\bTPU[ -]?(7x|v7x?)\b", 1153.5, 1153.5, 96 * 1024, 3.69),
)


def find_chip(device_kind: str) -> Chip | None:
    """Chip of that `device_kind` or name; None for a CPU or an unknown chip.

    A partition of a GPU (MIG) is unknown: it has a share of both rate and memory.
    """
    if re.search(r"\bMIG\b", device_kind):
        return None
    for chip in CHIPS:
        if re.search(chip.pattern, device_kind, re.IGNORECASE):
            return chip
    return None


def named_chip(name: str) -> Chip:
    """Chip of that name. Errors: Refused for an unknown one."""
    if chip := find_chip(name):
        return chip
    known = ", ".join(chip.name for chip in CHIPS)
    raise Refused(f"--device {name}: unknown device", f"known devices: {known}")


def peak_flops(device_kind: str, precision: str) -> float | None:
    """Matrix FLOP/s of the device in `precision` (float32 or bfloat16), if known."""
    chip = find_chip(device_kind)
    return None if chip is None else chip.peak(precision)


def total_peak_flops(device_kinds: Sequence[str], precision: str) -> float | None:
    """Matrix FLOP/s of all these devices together; None if one is unknown."""
    peaks = [peak_flops(kind, precision) for kind in device_kinds]
    known = [peak for peak in peaks if peak is not None]
    return sum(known) if known and len(known) == len(peaks) else None
