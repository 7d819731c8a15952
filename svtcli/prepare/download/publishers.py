"""What the publishers of raw data offer: addresses, sizes, hashes, and the places of
the files below a source folder.

A size or hash stands here only where somebody published it; None where nobody did.
Sources: BAIR, MNIST and `mnist_test_seq.npy` from tensorflow/datasets
`tensorflow_datasets/url_checksums/{bair_robot_pushing_small,mnist,moving_mnist}.txt`;
the push records' names from tensor2tensor `data_generators/google_robot_pushing.py`;
Kinetics-600 from cvdfoundation/kinetics-dataset `k600_downloader.sh`, whose README
calls `train.csv` and `val.csv` incomplete beside `train.txt` and `val.txt`.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from svtcli.failure import StorageFailed


@dataclass(frozen=True)
class Offer:
    """A file that a publisher offers."""

    url: str
    place: str
    """Where it goes below the source folder, with `/`."""
    splits: tuple[str, ...]
    """The splits of the recipe that need it."""
    size: int | None = None
    """Bytes, where published."""
    sha256: str | None = None
    """64 hexadecimal digits, where published."""
    instead: tuple[str, ...] = ()
    """Places of what makes it unneeded: the same unpacked by hand."""


@dataclass(frozen=True)
class ArchiveList:
    """A text file of addresses, each a `.tar.gz` of videos, unpacked to `into`."""

    file: Offer
    into: str

    def archives(self, text: str) -> tuple[Offer, ...]:
        """The archives that `text` lists, once each, in its order.

        Errors: `StorageFailed` for a line that is no address of a `.tar.gz`, which is
        what a web page in place of the list looks like, and for an empty list.
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
    """All that is offered for one kind of dataset."""

    files: tuple[Offer, ...]
    lists: tuple[ArchiveList, ...] = ()


ALL = ("train", "val", "test")

BAIR = Publisher(
    (
        Offer(
            "http://rail.eecs.berkeley.edu/datasets/bair_robot_pushing_dataset_v0.tar",
            "bair_robot_pushing_dataset_v0.tar",
            ALL,
            32_274_964_480,
            "c6f8d164ab2be07174ef597e3e070d7466f3142caddc467b6af119b9458cd9cd",
            instead=("softmotion30_44k", "processed_data"),
        ),
    )
)
"""One tar, read in place."""

PUSH = "https://storage.googleapis.com/brain-robotics-data/push/"


def _push(part: str, count: int, *splits: str) -> tuple[Offer, ...]:
    places = [
        f"{part}/{part}.tfrecord-{index:05d}-of-{count:05d}" for index in range(count)
    ]
    return tuple(Offer(PUSH + place, place, splits) for place in places)


ROBOT_PUSH = Publisher(
    _push("push_train", 264, "train", "val")
    + _push("push_testseen", 5, "test-seen")
    + _push("push_testnovel", 5, "test-novel")
)

MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"

MOVING_MNIST = Publisher(
    (
        Offer(
            MNIST + "train-images-idx3-ubyte.gz",
            "train-images-idx3-ubyte.gz",
            ALL,
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            instead=("train-images-idx3-ubyte",),
        ),
        Offer(
            MNIST + "t10k-images-idx3-ubyte.gz",
            "t10k-images-idx3-ubyte.gz",
            ("val", "test"),
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            instead=("t10k-images-idx3-ubyte",),
        ),
        Offer(
            "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy",
            "mnist_test_seq.npy",
            ("test",),
            819_200_096,
            "c2a3e8d3939c001ab77bf543f130157424efa486bb4d0974d2cebb773b13f8b3",
        ),
    )
)

K600 = "https://s3.amazonaws.com/kinetics/600/"


def _annotation(name: str, split: str) -> Offer:
    return Offer(f"{K600}annotations/{name}", f"annotations/{name}", (split,))


def _archive_list(split: str) -> ArchiveList:
    name = f"k600_{split}_path.txt"
    file = Offer(f"{K600}{split}/{name}", f"archives/{split}/{name}", (split,))
    return ArchiveList(file, split)


KINETICS = Publisher(
    (
        _annotation("train.txt", "train"),
        _annotation("val.txt", "val"),
        _annotation("test.csv", "test"),
    ),
    tuple(_archive_list(split) for split in ALL),
)
"""About 727 GB of archives (cvdfoundation/kinetics-dataset issue 15)."""

PUBLISHERS = {
    "bair": BAIR,
    "kinetics": KINETICS,
    "moving-mnist": MOVING_MNIST,
    "robot-push": ROBOT_PUSH,
}
"""By the kind of a recipe's `data` section. A `folder` of videos nobody publishes."""
