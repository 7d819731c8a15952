"""Program: `svt train` that hangs after some steps, with every thread alive."""

import sys
import time

from svtcli.cli.app import main
from svtcli.train.distributed import AgreedStop

STEPS = 8


def stuck(agreed: AgreedStop) -> bool:
    """Hang in the eighth query for a signal."""
    while agreed._polled == STEPS:
        time.sleep(1)
    return answer(agreed)


if __name__ == "__main__":
    answer = AgreedStop.requested
    AgreedStop.requested = stuck  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
