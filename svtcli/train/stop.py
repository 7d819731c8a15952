"""Stopping several training processes after the same step.

A signal may reach one process alone, or each at another moment.
"""

import os
import signal
from types import FrameType

from jax.experimental import multihost_utils

from svtcli.run.signals import StopSignals
from svtcli.train.distributed import Peers


class AgreedStop(StopSignals):
    """Stop signals on which all processes agree; all ask at the same points.

    jax catches SIGTERM (a handler of ours would hide it) and forwards it to the other
    processes, so Ctrl-C is passed on as SIGTERM.
    """

    caught = (signal.SIGINT,)

    def __init__(self, peers: Peers) -> None:
        super().__init__()
        self._peers = peers
        self._asked = 0
        self._agreed = False

    def requested(self) -> bool:
        """Return True once every process has come to the point to stop at."""
        self._peers.beat()
        self._asked += 1
        if multihost_utils.reached_preemption_sync_point(self._asked):
            self._agreed = True
            self.received = self.received or signal.SIGTERM
        return self._agreed

    def _remember(self, number: int, frame: FrameType | None) -> None:
        super()._remember(number, frame)
        os.kill(os.getpid(), signal.SIGTERM)


def stop_signals(peers: Peers) -> StopSignals:
    """Stop signals for one process, or agreed on by several."""
    return StopSignals() if peers.count == 1 else AgreedStop(peers)
