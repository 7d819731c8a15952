"""Download raw data from its publisher: complete, checked and resumable.

The publishers' hosts cannot be reached where svt is developed: everything is tested
against a loopback server (`tests/prepare/test_download.py`). Addresses and hashes stand
in the files of `sources`.
"""

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

import pooch
import requests

from svtcli.failure import Refused, StorageFailed
from svtcli.prepare.download import ArchiveList, Offer, Publisher
from svtcli.prepare.download.fetch import (
    MAKE_ROOM,
    NotOffered,
    ResumingDownloader,
    size_of,
)
from svtcli.prepare.download.unpack import MARK, BrokenArchive, unpack
from svtcli.prepare.sources import publisher_of
from svtcli.prepare.sources.source_folder import inside
from svtcli.run.durable import require_room
from svtcli.run.lock import only_writer
from svtcli.run.progress import Progress
from svtcli.run.signals import RESUME

PART = re.compile(r"part_\d+")
MIRROR = "SVT_MIRROR"
"""Environment variable with a scheme and host (and folder) to use instead."""


def download(
    kind: str,
    folder: Path,
    progress: Progress,
    splits: tuple[str, ...] | None = None,
    labels: re.Pattern[str] | None = None,
) -> None:
    """Download to `folder` the files of `kind` for `splits` (None: all).

    Of archives that hold one class each, only those of `labels` (None: all). Files that
    are there are kept, and checked where a hash is published. `$SVT_MIRROR` replaces
    the scheme and host of every address. Progress counts bytes.

    Errors: `Refused` for a kind without publisher; `Locked` while another process
    downloads to `folder`; `StorageFailed` for a disk that is too small (nothing is
    downloaded then), a lost network, wrong bytes, or files that the publisher does not
    offer, once all others are there.
    """
    if (publisher := publisher_of(kind)) is None:
        raise Refused(
            f"{kind}: no publisher to download it from", "leave out --download"
        )
    base = os.environ.get(MIRROR) or None
    # pooch tells of every file through a logger that prints by default.
    pooch.get_logger().setLevel(logging.CRITICAL)
    with only_writer(folder), requests.Session() as session:
        _Download(kind, folder, progress, session, labels, base).run(publisher, splits)


def mirrored(url: str, base: str | None) -> str:
    """Put `url` under the scheme, host and folder of `base`. Errors: `Refused`."""
    if base is None:
        return url
    to, parts = urlsplit(base), urlsplit(url)
    if to.scheme not in ("http", "https") or not to.netloc:
        raise Refused(f"{MIRROR}={base}: not an address, such as http://mirror:8080")
    path = to.path.rstrip("/") + parts.path
    return urlunsplit((to.scheme, to.netloc, path, parts.query, ""))


Item = tuple[Offer, str | None]
"""A file to download; for an archive, the folder for its videos."""


