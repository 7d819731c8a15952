"""Several processes of `svt train` on this machine that train as one."""

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
"""Seconds to wait for a process; CI machines are loaded."""


@dataclass(frozen=True)
class Ended:
    """Exit of one process."""

    code: int
    out: str
    err: str


class Team:
    """Team of `count` processes in `place`, each with one device.

    `flags` are for one process only, as `of_1="train.batch=8"`; so are `programs`.
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
        """Arguments and environment variables that tell a process where to meet."""
        flags = [f"--coordinator=127.0.0.1:{self.port}", f"--processes={self.count}"]
        return [*flags, f"--process={process}"], {}

    def _start(self, process: int, *words: str) -> subprocess.Popen:
        flags, variables = self.meeting(process)
        program = self.programs.get(process, "svtcli")
        with (self.place / f"err.{process}").open("w") as err:
            return subprocess.Popen(
                [sys.executable, "-m", program, "train", "tiny.yaml", *words, *flags],
                cwd=self.place,
                env={**os.environ, "JAX_NUM_CPU_DEVICES": "1", **variables},
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            )

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for a condition, while all processes are alive."""
        late = time.monotonic() + PATIENCE
        while not reached():
            dead = [i for i, each in enumerate(self.processes) if each.poll()]
            assert not dead, [self.said(process) for process in dead]
            assert time.monotonic() < late
            time.sleep(0.01)

    def ended(self, *only: int) -> list[Ended]:
        """Wait for all or some processes to end."""
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
        """Kill a process, as the loss of its machine would."""
        self.processes[process].kill()
        self.processes[process].communicate()

    def said(self, process: int) -> str:
        """Output of a process on stderr."""
        return (self.place / f"err.{process}").read_text()


class ByVariables(Team):
    """Team that meets by environment variables, as a launcher sets them."""

    def meeting(self, process: int) -> tuple[list[str], dict[str, str]]:
        """No arguments."""
        return [], {
            "SVT_COORDINATOR": f"127.0.0.1:{self.port}",
            "SVT_PROCESSES": str(self.count),
            "SVT_PROCESS": str(process),
        }


class SlurmJob(Team):
    """Team of tasks of a Slurm job, as far as jax looks at one."""

    def meeting(self, process: int) -> tuple[list[str], dict[str, str]]:
        """Variables that srun sets; jax derives a port from the job's number."""
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
    """Port of this machine on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
        return number
