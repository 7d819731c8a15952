from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtcli.failure import Refused
from svtcli.prepare.sources.annotations import (
    Row,
    read_annotations,
    read_table,
    split_in,
)
from tests.prepare.kinetics_files import HEADER, write_list

ID = "-0_bCd-fG_i"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("validate.csv", "val"),
        ("kinetics-600_val.csv", "val"),
        ("kinetics_test.csv", "test"),
        ("videos_train", "train"),
        ("training dog", None),
        ("train_val_list.csv", None),
        ("annotations", None),
    ],
)
def test_a_split_is_found_in_a_name(name: str, split: str | None) -> None:
    assert split_in(name) == split


@pytest.mark.parametrize(
    ("name", "text", "row"),
    [
        ("a.csv", f"{HEADER}|yoga,{ID},10,20,validate", Row(ID, 10, "yoga", "val")),
        ("val.csv", f'{HEADER}|"a, b",{ID},10.0,20.0,', Row(ID, 10, "a, b", "val")),
        (
            "test.csv",
            f"youtube_id,time_start,time_end,split|{ID},7,17,test",
            Row(ID, 7, None, "test"),
        ),
        (
            "x.csv",
            f"{HEADER},is_cc|yoga,{ID},1,11,train,0",
            Row(ID, 1, "yoga", "train"),
        ),
        (
            "train.txt",
            f"label\tyoutube_id\ttime_start|yoga\t{ID}\t3",
            Row(ID, 3, "yoga", "train"),
        ),
        ("train.txt", f"making tea,{ID},3,13,train", Row(ID, 3, "making tea", "train")),
        ("val.txt", f"{ID} 3.5 13.5", Row(ID, 3, None, "val")),
        ("val.txt", f"{ID}\tmaking tea", Row(ID, None, "making tea", "val")),
        ("train.csv", f"{HEADER}|yoga,{ID},,,", Row(ID, None, "yoga", "train")),
    ],
)
def test_every_known_form_is_read(
    tmp_path: Path, name: str, text: str, row: Row
) -> None:
    lines = text.split("|")
    path = write_list(tmp_path / name, lines, header=None)
    assert list(read_table(path)) == [row]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(["", *lines, ""]).encode())
    assert list(read_table(path)) == [row]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train_path.txt", "https://s3.amazonaws.com/kinetics/600/train/part_0.tar.gz"),
        ("readme.txt", "These are videos."),
        ("labels.csv", "id,name\n0,abseiling"),
        ("train.csv", ""),
        ("train.csv", "/data/train/making tea/-0_bCd-fG_i_000010_000020.mp4 0"),
        ("train.csv", "train/making_tea/-0_bCd-fG_i.mp4,0"),
        ("val.txt", "making_tea/-0_bCd-fG_i 300 12"),
        ("val.txt", f"{ID} 0"),
        ("val.txt", f"{ID}.mp4 0"),
        ("val.txt", f"{ID} 300 12"),
        ("val.txt", f"{ID} 12 300"),
        ("val.csv", "path,label\nx/y.mp4,0"),
        ("val.csv", "\ufeff"),
    ],
)
def test_other_files_are_ignored(tmp_path: Path, name: str, text: str) -> None:
    assert list(read_table(write_list(tmp_path / name, [text], header=None))) == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [HEADER, f"yoga,{ID},soon,20,train"],
            "train.txt, line 2: 'soon' is no number of seconds",
        ),
        ([HEADER, f"yoga,{ID},inf,20,train"], "train.txt, line 2: 'inf' is no"),
        ([HEADER, f"yoga,{ID},1,11,train", "yoga,,1,11,train"], "line 3: no id"),
        ([HEADER, "yoga"], "train.txt, line 2: too few columns"),
    ],
)
def test_an_invalid_list_is_refused_with_its_line(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    path = write_list(tmp_path / "train.txt", lines, header=None)
    with pytest.raises(Refused, match=message) as caught:
        list(read_table(path))
    assert "label,youtube_id" in str(caught.value.hint)


def test_numbers_of_classes_are_neither_labels_nor_starts(tmp_path: Path) -> None:
    path = write_list(tmp_path / "train.csv", [f"7,{ID},10,20,train"])
    assert list(read_table(path)) == [Row(ID, 10, None, "train")]
    path = write_list(tmp_path / "train.txt", [f"{ID} yoga 12"], header=None)
    assert list(read_table(path)) == [Row(ID, None, "yoga", "train")]


def test_lists_of_paths_and_unreadable_text_are_named(tmp_path: Path) -> None:
    write_list(tmp_path / "train.csv", ["train/yoga/a.mp4 12"], header=None)
    (tmp_path / "val.csv").write_bytes("label,youtube_id\n".encode("utf-16"))
    write_list(tmp_path / "test.csv", [f"yoga,{ID},10,20,test"])
    write_list(tmp_path / "notes.txt", ["some words"], header=None)
    names = ["notes.txt", "test.csv", "train.csv", "val.csv"]
    lists = read_annotations(tmp_path, names)
    assert lists.files == ("test.csv",)
    assert lists.others == ("train.csv", "val.csv")
    assert lists.notes == (
        "passed over, as they are no lists of clips: train.csv, val.csv",
    )


def test_arbitrary_bytes_give_rows_or_a_clear_refusal(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"

    @given(st.binary(max_size=80), st.booleans())
    def law(content: bytes, header: bool) -> None:
        path.write_bytes((HEADER.encode() + b"\n" if header else b"") + content)
        with suppress(Refused):
            assert all(isinstance(row, Row) for row in read_table(path))

    law()


def test_the_first_list_that_names_a_clip_counts(tmp_path: Path) -> None:
    write_list(tmp_path / "a_train.csv", [f"yoga,{ID},10,20,"])
    write_list(tmp_path / "b_train.csv", [f"yoga,{ID},10,20,", f"x,{ID},10,20,"])
    lists = read_annotations(tmp_path, ["b_train.csv", "a_train.csv"])
    assert list(lists.rows.values()) == [Row(ID, 10, "yoga", "train")]
    assert lists.contradictions == 1
    assert lists.files == ("a_train.csv", "b_train.csv")
