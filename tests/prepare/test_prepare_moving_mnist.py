"""Moving MNIST through the whole stage: from idx files to clips."""

import shutil
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest

from svtcli.clips.format import read_manifest
from svtcli.clips.on_the_fly import bouncing_clip, clip_rng
from svtcli.clips.reader import open_clips
from svtcli.clips.verify import verify
from svtcli.failure import BadData, Refused
from svtcli.prepare.build import PrepareOptions
from svtcli.prepare.sources.moving_mnist import level_counts, lower_bound
from svtcli.prepare.stage import prepare
from svtcli.recipe.data import MovingMnistData
from svtcli.run.progress import Silent
from tests.idx_files import handwritten_digits, write_idx, write_mnist
from tests.prepare.test_prepare import Recorder, contents


def mnist_data(source: Path, **settings: object) -> MovingMnistData:
    data = MovingMnistData(
        kind="moving-mnist", source=str(source), train=520, val=3, test=30
    )
    return replace(data, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mnist(tmp_path_factory.mktemp("mnist"))


def test_moving_mnist_is_what_the_generator_says(mnist: Path, tmp_path: Path) -> None:
    done = prepare(
        mnist_data(mnist), tmp_path / "two", Silent(), PrepareOptions(workers=2)
    )
    prepare(mnist_data(mnist), tmp_path / "one", Silent(), PrepareOptions(workers=1))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert done.clips == {"train": 520, "val": 3, "test": 30}
    digits = handwritten_digits()
    for split, source in (("train", digits[:1500]), ("test", digits[-297:])):
        clips = open_clips(tmp_path / "two", split)
        assert clips.shape == (64, 64, 1)
        for i in (0, 29, len(clips) - 1):
            wanted = bouncing_clip(source, clip_rng(0, split, i), 2, 20, 64)
            np.testing.assert_array_equal(clips.read(i), wanted)


def test_the_lower_bound_counts_predicted_frames_only(
    mnist: Path, tmp_path: Path
) -> None:
    done = prepare(mnist_data(mnist), tmp_path, Silent())
    clips = open_clips(tmp_path, "test")
    video = np.stack([clips.read(i, 10, 10) for i in range(len(clips))])
    z = video.astype(np.float64).clip(1e-300, 255) / 255
    entropy = -z * np.log(z) - (1 - z) * np.log(np.where(video == 255, 1, 1 - z))
    bound = done.lower_bound["test"]
    assert bound == pytest.approx(entropy.sum((2, 3, 4)).mean())
    assert read_manifest(tmp_path).lower_bound == done.lower_bound


def test_on_the_fly_train_has_the_same_clips_and_no_shards(
    mnist: Path, tmp_path: Path
) -> None:
    stored, drawn = tmp_path / "stored", tmp_path / "drawn"
    data, how = mnist_data(mnist, train=7, test=4), PrepareOptions(workers=1)
    prepare(data, stored, Silent(), how)
    progress = Recorder()
    done = prepare(replace(data, on_the_fly=True), drawn, progress, how)
    assert done.clips == {"train": 7, "val": 3, "test": 4}
    assert done.frames == {"train": 140, "val": 60, "test": 80}
    assert set(done.lower_bound) == {"val", "test"}
    assert "train is generated on the fly: 7 clips, none stored" in progress.lines
    names = {path.name for path in drawn.glob("train*")}
    assert names == {"train.digits.npy"}
    for split in ("train", "val", "test"):
        one, other = open_clips(stored, split), open_clips(drawn, split)
        assert (one.shape, list(one.lengths)) == (other.shape, list(other.lengths))
        assert tuple(one.ids) == tuple(other.ids)
        for i in range(len(one)):
            np.testing.assert_array_equal(one.read(i), other.read(i))
            np.testing.assert_array_equal(one.read(i, 3, 5), other.read(i, 3, 5))
    again = prepare(replace(data, on_the_fly=True), drawn, Silent(), how)
    assert again.existed


def test_on_the_fly_train_costs_the_same_for_millions(
    mnist: Path, tmp_path: Path
) -> None:
    data = mnist_data(mnist, train=19_200_000, val=0, test=2, on_the_fly=True)
    done = prepare(data, tmp_path, Silent(), PrepareOptions(workers=1))
    assert done.clips == {"train": 19_200_000, "test": 2}
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2_000_000
    assert verify(tmp_path, Silent()) == 19_200_002
    last = open_clips(tmp_path, "train").read(19_199_999)
    rng = clip_rng(0, "train", 19_199_999)
    wanted = bouncing_clip(handwritten_digits()[:1500], rng, 2, 20, 64)
    np.testing.assert_array_equal(last, wanted)


def test_stored_and_generated_clips_replace_each_other_with_force(
    mnist: Path, tmp_path: Path
) -> None:
    data, how = mnist_data(mnist, train=3, val=0, test=2), PrepareOptions(workers=1)
    names = []
    for on_the_fly in (False, True, False):
        asked = replace(data, on_the_fly=on_the_fly)
        if names:
            with pytest.raises(Refused, match="on_the_fly: "):
                prepare(asked, tmp_path, Silent(), how)
        prepare(asked, tmp_path, Silent(), how, force=True)
        verify(tmp_path, Silent())
        names.append({path.name for path in tmp_path.glob("train*")})
    assert names[1] == {"train.digits.npy"}
    assert names[0] == names[2]
    assert names[1].isdisjoint(names[0])


def test_damaged_digits_are_found_by_verify_and_by_the_reader(
    mnist: Path, tmp_path: Path
) -> None:
    data = mnist_data(mnist, train=3, val=0, test=2, on_the_fly=True)
    prepare(data, tmp_path, Silent(), PrepareOptions(workers=1))
    path = tmp_path / "train.digits.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadData, match=r"train\.digits\.npy has changed"):
        verify(tmp_path, Silent())
    with pytest.raises(BadData, match=r"train\.digits\.npy: has changed"):
        open_clips(tmp_path, "train")


def test_digits_outside_the_source_are_not_followed(
    mnist: Path, tmp_path: Path
) -> None:
    source = tmp_path / "raw"
    source.mkdir()
    for file in mnist.iterdir():
        (source / file.name).symlink_to(file)
    with pytest.raises(Refused, match="no train-images-idx3-ubyte"):
        prepare(mnist_data(source), tmp_path / "out", Silent())


def test_without_t10k_digits_are_held_out_with_a_note(tmp_path: Path) -> None:
    source = write_mnist(tmp_path / "raw", train=60, t10k=0)
    progress = Recorder()
    prepare(mnist_data(source, train=2, val=2, test=2), tmp_path / "out", progress)
    assert "no t10k file" in progress.lines[0]
    assert read_manifest(tmp_path / "out").notes == (progress.lines[0],)
    digits = handwritten_digits()
    test = open_clips(tmp_path / "out", "test").read(1)
    wanted = bouncing_clip(digits[50:60], clip_rng(0, "test", 1), 2, 20, 64)
    np.testing.assert_array_equal(test, wanted)


def test_the_official_test_set_is_used(mnist: Path, tmp_path: Path) -> None:
    source = tmp_path / "raw"
    shutil.copytree(mnist, source)
    official = np.random.default_rng(0).integers(0, 256, (20, 40, 64, 64), np.uint8)
    np.save(source / "mnist_test_seq.npy", official)
    data = mnist_data(source, train=2, val=0)
    done = prepare(data, tmp_path / "out", Silent())
    clips = open_clips(tmp_path / "out", "test")
    for i in range(30):
        np.testing.assert_array_equal(clips.read(i)[..., 0], official[:, i])
    assert done.notes == ("test is the official mnist_test_seq.npy",)
    with pytest.raises(Refused, match="holds 40 clips, and test needs 41"):
        prepare(replace(data, test=41), tmp_path / "more", Silent())
    small = replace(data, size=40, test=2)
    assert "not used" in prepare(small, tmp_path / "small", Silent()).notes[0]
    np.save(source / "mnist_test_seq.npy", official.transpose(1, 0, 2, 3))
    with pytest.raises(BadData, match=r"expected uint8 \(20, 10000, 64, 64\)"):
        prepare(data, tmp_path / "wrong", Silent())


def test_wrong_digits_are_named(tmp_path: Path) -> None:
    digits = handwritten_digits()[:10]
    path = tmp_path / "train-images-idx3-ubyte"
    data = mnist_data(tmp_path)
    with pytest.raises(Refused, match="no train-images-idx3-ubyte"):
        prepare(data, tmp_path / "out", Silent())
    write_idx(path, digits, magic=2049)
    with pytest.raises(BadData, match="holds labels"):
        prepare(data, tmp_path / "out", Silent())
    write_idx(path, digits[:, :14, :14])
    with pytest.raises(BadData, match="digits of 14 x 14 pixels"):
        prepare(data, tmp_path / "out", Silent())
    write_idx(path, digits)
    with pytest.raises(Refused, match="a digit is 28 pixels wide"):
        prepare(replace(data, size=27), tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_the_lower_bound_is_the_entropy_of_the_pixels() -> None:
    video = np.array([[0, 255, 51, 51]], np.uint8)  # 51 is z = 0.2
    entropy = -2 * (0.2 * log(0.2) + 0.8 * log(0.8))
    levels = tuple(level_counts(video).tolist())
    assert lower_bound(levels, 1) == pytest.approx(entropy)
    assert lower_bound(levels, 4) == pytest.approx(entropy / 4)
