"""Pickled weights: arrays are read, and nothing that a pickle names is run."""

import builtins
import importlib
import os
import pickle
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from svtcli.evaluate import weights
from svtcli.evaluate.weights import read_pickled_arrays
from svtcli.failure import BadData

ARRAYS = {
    "params": {
        "Conv_0": {
            "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
            "bias": np.full(3, -1.5, np.float32),
        }
    },
    "batch_stats": {"a/b": {"mean": np.asfortranarray(np.eye(3, 2, dtype=np.float32))}},
    "scale": np.array(7, np.float32),
    "none": np.zeros((0, 4), np.float32),
}
FLAT = {
    "params/Conv_0/kernel": ARRAYS["params"]["Conv_0"]["kernel"],
    "params/Conv_0/bias": ARRAYS["params"]["Conv_0"]["bias"],
    "batch_stats/a/b/mean": ARRAYS["batch_stats"]["a/b"]["mean"],
    "scale": ARRAYS["scale"],
    "none": ARRAYS["none"],
}


class Calls:
    """Pickled, it is a call of `function` when it is loaded."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple:
        return self.call

    def __call__(self) -> None:
        """What is called by a pickle may itself be the result of a call."""


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A file that must never come to be."""
    return tmp_path / "it-ran.npy"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.ckpt"


def refusal(file: Path, content: bytes) -> str:
    """What is said about a file; one sentence that begins with its path."""
    file.write_bytes(content)
    with pytest.raises(BadData) as caught:
        read_pickled_arrays(file)
    sentence = caught.value.sentence
    assert sentence.startswith(f"{file}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{file}: ")


# --- arrays ------------------------------------------------------------------------


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], array), name


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_are_read_by_their_full_names(file, protocol):
    file.write_bytes(pickle.dumps(ARRAYS, protocol))
    assert_same(read_pickled_arrays(file), FLAT)


@pytest.mark.parametrize("protocol", [3, 4])
def test_numpy_1_and_2_write_two_names_of_one_function(file, protocol):
    new = pickle.dumps({"w": FLAT["params/Conv_0/kernel"]}, protocol)
    assert b"numpy._core.multiarray" in new
    if protocol == 3:
        old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    else:  # text with its length before it, in a frame with its length before it
        old = new.replace(b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray")
        (length,) = struct.unpack("<Q", new[3:11])
        old = old[:3] + struct.pack("<Q", length - 1) + old[11:]
    file.write_bytes(old)
    assert_same(read_pickled_arrays(file), {"w": FLAT["params/Conv_0/kernel"]})


@pytest.mark.parametrize(
    ("protocol", "named"),
    [(2, "_codecs.encode"), (5, "numpy._core.numeric._frombuffer")],
)
def test_protocols_that_need_more_names_are_refused_with_a_way_out(
    file, protocol, named
):
    said = refusal(file, pickle.dumps(ARRAYS, protocol))
    assert said == f"asks for {named}: weights hold nothing but arrays"
    with pytest.raises(BadData) as caught:
        read_pickled_arrays(file)
    assert "safetensors or with pickle's protocol 4" in caught.value.hint


@pytest.mark.parametrize(
    ("dtype", "named"),
    [("f8", "'<f8'"), ("i4", "'<i4'"), (">f4", "'>f4'"), ("f2", "'<f2'")],
)
def test_other_kinds_of_numbers_are_refused(file, dtype, named):
    said = refusal(file, pickle.dumps({"a": {"w": np.ones(2, dtype)}}, 4))
    assert said == f"a/w holds {named}, not float32"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([np.ones(2, np.float32)], "it is list, not float32 arrays by name"),
        ({"a": {"b": 3}}, "a/b is int, not float32 arrays by name"),
        ({1: np.ones(2, np.float32)}, "it is dict, not float32 arrays by name"),
        (None, "it is NoneType, not float32 arrays by name"),
        ({"w": np.array([None])}, "w holds '|O8', not float32"),
        ({"w": np.dtype("f4")}, "w is _Kind, not float32 arrays by name"),
        (
            {"a/b": np.ones(1, np.float32), "a": {"b": np.ones(1, np.float32)}},
            "has two arrays of the name a/b",
        ),
    ],
)
def test_anything_but_arrays_by_name_is_refused(file, value, said):
    assert refusal(file, pickle.dumps(value, 4)) == said


