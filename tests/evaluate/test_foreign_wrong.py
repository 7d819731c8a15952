"""What is no set of videos is named in one line, with where and what to do."""

import pickle
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest

from svtcli.evaluate.foreign import arrays, open_videos
from svtcli.evaluate.plan import plan_metrics
from svtcli.failure import BadData, Failure, Refused
from svtcli.recipe.schema import Compare
from tests.evaluate.video_kinds import clips, compressed, noise, npy, samples
from tests.video.real_videos import real_video
from tests.video.video_files import truncate

GOOD = noise(2, 4, 6, 8, 3)
UNIT = (GOOD / 255).astype(np.float32)


def said_of(source: str, **how: object) -> tuple[Failure, str]:
    """What goes wrong with a source: the failure, and what it says without the path."""
    with pytest.raises((Refused, BadData)) as caught:
        open_videos(source, **how)
    failure = caught.value
    assert "\n" not in failure.sentence
    assert "\n" not in (failure.hint or "")
    return failure, failure.sentence.partition(": ")[2]


@pytest.mark.parametrize(
    ("array", "sentence", "hint"),
    [
        (
            UNIT,
            "its numbers are float32, the first of them from 0 to 1",
            "state it: --range 0..1",
        ),
        (
            2.0 * UNIT - 1,
            "its numbers are float32, the first of them from -1 to 1",
            "state it: --range -1..1",
        ),
        (
            GOOD.astype(np.float64),
            "its numbers are float64, the first of them from 0 to 255",
            "state it: --range 0..255",
        ),
        (
            300.0 * UNIT,
            "its numbers are float32, the first of them from 0 to 300",
            "bring them to 0..255 first, then x.round().astype(np.uint8)",
        ),
        (
            np.where(GOOD > 4, UNIT, np.nan),
            "its numbers are float32 with NaN among them",
            "find out where they come from",
        ),
        (
            np.where(GOOD > 4, UNIT, np.inf).astype(np.float16),
            "its numbers are float16 with infinity among them",
            "find out where they come from",
        ),
        (
            GOOD.astype(np.int64),
            "its numbers are int64, the first of them from 0 to 255",
            "state it: --range 0..255",
        ),
        (
            (GOOD.astype(np.int16) - 1).astype(">i2"),
            "its numbers are int16, the first of them from -1 to 254",
            "bring them to 0..255 first, then x.round().astype(np.uint8)",
        ),
        (
            GOOD > 100,
            "its numbers are bool",
            "state it: --range 0..1",
        ),
        (
            GOOD.astype(complex),
            "its numbers are complex128, which is no type of pixels",
            "expected: uint8, 0 to 255",
        ),
        (
            np.moveaxis(GOOD, -1, 2),
            "its axes are [2, 4, 3, 6, 8], which looks like [N, T, C, H, W]",
            "state it: --layout NTCHW",
        ),
        (
            np.moveaxis(GOOD, -1, 1),
            "its axes are [2, 3, 4, 6, 8], which looks like [N, C, T, H, W]",
            "state it: --layout NCTHW",
        ),
        (
            np.moveaxis(GOOD, -1, 2)[:, None],
            "its axes are [2, 1, 4, 3, 6, 8], which looks like [N, M, T, C, H, W]",
            "state it: --layout NMTCHW",
        ),
        (
            np.moveaxis(2.0 * UNIT - 1, -1, 1),
            (
                "its axes are [2, 3, 4, 6, 8], which looks like [N, C, T, H, W] and "
                "its numbers are float32, the first of them from -1 to 1"
            ),
            "state it: --layout NCTHW --range -1..1",
        ),
        (
            GOOD[..., [0, 1, 2, 0]],
            "its axes are [2, 4, 6, 8, 4], with an alpha channel",
            "keep the colours: x[..., :3]",
        ),
        (
            GOOD[0],
            "its axes are [4, 6, 8, 3], which looks like one video",
            "state it: --layout THWC",
        ),
        (
            np.moveaxis(GOOD[0], -1, 0),
            "its axes are [3, 4, 6, 8], which looks like [C, T, H, W] of one video",
            "state it: --layout CTHW",
        ),
        (
            GOOD[..., 0],
            "its axes are [2, 4, 6, 8], which looks like gray videos without a channel",
            "state it: --layout NTHW",
        ),
        (
            GOOD[0, 0],
            "its axes are [6, 8, 3], which is no set of videos",
            (
                "expected: [N, T, H, W, C] or, with M continuations of each, "
                "[N, M, T, H, W, C]"
            ),
        ),
        (GOOD[:0], "holds no pixels (its shape is [0, 4, 6, 8, 3])", None),
        (GOOD[:, :0], "holds no pixels (its shape is [2, 0, 6, 8, 3])", None),
    ],
)
@pytest.mark.parametrize("write", [npy, compressed])
def test_an_array_of_another_form_comes_with_a_conversion(
    tmp_path: Path, write: Callable, array: np.ndarray, sentence: str, hint: str | None
) -> None:
    failure, said = said_of(write(tmp_path / "x", array))
    assert isinstance(failure, Refused)
    assert (said.removeprefix("arr_0: "), failure.hint) == (sentence, hint)


