"""One file over HTTP, continued where it stopped.

The bytes go to `<target>.part`; `<target>.part.tag` keeps what the server calls this
version of the file (its ETag or Last-Modified), so that two versions are never mixed.
"""

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import requests
import urllib3.exceptions

from svtcli.failure import StorageFailed
from svtcli.run.durable import sync_file

CHUNK = 1 << 16
TIMEOUT = (30.0, 60.0)
"""Seconds to connect, and between two pieces of an answer."""
BACK_OFF = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before each further attempt; the count starts anew with every gain."""
PLAIN = {"Accept-Encoding": "identity"}
"""Compressed on the way, offsets would count other bytes than those of the file."""
AGAIN = "run the same command again: it continues where this one stopped"

Outcome = TypeVar("Outcome")


class NotOffered(StorageFailed):
    """The server answers, but does not give this file."""


class _Dropped(Exception):
    """Worth another attempt."""


DROPPED = (
    _Dropped,
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.HTTPError,
)


def check_room(folder: Path, needed: int, what: str) -> None:
    """Errors: `StorageFailed` with both numbers where `needed` bytes do not fit."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageFailed(
            f"{folder}: {what} needs {needed:,} bytes, {free:,} are free",
            "make room there, or name another place with --source DIR; what is there "
            "already counts",
        )


def size_of(session: requests.Session, url: str) -> int | None:
    """Bytes the server announces, None where it does not tell.

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
    """The result of `attempt`, which may fail for a while."""
    failures = 0
    while True:
        try:
            return attempt()
        except DROPPED as error:
            failures = 0 if gained() else failures
            if failures == len(BACK_OFF):
                raise StorageFailed(
                    f"{url}: cannot be fetched ({_reason(error)})",
                    f"check the network, or name a mirror with SVT_MIRROR; {AGAIN}",
                ) from error
            time.sleep(BACK_OFF[failures])
            failures += 1
        except requests.RequestException as error:
            raise StorageFailed(f"{url}: cannot be fetched ({error})") from error


def _reason(error: BaseException) -> str:
    """The innermost cause alone: around it, urllib3 tells of its own objects."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    told = error.strerror if isinstance(error, OSError) else None
    return told or str(error) or type(error).__name__


@dataclass
class Resuming:
    """A downloader for pooch that fetches `target`, after what is there of it.

    Errors of the call: `NotOffered` for an HTTP status that says no; `StorageFailed`
    for a network that stays away, another size than expected, or a full disk. The
    `.part` file then stays, except where its bytes are known to be wrong.
    """

    session: requests.Session
    target: Path
    size: int | None
    """Bytes expected, None where not known."""
    checked: bool
    """Whether a hash is compared afterwards."""
    advance: Callable[[int], None]
    """Told how many bytes are there."""
    most: int = field(default=0, init=False)

    @property
    def part(self) -> Path:
        """Where the bytes go until they are all there."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def tag(self) -> Path:
        """Where the server's name of this version is kept."""
        return self.target.with_name(self.target.name + ".part.tag")

    def __call__(self, url: str, output_file: str, pooch: object = None) -> None:
        """Fetch `url`, then show its bytes to pooch as `output_file`."""
        self.most = self.there()
        _patiently(url, lambda: self._continue(url), self._gained)
        place = Path(output_file)
        place.unlink(missing_ok=True)
        try:
            # A second name: Ctrl-C while pooch computes the hash loses nothing.
            os.link(self.part, place)
        except OSError:  # a file system without them
            self.part.replace(place)

    def forget(self) -> None:
        """Remove what is there of the file."""
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def there(self) -> int:
        """Bytes that can be built on."""
        if self.part.is_symlink() or not self.part.is_file():
            return 0
        have = self.part.stat().st_size
        if not self.checked and not self.tag.exists():
            return 0  # nobody could tell two versions apart
        return 0 if self.size is not None and have > self.size else have

    def _gained(self) -> bool:
        # More than ever: a server that starts over cannot keep us here for good.
        before, self.most = self.most, max(self.most, self.there())
        return self.most > before

    def _continue(self, url: str) -> None:
        have = self.there()
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
            check_room(self.target.parent, (total or 0) - start, self.target.name)
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
        said = f"{status} {answer.reason}"
        if status >= 500 or status in (
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_MANY_REQUESTS,
        ):
            raise _Dropped(f"the server answers {said}")
        page = answer.headers.get("Content-Type", "").startswith("text/html")
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT) or (
            page and not self.checked
        ):
            raise NotOffered(
                f"{url}: the server answers "
                + ("with a web page" if answer.ok else said),
                "look in a browser whether it has moved; name a mirror with "
                f"SVT_MIRROR, or get the file by hand and put it at {self.target}",
            )

    def _start(self, have: int, answer: requests.Response) -> int:
        """Where the bytes of `answer` belong."""
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
        """Write the answer from byte `start` on; how many bytes are there then."""
        if not start:
            self.part.unlink(missing_ok=True)
        got = start
        with self.part.open("ab") as file:
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                try:
                    got += file.write(chunk)
                except OSError as error:
                    raise self._unwritable(error) from error
                self.advance(got)
            try:
                sync_file(file)
            except OSError as error:
                raise self._unwritable(error) from error
        return got

    def _unwritable(self, error: OSError) -> StorageFailed:
        return StorageFailed(
            f"{self.part}: cannot be written ({error.strerror})",
            f"make room there; {AGAIN}",
        )


def _total(answer: requests.Response) -> int | None:
    """Bytes of the whole file, as the answer tells."""
    span = re.fullmatch(
        r"bytes (?:\d+-\d+|\*)/(\d+)", answer.headers.get("Content-Range", "")
    )
    if span:
        return int(span[1])
    length = answer.headers.get("Content-Length", "")
    whole = answer.status_code == HTTPStatus.OK and length.isdecimal()
    return int(length) if whole else None