def test_a_single_array_has_no_name(file):
    file.write_bytes(pickle.dumps(np.ones(2, np.float32), 4))
    assert_same(read_pickled_arrays(file), {"": np.ones(2, np.float32)})


def test_dicts_within_themselves_are_refused(file):
    endless: dict = {}
    endless["a"] = endless
    assert "not a pickle of arrays" in refusal(file, pickle.dumps(endless, 4))


def test_a_file_cut_anywhere_is_refused(file):
    whole = pickle.dumps({"w": np.ones((2, 2), np.float32)}, 4)
    for length in range(len(whole)):
        assert "not a pickle of arrays" in refusal(file, whole[:length])


def test_a_file_with_any_byte_wrong_is_read_or_refused(file):
    """Never another end; where the numbers stand any byte is as good."""
    whole = pickle.dumps({"w": np.ones((2, 2), np.float32)}, 4)
    for place in range(len(whole)):
        broken = bytes([*whole[:place], whole[place] ^ 0xFF, *whole[place + 1 :]])
        file.write_bytes(broken)
        try:
            (array,) = read_pickled_arrays(file).values()
        except BadData:
            continue
        assert array.dtype == np.float32


def test_files_that_are_not_pickles_are_refused(file):
    assert "not a pickle of arrays" in refusal(file, b"PK\x03\x04 a zip archive")


def test_a_file_of_impossible_size_is_refused(file):
    said = refusal(file, b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".")
    assert said.startswith("not a pickle of arrays")


