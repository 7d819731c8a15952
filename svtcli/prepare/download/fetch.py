"""Fetch one file over HTTP, and resume where an earlier attempt stopped.

The bytes go to `<target>.part`; `<target>.part.tag` keeps the server's name of
this version (its ETag or Last-Modified), so that two versions are never mixed.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import requests
import urllib3.exceptions

from svtcli.failure import StorageFailed, in_words
from svtcli.run.durable import require_room, sync_file
from svtcli.run.signals import RESUME

CHUNK = 1 << 16
TIMEOUT = (30.0, 60.0)
"""Seconds to connect, and between two pieces of an answer."""
BACK_OFF = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before each further attempt; the count starts anew with every gain."""
MAKE_ROOM = "make room there, or name another place with --source DIR"
PLAIN = {"Accept-Encoding": "identity"}
"""Headers against compression, since ranges count the bytes that are sent."""

Outcome = TypeVar("Outcome")


class NotOffered(StorageFailed):
    """The server answers, but does not offer this file."""


class _Dropped(Exception):
    """An attempt failed, and another one may succeed."""


DROPPED = (
    _Dropped,
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.HTTPError,
)


def size_of(session: requests.Session, url: str) -> int | None:
    """Ask the server for the size of a file; None if it does not tell.

    Errors: `StorageFailed` where no server can be reached.
    """

    def ask() -> int | None:
        answer = session.head(url, headers=PLAIN, timeout=TIMEOUT, allow_redirects=True)
        length = answer.headers.get("Content-Length", "")
        known = answer.ok and length.isdecimal()
        return (int(length) if known else 0) or None  # some answer 0 to any HEAD

    return _patiently(url, ask, lambda: False)


def _patiently(
    url: str, attempt: Callable[[], Outcome], gained: Callable[[], bool]
) -> Outcome:
    """Repeat `attempt` until it succeeds; a gain resets the count of failures."""
    failures = 0
    while True:
        try:
            return attempt()
        except DROPPED as error:
            failures = 0 if gained() else failures
            if failures == len(BACK_OFF):
                raise StorageFailed(
                    f"{url}: cannot be fetched ({_reason(error)})",
                    f"check the network, or name a mirror with SVT_MIRROR; {RESUME}",
                ) from error
            time.sleep(BACK_OFF[failures])
            failures += 1
        except requests.RequestException as error:
            raise StorageFailed(
                f"{url}: cannot be fetched ({in_words(error)})"
            ) from error


