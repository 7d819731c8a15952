"""Wall time of commands that must answer at once.

python benchmarks/startup.py > benchmarks/results/startup.md
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from measure import print_table

SVT = str(Path(sys.executable).with_name("svt"))
COMMANDS = (["--help"], ["recipes", "list"], ["recipes", "show", "quickstart"])
AIM = 0.3


def seconds(command: list[str]) -> float:
    """Wall seconds of one call."""
    begun = time.perf_counter()
    subprocess.run([SVT, *command], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    rows = []
    for command in COMMANDS:
        times = [seconds(command) for _ in range(20)]
        median = statistics.median(times)
        rows.append(
            (
                "`svt " + " ".join(command) + "`",
                f"{median:.3f}",
                f"{min(times):.3f} to {max(times):.3f}",
                AIM,
            )
        )
    print_table(
        "Start-up, wall seconds of 20 calls",
        ("command", "median", "range", "aim"),
        rows,
    )


if __name__ == "__main__":
    main()
