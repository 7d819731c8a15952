import re

import pytest

from svtcli.clips.verify import verify
from svtcli.failure import BadData
from svtcli.run.progress import Silent
from tests.make_clips import MakeClips

LENGTHS = (5, 1, 300, 7, 2)


@pytest.mark.parametrize("ending", ["frames.npy", "offsets.npy", "meta.jsonl"])
def test_verify_finds_a_flipped_bit(make_clips: MakeClips, ending: str) -> None:
    folder = make_clips(LENGTHS)
    assert verify(folder, Silent()) == 5
    path = folder / f"train-00002.{ending}"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    named = ", 1 clip: clip 3" if ending == "frames.npy" else ""
    with pytest.raises(BadData, match=re.escape(path.name) + ".*" + named):
        verify(folder, Silent())


def test_verify_names_a_missing_file(make_clips: MakeClips) -> None:
    folder = make_clips(LENGTHS)
    (folder / "train-00004.meta.jsonl").unlink()
    with pytest.raises(BadData, match=r"train-00004\.meta\.jsonl is missing"):
        verify(folder, Silent())