def _reason(error: BaseException) -> str:
    """Describe the innermost cause alone: urllib3 wraps it in its own objects."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return in_words(error, "no answer")


@dataclass
class ResumingDownloader:
    """A downloader for pooch that fetches `target`, and resumes its `.part` file.

    Errors of the call: `NotOffered` for an HTTP status of refusal; `StorageFailed`
    for a lost network, another size than expected, or a full disk. The `.part` file
    then stays, unless its bytes are known to be wrong.
    """

    session: requests.Session
    target: Path
    size: int | None
    """Expected bytes; None if unknown."""
    checked: bool
    """True if a hash is compared afterwards."""
    advance: Callable[[int], None]
    """Function that takes the number of bytes there."""
    most: int = field(default=0, init=False)

    @property
    def part(self) -> Path:
        """File of the bytes until they are all there."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def tag(self) -> Path:
        """File with the server's name of this version."""
        return self.target.with_name(self.target.name + ".part.tag")

    def __call__(self, url: str, output_file: str, pooch: object = None) -> None:
        """Fetch `url`, then hand it to pooch as `output_file`."""
        self.most = self.resumable()
        _patiently(url, lambda: self._continue(url), self._gained)
        place = Path(output_file)
        place.unlink(missing_ok=True)
        try:
            # A second name: Ctrl-C while pooch computes the hash loses nothing.
            os.link(self.part, place)
        except OSError:  # a file system without them
            self.part.replace(place)

    def forget(self) -> None:
        """Remove the `.part` file and its tag."""
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def resumable(self) -> int:
        """Return the number of bytes to resume from."""
        if self.part.is_symlink() or not self.part.is_file():
            return 0
        have = self.part.stat().st_size
        if not self.checked and not self.tag.exists():
            return 0  # nobody could tell two versions apart
        return 0 if self.size is not None and have > self.size else have

    def _gained(self) -> bool:
        # More than ever: a server that starts over cannot keep us here for good.
        before, self.most = self.most, max(self.most, self.resumable())
        return self.most > before

    def _continue(self, url: str) -> None:
        have = self.resumable()
        with self.session.get(
            url, headers=PLAIN | self._range(have), stream=True, timeout=TIMEOUT
        ) as answer:
            if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if have and have in (self.size, _total(answer)):
                    return
                self.forget()
                raise _Dropped("the server has fewer bytes than are here")
            self._check(url, answer)
            start = self._start(have, answer)
            total = _total(answer)
            self._check_size(url, total)
            missing = (total or 0) - start
            require_room(self.target.parent, missing, self.target.name, MAKE_ROOM)
            self._keep_tag(answer)
            got = self._write(answer, start)
        if total is not None and got != total:
            raise _Dropped(f"the answer ended after {got:,} of {total:,} bytes")

    def _range(self, have: int) -> dict[str, str]:
        if not have:
            return {}
        ask = {"Range": f"bytes={have}-"}
        if self.tag.exists():
            ask["If-Range"] = self.tag.read_text(encoding="utf-8")
        return ask

    def _check(self, url: str, answer: requests.Response) -> None:
        status = answer.status_code
        answered = f"{status} {answer.reason}"
        if status >= 500 or status in (
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_MANY_REQUESTS,
        ):
            raise _Dropped(f"the server answers {answered}")
        page = answer.headers.get("Content-Type", "").startswith("text/html")
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT) or (
            page and not self.checked
        ):
            raise NotOffered(
                f"{url}: the server answers "
                + ("with a web page" if answer.ok else answered),
                "look in a browser whether it has moved; name a mirror with "
                f"SVT_MIRROR, or get the file by hand and put it at {self.target}",
            )

    def _start(self, have: int, answer: requests.Response) -> int:
        """Return the offset of the answer's bytes in the file."""
        if answer.status_code == HTTPStatus.OK:
            return 0  # no ranges there, or another version by now
        span = answer.headers.get("Content-Range", "")
        if not have or not span.startswith(f"bytes {have}-"):
            self.forget()
            raise _Dropped(f"asked for bytes from {have}, got {span or 'others'}")
        return have

    def _check_size(self, url: str, total: int | None) -> None:
        if None not in (total, self.size) and total != self.size:
            self.forget()
            raise StorageFailed(
                f"{url}: {total:,} bytes are offered, {self.size:,} expected",
                "look at the address in a browser: it may be a web page by now",
            )

    def _keep_tag(self, answer: requests.Response) -> None:
        name = answer.headers.get("ETag", "")
        if not name or name.startswith("W/"):  # weak: not for ranges (RFC 9110)
            name = answer.headers.get("Last-Modified", "")
        if name:
            self.tag.write_text(name, encoding="utf-8")
        else:
            self.tag.unlink(missing_ok=True)

    def _write(self, answer: requests.Response, start: int) -> int:
        """Write the answer from byte `start` on; return the bytes there."""
        if not start:
            self.part.unlink(missing_ok=True)
        got = start
        with self.part.open("ab") as file:
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                with self._writing():
                    got += file.write(chunk)
                self.advance(got)
            with self._writing():
                sync_file(file)
        return got

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageFailed(
                f"{self.part}: cannot be written ({in_words(error)})",
                f"make room there; {RESUME}",
            ) from error


def _total(answer: requests.Response) -> int | None:
    """Size of the whole file, if the answer tells it."""
    span = re.fullmatch(
        r"bytes (?:\d+-\d+|\*)/(\d+)", answer.headers.get("Content-Range", "")
    )
    if span:
        return int(span[1])
    length = answer.headers.get("Content-Length", "")
    whole = answer.status_code == HTTPStatus.OK and length.isdecimal()
    return int(length) if whole else None
