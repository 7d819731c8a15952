import json
import re
from pathlib import Path

import pytest

from tests.cli.terminal import svt
from tests.idx_files import write_mnist
from tests.video.video_files import moving_square, write_video


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with three videos in raw/folder and digits in digits/."""
    here = tmp_path_factory.mktemp("here")
    for name in ("a", "b", "c"):
        write_video(here / f"raw/folder/{name}.mp4", moving_square(10))
    write_mnist(here / "digits", train=40, t10k=20)
    return here


def test_a_folder_becomes_clips_and_stdout_is_their_place(place: Path, here) -> None:
    said = svt("prepare", "folder", "--size", "16", "--frames", "5", cwd=place)
    assert (said.code, said.out) == (0, "clips/folder\n")
    assert "train: 4 clips, 20 frames" in said.err
    assert "test: 2 clips, 10 frames" in said.err
    again = here("prepare", "folder", "--size=16", "--frames=5", "--json")
    assert json.loads(again.out)["clips"] == {"train": 4, "test": 2}
    assert "already prepared" in again.err
    other = here("prepare", "folder", "--size", "8", "--frames", "5")
    assert (other.code, other.out) == (2, "")
    assert "size: 16 there, 8 requested" in other.err
    assert "rm -r clips/folder" in other.err
    forced = here("prepare", "folder", "--size", "8", "--force")
    assert forced.code == 0


def test_a_dry_run_says_what_and_where_and_makes_nothing(place: Path, here) -> None:
    said = here(
        *("prepare", "folder", "--size", "16", "--frames", "5", "--out", "new", "-n"),
    )
    assert said.code == 0
    promised = r"new: 3 videos -> about 6 clips, 23 kB, about \d+ s with \d+ workers?"
    assert re.fullmatch(promised + "; not prepared yet\n", said.out)
    assert not (place / "new").exists()
    said = here("prepare", "moving-mnist", "--source", "digits", "-n")
    assert "clips/moving-mnist: about 120,000 clips, 9.83 GB" in said.out
    assert not (place / "clips/moving-mnist").exists()


def test_moving_mnist_tells_its_lower_bound_and_can_be_verified(
    place: Path, here
) -> None:
    counts = ("--train", "3", "--val", "1", "--test", "2")
    said = here("prepare", "moving-mnist", "--source", "digits", *counts)
    assert (said.code, said.out) == (0, "clips/moving-mnist\n")
    found = re.search(r"test: 2 clips, 40 frames, lower bound ([\d.]+) nats", said.err)
    assert found
    assert float(found[1]) > 0
    said = here("prepare", "verify", "clips/moving-mnist")
    assert said.code == 0
    assert "6 clips, unchanged" in said.out
    shard = place / "clips/moving-mnist/test-00000-of-00001.frames.npy"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 128
    shard.write_bytes(content)
    said = here("prepare", "verify", "clips/moving-mnist")
    assert (said.code, said.out) == (65, "")
    assert shard.name in said.err
    assert "again after: rm -r clips/moving-mnist" in said.err


WRONG = [
    (("folder", "--source", "nowhere"), 2, "nowhere does not exist"),
    (("folder", "--source", "digits"), 2, "digits: no videos there"),
    (("folder", "--source", "package:nothing-such"), 2, "not installed"),
    (("folder", "--match", "z"), 2, "none of 3 videos matches 'z'"),
    (("folder", "--match", "("), 2, "--match (: not a regular expression"),
    (("folder", "--size", "0"), 2, "--size 0: must be greater than 0"),
    (("folder", "--size", "big"), 2, "'--size'"),
    (("folder", "--frames", "few"), 2, "--frames few: must be a number or all"),
    (
        ("folder", "--split", "half"),
        2,
        "Invalid value for '--split': 'half' is not one of",
    ),
    (("folder", "--val", "0.6", "--test", "0.6"), 2, "leave nothing to train on"),
    (("folder", "--max-failures", "many"), 2, "not a share, such as 5% or 0.05"),
    (("folder", "--frames", "11"), 65, "no clips: 3 videos gave none (3 too short)"),
    (("folder", "--colour"), 2, "No such option"),
    (("folder", "--workers", "0"), 2, "'--workers'"),
    (("moving-mnist",), 2, "no source for moving-mnist"),
    (("moving-mnist", "--source", "raw"), 2, "no train-images-idx3-ubyte"),
    (("moving-mnist", "--source", "digits", "--size", "20"), 2, "28 pixels wide"),
    (("verify", "raw"), 2, "no prepared clips here"),
    (
        ("kinetics",),
        2,
        "no source for kinetics: neither $SVT_DATA/kinetics (not set) nor raw/",
    ),
    (
        ("kinetics", "--subset", "sports"),
        2,
        "Invalid value for '--subset': 'sports' is not one of",
    ),
    (("kinetics", "--subset", "cooking", "--match", "tea"), 2, "--match tea: cannot"),
    (
        ("kinetics", "--split", "dev"),
        2,
        "Invalid value for '--split': 'dev' is not one of",
    ),
    (
        ("kinetics", "--window", "end"),
        2,
        "Invalid value for '--window': 'end' is not one of",
    ),
    (("kinetics", "--source", "digits"), 2, "digits: no videos there"),
    (("bair",), 2, "no source for bair"),
    (("bair", "--view", "top"), 2, "Invalid value for '--view': 'top' is not one of"),
    (("bair", "--source", "digits"), 2, "digits: "),
    (
        ("robot-push", "--fit", "zoom"),
        2,
        "Invalid value for '--fit': 'zoom' is not one of",
    ),
    (("robot-push", "--source", "digits"), 2, "digits: "),
    (("folder", "--window", "center"), 2, "--window center: needs a number of frames"),
    (("folder", "--task-index", "0"), 2, "--task-index and --task-count go together"),
    (("folder", "--task-index=2", "--task-count=2"), 2, "the last one is 1"),
    (
        ("folder", "--task-index=0", "--task-count=2", "--force"),
        *(2, "--force cannot be combined with --task-index"),
    ),
    (("folder", "--address", "auto"), 2, "--address: goes with --engine ray"),
    (
        ("folder", "--engine", "ray", "--address", "127.0.0.1:1"),
        *(2, "--address 127.0.0.1:1: no Ray cluster there"),
    ),
    (
        ("folder", "--engine", "ray", "--address", "auto"),
        *(2, "--address auto: no Ray cluster at 127.0.0.1:1"),
    ),
    (("folder", "--engine", "spark"), 2, "'--engine'"),
    (("folder", "--retry-failed"), 2, "no such folder"),
    (("folder", "--retry-failed", "--force"), 2, "choose"),
    (("folder", "--download"), 2, "folder"),
    (("things",), 2, "No such command"),
]


@pytest.mark.parametrize(("words", "code", "says"), WRONG, ids=lambda w: str(w))
def test_a_wrong_command_gets_one_clear_line_and_leaves_nothing(
    place: Path, here, words: tuple[str, ...], code: int, says: str
) -> None:
    where = () if words[0] in ("verify", "things") else ("--out", "wrong")
    said = here("prepare", *words, *where)
    assert (said.code, said.out) == (code, "")
    errors = [line for line in said.err.splitlines() if "svt: error:" in line]
    assert len(errors) == 1
    assert says in errors[0]
    assert "Traceback" not in said.err
    assert not (place / "wrong").exists()


def test_broken_files_are_named_and_too_many_end_in_3(place: Path, here) -> None:
    bad, flags = place / "bad", ("prepare", "folder", "--source", "bad", "--size", "8")
    for name in ("a", "b"):
        write_video(bad / f"{name}.mp4", moving_square(4))
    for name in ("page", "pa\x1b[2Jge"):
        (bad / f"{name}.mp4").write_text("<html>404</html>")
    said = here(*flags)
    assert (said.code, said.out) == (3, "")
    assert "page.mp4: open:" in said.err
    assert "pa\\x1b[2Jge.mp4: open:" in said.err
    assert (
        "2 of 4 videos could not be read (2 unreadable): 50 %; at most 1 (5 %) may fail"
    ) in said.err
    said = here(*flags, "--max-failures", "50%")
    assert (said.code, said.out) == (0, "clips/bad\n")
    assert "gave no clips: 2 unreadable" in said.err


def test_one_bad_file_of_a_few_does_not_stop_the_work(place: Path, here) -> None:
    few, flags = place / "few", ("prepare", "folder", "--source", "few", "--size", "8")
    write_video(few / "a.mp4", moving_square(4))
    (few / "page.mp4").write_text("<html>404</html>")
    said = here(*flags, "--max-failures", "0")
    assert (said.code, said.out) == (3, "")
    assert "50 %; none may fail" in said.err
    assert here(*flags).code == 0
    (few / "a.mp4").unlink()
    said = here(*flags, "--out", "clips/none")
    assert (said.code, said.out) == (65, "")
    assert "1 video gave none (1 unreadable)" in said.err


def test_help_needs_nothing_heavy(place: Path) -> None:
    said = svt("prepare", "folder", "--help", cwd=place, PYTHONPROFILEIMPORTTIME="1")
    assert said.code == 0
    shown = " ".join(said.out.split())
    assert "`val`. [at least 0 and less than 1; default: 0]" in shown
    assert "--download" not in shown
    imported = {line.rsplit("|")[-1].strip() for line in said.err.splitlines()}
    assert not imported & {"numpy", "jax", "av", "grain", "pebble"}
    assert "typer" in imported