def test_an_error_without_words_is_named(file, monkeypatch):
    def load(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr(weights._ArraysOnly, "load", load)
    assert refusal(file, b"") == "not a pickle of arrays (unexpected content)"


def test_a_file_that_cannot_be_opened_is_not_called_bad(file):
    with pytest.raises(FileNotFoundError):
        read_pickled_arrays(file)


# --- programs ----------------------------------------------------------------------


def programs(trap: Path) -> dict[str, object]:
    """Objects whose pickles would make `trap`."""
    made = Calls(os.mkdir, str(trap))
    array = np.ones(2, np.float32)
    return {
        "os.mkdir": made,
        "os.system": Calls(os.system, f"touch {trap}"),
        "a subprocess": Calls(subprocess.check_call, ["touch", str(trap)]),
        "open": Calls(builtins.open, str(trap), "w"),
        "exec": Calls(builtins.exec, f"import os; os.mkdir({str(trap)!r})"),
        "eval": Calls(builtins.eval, f"__import__('os').mkdir({str(trap)!r})"),
        "beside arrays": {"params": {"w": array, "bias": made}},
        "as a name": {made: array},
        "getattr of an import": Calls(
            Calls(getattr, Calls(importlib.import_module, "os"), "mkdir"), str(trap)
        ),
        "in an array of objects": np.array([made], dtype=object),
        "a method of Path": Calls(Path.touch, trap),
        "numpy.save": Calls(np.save, str(trap), array),
        "numpy.memmap": Calls(np.memmap, str(trap), "f4", "w+", 0, (2,)),
        "a method of ndarray": Calls(np.ndarray.tofile, array, str(trap)),
        "in a dtype's place": Calls(np.dtype, made),
        "in a shape's place": Calls(np.ndarray, made),
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_write_a_file_writes_none(file, trap, protocol):
    for way, program in programs(trap).items():
        content = pickle.dumps(program, protocol)
        assert "asks for " in refusal(file, content), way
        assert not trap.exists(), way


@pytest.mark.parametrize("way", programs(Path()))
def test_an_ordinary_unpickler_does_write_the_file(trap, way):
    """So the test above tells something."""
    content = pickle.dumps(programs(trap)[way])
    with suppress(TypeError):  # some make it, then fail
        made = pickle.loads(content)
        if way == "open":
            made.close()
    assert trap.exists()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def test_no_other_way_to_a_name_works(file, trap):
    """Opcodes that Python does not write, or not any more."""
    command = text(f"touch {trap}")
    ways = {
        "INST": b"(" + command + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + command + b"o.",
        "a dotted name": b"\x80\x04"
        + text("numpy")
        + text("ndarray.tofile")
        + b"\x93.",
        "a name behind an allowed one": b"\x80\x04cnumpy\nndarray.__class__\n.",
        "numpy.load": b"cnumpy\nload\n.",
        "numpy.f2py": b"cnumpy.f2py.crackfortran\nmyeval\n" + command + b"\x85R.",
        "a persistent name": b"Pos.system\n.",
        "an extension": b"\x80\x02\x82\x01.",
    }
    for way, content in ways.items():
        said = refusal(file, content)
        assert said.startswith(("asks for", "not a pickle of arrays")), way
        assert not trap.exists()


def test_names_from_a_file_are_shown_without_control_characters(file):
    said = refusal(file, b"c\x1b[2Jos\nsys\rtem\n.")
    assert said == "asks for  [2Jos.sys tem: weights hold nothing but arrays"
    long = refusal(file, b"c" + b"o" * 999 + b"\nsystem\n.")
    assert len(long) < 250


REBUILT = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize("named", [REBUILT, b"cnumpy\ndtype\n", b"cnumpy\nndarray\n"])
def test_the_names_that_are_known_cannot_be_changed(file, named):
    """A pickle may set attributes of what it names; the next file is read as ever."""
    for state in (b"}" + text("kind") + text("f4") + b"s", b"N"):
        refusal(file, b"\x80\x03" + named + state + b"b.")
        refusal(file, b"\x80\x03" + named + b"N" + state + b"\x86b.")
    test_arrays_are_read_by_their_full_names(file, 4)


def test_arrays_are_not_made_but_by_their_parts(file):
    """Calling the class gives what was in the memory before."""
    said = refusal(file, b"\x80\x03cnumpy\nndarray\n(K\x04tR.")
    assert said.startswith("not a pickle of arrays")


def test_an_array_that_lies_about_its_bytes_is_not_believed(file):
    """NumPy itself takes these eight for the address of an object, and goes there.

    A dtype of objects is told that it holds none, an array of it is filled with bytes,
    and then asked for its element: with NumPy's own names, a crash at best.
    """
    whole = b"J" + struct.pack("<i", -1)
    zero, one, three = (b"J" + struct.pack("<i", value) for value in (0, 1, 3))
    flags = b"(" + three + text("|") + b"NNN" + whole + whole + zero + b"tb"
    objects = b"cnumpy\ndtype\n(" + text("O8") + b"\x89\x88tR" + flags
    address = b"C\x08" + b"A" * 8
    empty = REBUILT + b"(cnumpy\nndarray\n(" + zero + b"tC\x01btR"
    array = empty + b"(" + one + b"(" + one + b"t" + objects + b"\x89" + address + b"tb"
    assert refusal(file, b"\x80\x03" + array + b".") == "it holds '|O8', not float32"
    as_shape = b"\x80\x03cnumpy\nndarray\n(" + array + b"tR."
    assert "not a pickle of arrays" in refusal(file, as_shape)
    as_kind = (
        b"\x80\x03" + empty + b"(" + one + b")" + array + b"\x89" + address + b"tb."
    )
    assert refusal(file, as_kind) == "it is not an array"


def test_a_dict_that_is_named_again_and_again_is_bad_data(file):
    node: dict = {}
    for _ in range(60):  # 2**60 paths in a few hundred bytes
        node = {"a": node, "b": node}
    assert "more than 10,000" in refusal(file, pickle.dumps(node, protocol=4))
