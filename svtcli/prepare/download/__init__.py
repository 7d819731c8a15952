"""Downloads: the files that publishers of raw data offer, and their retrieval."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from svtcli.failure import StorageFailed


@dataclass(frozen=True)
class Offer:
    """A file that a publisher offers; size and hash only where they are published."""

    url: str
    place: str
    """Path below the source folder, with `/`."""
    splits: tuple[str, ...]
    """Splits of the recipe that need it."""
    size: int | None = None
    """Size in bytes."""
    sha256: str | None = None
    """64 hexadecimal digits."""
    instead: tuple[str, ...] = ()
    """Paths that make it unnecessary: the same data unpacked by hand."""


@dataclass(frozen=True)
class ArchiveList:
    """A text file of addresses, each a `.tar.gz` of videos, unpacked to `into`."""

    file: Offer
    into: str

    def archives(self, text: str) -> tuple[Offer, ...]:
        """Return the archives that `text` lists, once each, in its order.

        Errors: `StorageFailed` for a line that is no address of a `.tar.gz` (a web
        page in place of the list), and for an empty list.
        """
        lines = dict.fromkeys(line.strip() for line in text.splitlines())
        offers = tuple(self._archive(line) for line in lines if line)
        if not offers:
            raise StorageFailed(f"{self.file.url}: lists no archives")
        return offers

    def _archive(self, url: str) -> Offer:
        parts = urlsplit(url)
        name = PurePosixPath(unquote(parts.path)).name
        hidden = name.startswith(".") or not name.isprintable()
        whole = parts.scheme in ("http", "https") and parts.netloc
        if not whole or hidden or not name.endswith(".tar.gz"):
            raise StorageFailed(
                f"{self.file.url}: not a list of archives; it says {url[:80]!r}",
                f"look at the address in a browser, and remove {self.file.place} below "
                "the source folder before the next try",
            )
        folder = PurePosixPath(self.file.place).parent
        # A class name may stand there with its spaces.
        path = quote(parts.path, safe="/%")
        url = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
        return Offer(url, str(folder / name), self.file.splits)


@dataclass(frozen=True)
class Publisher:
    """Files offered for one kind of dataset."""

    files: tuple[Offer, ...]
    lists: tuple[ArchiveList, ...] = ()
