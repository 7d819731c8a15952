"""Chromium without a window, driven over its DevTools protocol by pipes alone."""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

PATIENCE = 60
"""Seconds until a browser that says nothing counts as dead."""

# Chromium reads commands from descriptor 3 and answers on 4.
AS_3_AND_4 = (
    "import os, sys; from fcntl import F_DUPFD, fcntl; "
    "r, w = (fcntl(int(each), F_DUPFD, 10) for each in sys.argv[1:3]); "
    "os.dup2(r, 3); os.dup2(w, 4); os.execvp(sys.argv[3], sys.argv[3:])"
)
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-extensions"),
    *("--hide-scrollbars", "--remote-debugging-pipe", "about:blank"),
)

Answer = dict[str, Any]


def find_chromium() -> str | None:
    """Where it is; None on a machine without it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Browser:
    """One page of a running browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._count = commands, 0
        self._said: Queue[Answer | None] = Queue()
        self._session: str | None = None
        self.events: list[Answer] = []
        Thread(target=self._listen, args=(answers,), daemon=True).start()
        (target,) = (
            each
            for each in self.ask("Target.getTargets")["targetInfos"]
            if each["type"] == "page"
        )
        how = {"targetId": target["targetId"], "flatten": True}
        self._session = self.ask("Target.attachToTarget", **how)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> Answer:
        """Send a command and wait for its answer; events meanwhile are kept."""
        self._count += 1
        command = {"id": self._count, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, file: Path) -> None:
        """Load the page, until its script is ready."""
        self.load(file)
        self.until("document.documentElement.dataset.ready === ''")

    def load(self, file: Path) -> None:
        """Load the page."""
        self.events.clear()
        self.ask("Page.navigate", url=file.resolve().as_uri())
        while not self.named("Page.loadEventFired"):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited."""
        how = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self.ask("Runtime.evaluate", expression=script, **how)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until an expression is true, however slow the machine is."""
        self.run(
            "new Promise((done) => { const look = () => "
            f"({condition}) ? done() : setTimeout(look, 5); look(); }})"
        )

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key, down and up."""
        what = {"key": key, "windowsVirtualKeyCode": code}
        down = "keyDown" if text else "rawKeyDown"
        self.ask("Input.dispatchKeyEvent", type=down, text=text, **what)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **what)

    def screen(
        self, width: int, height: int, dark: bool = False, motion: bool = False
    ) -> None:
        """The size of the window, and the colours and motion that the user prefers."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        prefers = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "no-preference" if motion else "reduce",
        }
        features = [{"name": name, "value": value} for name, value in prefers.items()]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def picture(self, file: Path) -> None:
        """All of the page as a PNG file, for a person to look at."""
        answer = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(b64decode(answer["data"]))

    def named(self, *methods: str) -> list[Answer]:
        """What has happened so far, of these kinds."""
        return [e["params"] for e in self.events if e.get("method") in methods]

    def _next(self) -> Answer:
        answer = self._said.get(timeout=PATIENCE)
        assert answer is not None, "the browser has ended"
        return answer

    def _listen(self, answers: int) -> None:
        rest = b""
        while chunk := os.read(answers, 1 << 16):
            *whole, rest = (rest + chunk).split(b"\0")
            for answer in whole:
                self._said.put(json.loads(answer))
        self._said.put(None)


@contextmanager
def browser(program: str, profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own; ended afterwards."""
    read, commands = os.pipe()
    answers, write = os.pipe()
    with (profile / "said").open("wb") as said:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", AS_3_AND_4, str(read), str(write)),
                *(program, f"--user-data-dir={profile}", *FLAGS),
            ],
            pass_fds=(read, write),
            stdout=said,
            stderr=said,
        )
    os.close(read)
    os.close(write)
    try:
        page = Browser(commands, answers)
        yield page
        page._session = None
        page.ask("Browser.close")
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(commands)
