"""Processes of `svt train` that train together on this machine, over 127.0.0.1."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

PATIENCE = 240
"""Seconds: CI machines are loaded."""


@dataclass(frozen=True)
class Ended:
    """How one process ended."""

    code: int
    out: str
    err: str


class Team:
    """`count` processes in `place`, each with one device.

    `flags` are of one process only: `of_1="train.batch=8"`; so are `programs`.
    """

    def __init__(
        self,
        place: Path,
        *words: str,
        count: int = 2,
        programs: Mapping[int, str] = MappingProxyType({}),
        **flags: str,
    ) -> None:
        self.programs = programs
        self.place, self.count, self.port = place, count, free_port()
        self.processes = [
            self._start(process, *words, *flags.get(f"of_{process}", "").split())
            for process in range(count)
        ]

    def meeting(self, process: int) -> tuple[list[str], dict[str, str]]:
        """How a process is told where to meet: words and variables."""
        told = [f"--coordinator=127.0.0.1:{self.port}", f"--processes={self.count}"]
        return [*told, f"--process={process}"], {}

    def _start(self, process: int, *words: str) -> subprocess.Popen:
        told, variables = self.meeting(process)
        program = self.programs.get(process, "svtcli")
        with (self.place / f"err.{process}").open("w") as err:
            return subprocess.Popen(
                [sys.executable, "-m", program, "train", "tiny.yaml", *words, *told],
                cwd=self.place,
                env={**os.environ, "JAX_NUM_CPU_DEVICES": "1", **variables},
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            )

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for it, while all of them are alive."""
        late = time.monotonic() + PATIENCE
        while not reached():
            dead = [i for i, each in enumerate(self.processes) if each.poll()]
            assert not dead, [self.said(process) for process in dead]
            assert time.monotonic() < late
            time.sleep(0.01)

    def ended(self, *only: int) -> list[Ended]:
        """Wait for all, or some, to end."""
        ends = []
        for number in only or range(len(self.processes)):
            process = self.processes[number]
            try:
                out, _ = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                for each in self.processes:
                    each.kill()
                raise
            ends.append(Ended(process.returncode, out, self.said(number)))
        return ends

    def kill(self, process: int) -> None:
        """As the loss of its machine does it."""
        self.processes[process].kill()
        self.processes[process].communicate()

    def said(self, process: int) -> str:
        """What a process has said on stderr."""
        return (self.place / f"err.{process}").read_text()


class ByVariables(Team):
    """Told by the environment, as a launcher's script does it."""

    def meeting(self, process: int) -> tuple[list[str], dict[str, str]]:
        """No words at all."""
        return [], {
            "SVT_COORDINATOR": f"127.0.0.1:{self.port}",
            "SVT_PROCESSES": str(self.count),
            "SVT_PROCESS": str(process),
        }


class SlurmJob(Team):
    """Tasks of a job of Slurm, as far as jax looks at one."""

    def meeting(self, process: int) -> tuple[list[str], dict[str, str]]:
        """What srun sets; jax makes a port of the job's number."""
        job = self.port % 2**12
        return ["--cluster"], {
            "SLURM_JOB_ID": str(job),
            "SLURM_STEP_NODELIST": "127.0.0.1",
            "SLURM_NTASKS": str(self.count),
            "SLURM_PROCID": str(process),
            "SLURM_LOCALID": str(process),
            "JAX_COORDINATOR_BIND_ADDRESS": f"127.0.0.1:{job + 2**16 - 2**12}",
        }


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
        return number