class Trap:
    """What its pickle makes is a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def objects(path: Path, trap: object) -> str:
    return npy(path, np.array([trap], object))


def objects_in_zip(path: Path, trap: object) -> str:
    return compressed(path, np.array([trap], object))


def bare_pickle(path: Path, trap: object) -> str:
    path = path.with_suffix(".npy")
    path.write_bytes(pickle.dumps(trap))
    return str(path)


@pytest.mark.parametrize("write", [objects, objects_in_zip, bare_pickle])
def test_a_pickle_is_named_and_not_run(tmp_path: Path, write: Callable) -> None:
    source = write(tmp_path / "x", Trap(tmp_path / "sprung"))
    failure, said = said_of(source)
    assert isinstance(failure, Refused)
    assert "pickle" in said
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not an array that NumPy has written (it is empty)"),
        (b"<html>", "not an array that NumPy has written (it does not start like one)"),
        (b"\x93NUMPY\x09\x00", "an array of an unknown format (9, 0)"),
        (b"\x93NUMPY", "its header is damaged"),
        (b"\x93NUMPY\x01", "its header is damaged"),
        (b"\x93NUMPY\x01\x00\x08\x00{'a': 1}", "its header is damaged"),
        (b"\x93NUMPY\x01\x00\x04\x00((((", "its header is damaged"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "its header is damaged"),
    ],
)
def test_files_that_are_not_arrays_are_bad_data(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    failure, said = said_of(str(tmp_path / "x.npy"))
    assert isinstance(failure, BadData)
    assert said == sentence


def test_negative_lengths_and_short_files_are_bad_data(tmp_path: Path) -> None:
    source = Path(npy(tmp_path / "x", GOOD))
    whole = source.read_bytes()
    source.write_bytes(whole.replace(b"(2, 4, 6, 8, 3)", b"(2,-4,6,-8, 3) "))
    assert said_of(str(source))[1] == "its header is damaged"
    source.write_bytes(whole[:-1])
    failure, said = said_of(str(source))
    assert isinstance(failure, BadData)
    assert said == f"ends early ({len(whole) - 1} of {len(whole)} bytes)"


def test_a_bomb_is_refused_by_its_header_and_not_decompressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "x.npz"
    np.savez_compressed(source, GOOD)
    monkeypatch.setattr(arrays, "_decompressed", lambda *_: pytest.fail("was read"))
    samples = open_videos(str(source))
    other = open_videos(npy(tmp_path / "y", GOOD[:, :, :4]))
    with pytest.raises(Refused, match="height, width, channels"):
        plan_metrics(samples, other, Compare(metrics=("psnr",)), prime=1)
    monkeypatch.setattr(arrays, "host_memory", lambda: GOOD.nbytes)
    failure, said = said_of(f"{source}:arr_0")
    assert isinstance(failure, Refused)
    assert "when it is decompressed, more than half of this machine's memory" in said


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_archive_is_bad_data(tmp_path: Path, save: Callable) -> None:
    source = tmp_path / "x.npz"
    save(source, GOOD)
    whole = source.read_bytes()
    for content in (b"", b"PK\x03\x04", whole[:-30], whole[:200]):
        source.write_bytes(content)
        failure, said = said_of(str(source))
        assert isinstance(failure, BadData)
        assert said.startswith("not a whole .npz")
    source.write_bytes(whole[:400] + bytes(20) + whole[420:])
    if save is np.savez_compressed:
        assert isinstance(said_of(str(source))[0], BadData)
    # zipfile shows both names where they differ, and this one is long.
    source.write_bytes(whole[:26] + b"\xff\x01" + whole[28:])
    assert len(said_of(str(source))[1]) < 120
    # The array in it is cut, the archive is whole.
    short = Path(npy(tmp_path / "short", GOOD)).read_bytes()[:-1]
    kind = ZIP_DEFLATED if save is np.savez_compressed else ZIP_STORED
    with ZipFile(source, "w", kind) as archive:
        archive.writestr("arr_0.npy", short)
    assert isinstance(said_of(str(source))[0], BadData)


def test_several_arrays_in_an_archive_are_named(tmp_path: Path) -> None:
    source = tmp_path / "x.npz"
    trap = np.array([Trap(tmp_path / "sprung")], object)
    # The truth alone has bytes: it must not pass for the samples.
    np.savez(source, truth=GOOD, samples=UNIT, seed=np.int64(3), trap=trap)
    failure, said = said_of(str(source))
    assert said == (
        "several arrays: truth uint8 [2, 4, 6, 8, 3], samples float32 [2, 4, 6, 8, 3], "
        "seed int64 [], trap"
    )
    assert failure.hint == f"name one: {source}:KEY"
    assert "float32" in said_of(f"{source}:samples")[1]
    failure, said = said_of(f"{source}:reals")
    assert said == "holds no array 'reals'"
    assert failure.hint == "it has truth, samples, seed, trap"
    assert not (tmp_path / "sprung").exists()
    np.savez(source)
    assert said_of(str(source))[1] == "holds no array"


def test_a_missing_source_suggests_a_similar_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    clips(Path("clips/robots"), GOOD)
    npy(tmp_path / "mine", GOOD)
    near = {
        "robot": "clips/robots",
        "robot:val": "clips/robots",
        "mien.npy": "mine.npy",
    }
    for source, meant in near.items():
        failure, _ = said_of(source)
        assert failure.sentence == f"{source}: no such file, folder or clips"
        assert failure.hint == f"did you mean {Path(meant)}?"
    assert said_of("")[0].sentence == "the name of the videos is empty"
    for source in (":", "nowhere/at/all", "mine.npz:a", "x\0y"):
        assert isinstance(said_of(source)[0], Refused)


def test_a_run_is_not_a_set_of_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SVT_RUNS", raising=False)
    run = Path("runs/walk")
    (run / "samples").mkdir(parents=True)
    (run / "recipe.yaml").touch()
    for source in ("runs/walk", "walk"):
        failure, said = said_of(source)
        assert said == "a run, not videos"
        assert failure.hint == f"score it: svt eval {run}"
    # Videos are asked for: of two things with one name, it is the clips.
    (tmp_path / "clips").mkdir()
    clips(Path("clips/walk"), GOOD)
    assert open_videos("walk").count == 2


def test_a_folder_of_samples_folders_names_one(tmp_path: Path) -> None:
    samples(tmp_path / "samples" / "one", GOOD)
    for folder in (tmp_path, tmp_path / "samples"):
        failure, said = said_of(str(folder))
        assert said == "holds folders of samples; name one"
        assert failure.hint == f"for example {tmp_path / 'samples' / 'one'}"
    (tmp_path / "recipe.yaml").touch()
    failure, said = said_of(str(tmp_path))
    assert (failure.hint or "").endswith(f"its samples: {tmp_path / 'samples' / 'one'}")
    (tmp_path / "samples" / "one" / "samples.json").unlink()
    assert "did not finish" in said_of(str(tmp_path / "samples" / "one"))[1]


def test_folders_and_files_of_another_kind_say_what_is_wanted(tmp_path: Path) -> None:
    cases = {
        "empty": "no videos in this folder",
        "flat": "holds pictures, not folders",
        "arrays": "holds arrays; name one",
        "begun": "its clips are not finished (manifest.json is missing)",
        "one.mp4": "a single video, not a set of videos",
        "weights.pt": "not a file of videos",
    }
    for name in ("empty", "flat", "arrays", "begun/.work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "flat" / "1.png").touch()
    npy(tmp_path / "arrays" / "x", GOOD)
    for name in ("one.mp4", "weights.pt", "empty/.hidden"):
        (tmp_path / name).touch()
    for name, sentence in cases.items():
        failure, said = said_of(str(tmp_path / name))
        assert (isinstance(failure, Refused), said) == (True, sentence)
        assert failure.hint


def test_video_files_are_lossy_and_refused_unless_they_are_allowed(
    tmp_path: Path,
) -> None:
    bikes = real_video("bikes.mp4")
    for number in (9, 10):
        (tmp_path / f"{number}.mp4").write_bytes(bikes.read_bytes())
    failure, _ = said_of(str(tmp_path), frames=4)
    assert failure.sentence.startswith(f"{tmp_path / '9.mp4'}: lossy; FVD of")
    assert "--allow-lossy" in (failure.hint or "")
    opened = open_videos(str(tmp_path), frames=4, allow_lossy=True)
    assert opened.lossy
    assert (opened.count, opened.frames, opened.shape) == (2, 4, (272, 640, 3))
    first, again = opened.read(np.array([1, 0]), frames=2)
    np.testing.assert_array_equal(first, again)
    truncate(bikes, tmp_path / "11.mp4", 0.5)
    assert isinstance(said_of(str(tmp_path), allow_lossy=True)[0], BadData)
