"""Out of memory on a device, distinguished from other messages of jax."""

import jax
import pytest

from svtcli.cli.console import explain
from svtcli.failure import Failure
from svtcli.train.distributed import peer_lost
from svtcli.train.memory import OutOfMemory, out_of_memory

FULL = {
    "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4770354232 bytes.\n"
    "BufferAssignment OOM Debugging.": " (4.77 GB more were asked for)",
    "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 16.00GiB.": (
        " (17.2 GB more were asked for)"
    ),
    "RESOURCE_EXHAUSTED: Out of memory allocating 24 bytes.": (
        " (24 bytes more were asked for)"
    ),
    "RESOURCE_EXHAUSTED: Failed to allocate request for 2.99GiB (3206250496B) on "
    "device ordinal 0": " (3.21 GB more were asked for)",
    "INTERNAL: Autotuning failed for HLO: %fusion.3 = f32[64]{0} fusion(...), with "
    "error: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 528.00MiB": (
        " (554 MB more were asked for)"
    ),
    "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory "
    "space hbm. Used 21.00G of 15.75G hbm. Exceeded hbm capacity by 5.25G.": (
        " (22.5 GB are needed, it has 16.9 GB)"
    ),
    "RESOURCE_EXHAUSTED: Compilation failure: Aborting compilation early because it's "
    "unlikely to have enough memory. Requires 3.84T, has 90.96G available.": (
        " (4.22 TB are needed, it has 97.7 GB)"
    ),
    "RESOURCE_EXHAUSTED: Error loading program 'jit_step': Attempting to reserve "
    "29.49G at the bottom of memory. That was not possible. There are 147.64M free.": (
        " (31.7 GB more were asked for)"
    ),
    "INTERNAL: failed call to cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY: out "
    "of memory; total memory reported: 34089730048": "",
    "INTERNAL: failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED": "",
    "UNKNOWN: Could not create cudnn handle: CUDNN_STATUS_ALLOC_FAILED": "",
    "INTERNAL: NCCL operation ncclCommInitRank failed: unhandled cuda error. Last NCCL "
    "warning(error) log entry: 'Cuda failure 'out of memory''": "",
}
OTHERS = {
    "a kernel's tile on a GPU": "RESOURCE_EXHAUSTED: Shared memory size limit "
    "exceeded: requested 110592, available: 101376",
    "a kernel's tile on a TPU": "RESOURCE_EXHAUSTED: Ran out of memory in memory space "
    "vmem while allocating on stack. Used 36.25M of 32.00M",
    "before it runs": "RESOURCE_EXHAUSTED: Allocation (size=134217728) would "
    "exceed memory (size=67108864) :: #allocation25 [shape = 'u8[8]{0}', space=vmem]",
    "a disk": 'RESOURCE_EXHAUSTED: Error writing local file "x/0": No space left on '
    "device [os_error_code='28']",
    "a library": "FAILED_PRECONDITION: DNN library initialization failed.",
    "anything": "INTERNAL: something else took 12 bytes",
}


@pytest.mark.parametrize(("text", "said"), FULL.items())
def test_out_of_memory_is_recognized_by_its_message(text: str, said: str) -> None:
    full = out_of_memory(RuntimeError(text))
    assert full is not None
    assert full.sentence == f"the device has too little memory{said}"
    assert full.code == 1


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_other_resources_are_not_device_memory(text: str) -> None:
    for kind in (RuntimeError, ValueError):
        assert out_of_memory(kind(text)) is None


def test_a_value_error_counts_only_with_jax_s_prefix() -> None:
    """Seen of TPUs; that a file asks for too much is another thing."""
    text = "Attempting to allocate 3.98G. That was not possible."
    assert out_of_memory(ValueError(f"RESOURCE_EXHAUSTED: {text}")) is not None
    assert out_of_memory(ValueError(text)) is None
    assert out_of_memory(KeyError(f"RESOURCE_EXHAUSTED: {text}")) is None
    assert out_of_memory(Failure(f"RESOURCE_EXHAUSTED: {text}")) is None


def test_the_error_is_explained_without_knowing_the_work() -> None:
    sentence, hint, code = explain(RuntimeError(next(iter(FULL))))
    assert (sentence, code) == (
        "the device has too little memory (4.77 GB more were asked for)",
        1,
    )
    assert hint is not None
    assert "nvidia-smi" in hint
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" in hint


def test_work_and_device_are_named_if_known() -> None:
    full = OutOfMemory("", "training", "TPU v3", "wait")
    assert full.sentence == "training: the device (TPU v3) has too little memory"
    assert full.hint == "wait"
    assert out_of_memory(full) is full


def test_out_of_memory_is_not_a_lost_peer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """XLA lists the operations of the step; one may be called opt-barrier."""
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    assert peer_lost(RuntimeError("INTERNAL: opt-barrier.7")) is not None
    text = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes."
    assert peer_lost(RuntimeError(f"{text}\nXLA Label: opt-barrier.7")) is None
