"""A process that hears nothing from the others ends, and says where it stood.

A lost process is noticed by those it talks with. One that lives and is stuck is not:
the others would wait for it forever.
"""

import faulthandler
import os
import threading

from svtcli.failure import PeerLost


class Watchdog:
    """Ends this process with 76 when `beat` was not called for `patience` seconds.

    While it is entered. `stacks` prints what every thread was doing.
    """

    def __init__(self, patience: float, sentence: str, stacks: bool = True) -> None:
        self._patience, self._sentence, self._stacks = patience, sentence, stacks
        self._heard = threading.Event()
        self._over = False
        self._thread = threading.Thread(
            target=self._watch, name="watchdog", daemon=True
        )

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self.beat()
        self._thread.join()

    def beat(self) -> None:
        """All is well."""
        self._heard.set()

    def _watch(self) -> None:
        while self._heard.wait(self._patience):
            self._heard.clear()
            if self._over:
                return
        if self._stacks:
            faulthandler.dump_traceback(2)
        # The main thread cannot raise this: it waits inside of a library.
        os.write(2, f"svt: error: {self._sentence}\n".encode())
        os._exit(PeerLost.code)