@dataclass
class _Download:
    """One call of `download`."""

    kind: str
    folder: Path
    progress: Progress
    session: requests.Session
    labels: re.Pattern[str] | None
    base: str | None
    done: int = 0
    """Bytes of the files that are finished."""

    def run(self, publisher: Publisher, splits: tuple[str, ...] | None) -> None:
        def needed(offer: Offer) -> bool:
            return splits is None or not set(splits).isdisjoint(offer.splits)

        items: list[Item] = [
            (offer, None)
            for offer in publisher.files
            if needed(offer) and not self._is_replaced(offer)
        ]
        for each in publisher.lists:
            if needed(each.file):
                items += [(offer, each.into) for offer in self._archives(each)]
        self.progress.begin(f"ask sizes ({self.kind})", len(items), "files")
        for number, (offer, into) in enumerate(items):
            items[number] = self._with_size(offer), into
            self.progress.advance(number + 1)
        self._check_room(items)
        sizes = [offer.size for offer, _ in items]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        self.progress.begin(f"download {self.kind}", total, "bytes")
        try:
            self._fetch_all(items)
        finally:
            self.progress.end()

    def _fetch_all(self, items: list[Item]) -> None:
        """Fetch every file; one that is not offered stops no other."""
        failed: list[StorageFailed] = []
        for offer, into in items:
            try:
                self._fetch(offer, self._advance)
                if into is not None:
                    unpack(self._target(offer), self.folder / into)
            except (NotOffered, BrokenArchive) as error:
                failed.append(error)
            self.done += offer.size or 0
        if len(failed) > 1:
            raise StorageFailed(
                f"{len(failed)} of {len(items)} files are missing, the first is "
                f"{failed[0].sentence}",
                failed[0].hint,
            )
        if failed:
            raise failed[0]

    def _advance(self, there: int) -> None:
        self.progress.advance(self.done + there)

    def _is_replaced(self, offer: Offer) -> bool:
        """Return True if the contents of a file are there in another form."""
        for place in offer.instead:
            if (self.folder / place).exists():
                self.progress.note(f"{place} is there: {offer.place} is not fetched")
                return True
        return False

    def _archives(self, archives: ArchiveList) -> list[Offer]:
        """Fetch a list, and return its wanted archives that are not unpacked yet."""
        self.progress.begin(f"fetch {archives.file.place}")
        self._fetch(archives.file, lambda there: None)
        place = self._target(archives.file)
        try:
            offers = archives.archives(place.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise StorageFailed(f"{place}: not a list of archives", RESUME) from error
        return [
            offer
            for offer in offers
            if self._may_hold_labels(offer)
            and not (self.folder / (offer.place + MARK)).exists()
        ]

    def _may_hold_labels(self, archive: Offer) -> bool:
        """Compare an archive's name with the labels; `part_7.tar.gz` may hold any."""
        name = PurePosixPath(archive.place).name.removesuffix(".tar.gz")
        if self.labels is None or PART.fullmatch(name):
            return True
        return self.labels.match(name.replace("_", " ")) is not None

    def _with_size(self, offer: Offer) -> Offer:
        """Add the size, from the disk or the server if it is not published."""
        if offer.size is not None:
            return offer
        target = self._target(offer)
        if target.is_file():
            return replace(offer, size=target.stat().st_size)
        url = mirrored(offer.url, self.base)
        return replace(offer, size=size_of(self.session, url))

    def _check_room(self, items: list[Item]) -> None:
        """Require room for the missing bytes, and to unpack the largest archive."""
        needed = sum(self._missing(offer) for offer, _ in items)
        archives = [offer.size or 0 for offer, into in items if into is not None]
        needed += max(archives, default=0)
        require_room(self.folder, needed, self.kind, MAKE_ROOM)

    def _missing(self, offer: Offer) -> int:
        """Bytes of a file that are not on the disk yet."""
        target, size = self._target(offer), offer.size or 0
        if target.is_file() and target.stat().st_size == size:
            return 0
        return max(0, size - self._downloader(offer, self._advance).resumable())

    def _target(self, offer: Offer) -> Path:
        target = self.folder / offer.place
        if not inside(self.folder, target):
            raise Refused(f"{target}: a link that leads out of {self.folder}")
        return target

    def _downloader(
        self, offer: Offer, advance: Callable[[int], None]
    ) -> ResumingDownloader:
        target, checked = self._target(offer), offer.sha256 is not None
        return ResumingDownloader(self.session, target, offer.size, checked, advance)

    def _fetch(self, offer: Offer, advance: Callable[[int], None]) -> None:
        """Fetch a file unless it is there, and compare its hash where published."""
        downloader = self._downloader(offer, advance)
        url, target = mirrored(offer.url, self.base), downloader.target
        try:
            pooch.retrieve(
                url,
                None if offer.sha256 is None else f"sha256:{offer.sha256}",
                fname=target.name,
                path=target.parent,
                downloader=downloader,
            )
        except ValueError as error:
            downloader.forget()
            got = re.search(r"got ([0-9a-f]{64})", str(error))
            raise StorageFailed(
                f"{url}: its SHA-256 is {got[1] if got else 'another one'}, published "
                f"is {offer.sha256}; removed",
                "re-run the same command; if it happens twice, the file there has "
                "changed: get it elsewhere, or name a mirror",
            ) from error
        downloader.forget()
        advance(target.stat().st_size)
