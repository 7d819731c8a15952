"""Raw data from its publisher: whole, checked, and continued where it stopped.

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
    AGAIN,
    NotOffered,
    Resuming,
    check_room,
    size_of,
)
from svtcli.prepare.download.unpack import MARK, BrokenArchive, unpack
from svtcli.prepare.sources import publisher_of
from svtcli.prepare.sources.source_folder import inside
from svtcli.run.lock import only_writer
from svtcli.run.progress import Progress

PART = re.compile(r"part_\d+")
MIRROR = "SVT_MIRROR"
"""The environment variable with a scheme and host (and folder) to use instead."""


def download(
    kind: str,
    folder: Path,
    progress: Progress,
    splits: tuple[str, ...] | None = None,
    labels: re.Pattern[str] | None = None,
    base: str | None = None,
) -> None:
    """Fetch to `folder` what the publisher of `kind` offers for `splits` (None: all).

    Of archives that hold a class each, only those of `labels` (None: all). What is
    there already is checked where a hash is published, and kept. `base`, else
    `$SVT_MIRROR`, stands for the scheme and host of every address. Progress counts
    bytes.

    Errors: `Refused` for a kind that nobody publishes; `Locked` while another process
    fetches to `folder`; `StorageFailed` for a disk too small (nothing is fetched then),
    a network that stays away, wrong bytes, or files that the publisher does not give,
    when all others are there.
    """
    if (publisher := publisher_of(kind)) is None:
        raise Refused(f"{kind}: no publisher to download it from", "use --source DIR")
    base = base or os.environ.get(MIRROR) or None
    # pooch tells of every file through a logger that prints by default.
    pooch.get_logger().setLevel(logging.CRITICAL)
    with only_writer(folder), requests.Session() as session:
        visit = _Visit(kind, folder, progress, session, labels, base)
        visit.fetch_all(_wanted(publisher, splits))


def mirrored(url: str, base: str | None) -> str:
    """`url` with the scheme, host and leading folder of `base`. Errors: `Refused`."""
    if base is None:
        return url
    to, parts = urlsplit(base), urlsplit(url)
    if to.scheme not in ("http", "https") or not to.netloc:
        raise Refused(f"{MIRROR}={base}: not an address, such as http://mirror:8080")
    path = to.path.rstrip("/") + parts.path
    return urlunsplit((to.scheme, to.netloc, path, parts.query, ""))


def _wanted(publisher: Publisher, splits: tuple[str, ...] | None) -> Publisher:
    """What `splits` need of all that is offered."""

    def needed(offer: Offer) -> bool:
        return splits is None or not set(splits).isdisjoint(offer.splits)

    return Publisher(
        tuple(offer for offer in publisher.files if needed(offer)),
        tuple(each for each in publisher.lists if needed(each.file)),
    )


@dataclass(frozen=True)
class _Item:
    """A file to fetch, and the folder for its videos if it is an archive."""

    offer: Offer
    into: str | None = None


@dataclass
class _Visit:
    """One run of `download`."""

    kind: str
    folder: Path
    progress: Progress
    session: requests.Session
    labels: re.Pattern[str] | None
    base: str | None
    done: int = 0
    """Bytes of the files that are finished."""

    def fetch_all(self, wanted: Publisher) -> None:
        items = [_Item(offer) for offer in wanted.files if not self._spared(offer)]
        for each in wanted.lists:
            items += self._listed(each)
        self.progress.begin(f"ask sizes ({self.kind})", len(items), "files")
        items = [self._sized(item, number) for number, item in enumerate(items, 1)]
        self._check_room(items)
        sizes = [item.offer.size for item in items]
        known = [size for size in sizes if size is not None]
        total = sum(known) if len(known) == len(sizes) else None
        self.progress.begin(f"download {self.kind}", total, "bytes")
        self.done = 0
        try:
            self._fetch_each(items)
        finally:
            self.progress.end()

    def _fetch_each(self, items: list[_Item]) -> None:
        """Fetch what can be fetched; one file that is not given stops no other."""
        failed: list[StorageFailed] = []
        for item in items:
            try:
                self._fetch(item.offer, self._advance)
                if item.into is not None:
                    unpack(self._target(item.offer), self.folder / item.into)
            except (NotOffered, BrokenArchive) as error:
                failed.append(error)
            self.done += item.offer.size or 0
        if len(failed) > 1:
            raise StorageFailed(
                f"{len(failed)} of {len(items)} files are lacking, the first is "
                f"{failed[0].sentence}",
                failed[0].hint,
            )
        if failed:
            raise failed[0]

    def _advance(self, there: int) -> None:
        self.progress.advance(self.done + there)

    def _spared(self, offer: Offer) -> bool:
        """Whether what this file would give is there in another form."""
        for place in offer.instead:
            if (self.folder / place).exists():
                self.progress.note(f"{place} is there: {offer.place} is not fetched")
                return True
        return False

    def _listed(self, archives: ArchiveList) -> list[_Item]:
        """The archives of a list that are not unpacked yet; fetches the list."""
        self.progress.begin(f"fetch {archives.file.place}")
        self._fetch(archives.file, lambda there: None)
        place = self._target(archives.file)
        try:
            offers = archives.archives(place.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise StorageFailed(f"{place}: no list of archives", AGAIN) from error
        return [
            _Item(offer, archives.into)
            for offer in offers
            if self._holds_wanted(offer)
            and not (self.folder / (offer.place + MARK)).exists()
        ]

    def _holds_wanted(self, archive: Offer) -> bool:
        """Whether a wanted class may be inside; `part_7.tar.gz` holds any."""
        name = PurePosixPath(archive.place).name.removesuffix(".tar.gz")
        if self.labels is None or PART.fullmatch(name):
            return True
        return self.labels.match(name.replace("_", " ")) is not None

    def _sized(self, item: _Item, number: int) -> _Item:
        """The item with its size, from the disk or the server if not published."""
        offer, target = item.offer, self._target(item.offer)
        if offer.size is None and target.is_file():
            offer = replace(offer, size=target.stat().st_size)
        elif offer.size is None:
            size = size_of(self.session, mirrored(offer.url, self.base))
            offer = replace(offer, size=size)
        self.progress.advance(number)
        return replace(item, offer=offer)

    def _check_room(self, items: list[_Item]) -> None:
        """What is still to come, and the largest archive again while it is unpacked."""
        needed = sum(self._lacking(item.offer) for item in items)
        archives = [item.offer.size or 0 for item in items if item.into is not None]
        check_room(self.folder, needed + max(archives, default=0), self.kind)

    def _lacking(self, offer: Offer) -> int:
        """Bytes of a file that are not on the disk yet."""
        target, size = self._target(offer), offer.size or 0
        if target.is_file() and target.stat().st_size == size:
            return 0
        return max(0, size - self._resuming(offer, self._advance).there())

    def _target(self, offer: Offer) -> Path:
        target = self.folder / offer.place
        if not inside(self.folder, target):
            raise Refused(f"{target}: a link that leads out of {self.folder}")
        return target

    def _resuming(self, offer: Offer, advance: Callable[[int], None]) -> Resuming:
        return Resuming(
            self.session,
            self._target(offer),
            offer.size,
            offer.sha256 is not None,
            advance,
        )

    def _fetch(self, offer: Offer, advance: Callable[[int], None]) -> None:
        """Have a file there, right as far as anybody can tell."""
        resuming = self._resuming(offer, advance)
        url, target = mirrored(offer.url, self.base), resuming.target
        try:
            pooch.retrieve(
                url,
                None if offer.sha256 is None else f"sha256:{offer.sha256}",
                fname=target.name,
                path=target.parent,
                downloader=resuming,
            )
        except ValueError as error:
            resuming.forget()
            got = re.search(r"got ([0-9a-f]{64})", str(error))
            raise StorageFailed(
                f"{url}: its SHA-256 is {got[1] if got else 'another one'}, published "
                f"is {offer.sha256}; removed",
                "run the same command again; if it happens twice, the file there is "
                "another one by now: get it elsewhere, or name a mirror",
            ) from error
        resuming.forget()
        advance(target.stat().st_size)
