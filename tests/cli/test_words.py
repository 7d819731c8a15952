"""Messages about wrong values and damaged files have no words of Python."""

import itertools
import re
import shutil

import pytest

from svtcli.failure import BadData, in_words
from tests.cli.terminal import svt_here

PYTHON = re.compile(
    r"\b(None|True|False|dict|tuple|str|int|bool|float|NoneType)\b|[a-z](Error|Path)\b"
    r"|Errno|<class |__|Traceback|unexpected error|object at"
)
KEYS = ("about", "data", "data.kind", "data.size", "model.s", "model.blocks", "train",
        "train.optimizer", "train.validate_every", "sample.frames", "eval.also",
        "render.formats", "base")  # fmt: skip
VALUES = ("null", "true", "[]", "{}", "x", "-1", ".nan", "[null]", "{null: 1}", "[[1]]")
DAMAGES = {"empty": b"", "junk": b"\xff\xfe\x00", "null": b"null", "list": b"[1]\n",
           "object": b"{}\n", "other": b'{"format": 1, "run": null}\n'}  # fmt: skip
LINES = ("runs show mine", "run mine.yaml -n", "sample mine -n", "eval mine -n",
         "render clips/mine -n", "prepare verify clips/mine")  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_wrong_value_of_a_recipe(tmp_path, monkeypatch, capfd, key):
    monkeypatch.chdir(tmp_path)
    for value in VALUES:
        given = f"{key}={value}"
        said = svt_here(capfd, "recipes", "check", "quickstart", given)
        assert said.code in (0, 2, 3)
        assert not PYTHON.search(said.err), said.err


@pytest.mark.parametrize(
    ("file", "damages"),
    [
        ("runs/mine/run.json", ("null", "object")),
        ("clips/mine/manifest.json", ("junk", "other")),
        pytest.param("*", tuple(DAMAGES), marks=pytest.mark.slow),
    ],
)
def test_a_damaged_file(place, capfd, file, damages):
    named = [path for path in place.rglob(file) if path.is_file()]
    files = named or [place / file]
    for path, damage in itertools.product(files, damages):
        aside = shutil.copy(path, place / "aside")
        path.write_bytes(DAMAGES[damage])
        for line in LINES:
            said = svt_here(capfd, *line.split())
            shown = f"{path}, {damage}, {line}: {said}"
            assert said.code in (0, 2, 3, 65, 74), shown
            assert not PYTHON.search(said.err), shown
        shutil.move(aside, path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "a.npy"), "No space left on device"),
        (KeyError("seed"), "seed is missing"),
        (KeyError(("a", 1)), "unexpected content"),
        (TypeError("'NoneType' object is not iterable"), "unexpected content"),
        (ValueError("Cannot load when allow_pickle=False"), "unexpected content"),
        (ValueError("invalid literal for int() with base 10"), "unexpected content"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "not UTF-8 text"),
        (EOFError(), "unexpected content"),
        (ValueError("Expecting value: line 1\nmore"), "Expecting value: line 1"),
        (BadData("a.npy: damaged", "get it again"), "a.npy: damaged"),
    ],
)
def test_a_caught_error_in_words(error, words):
    assert in_words(error) == words
