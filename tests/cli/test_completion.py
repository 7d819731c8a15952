"""What a Tab gives, as bash asks for it."""

import os
import subprocess
import sys
from typing import get_type_hints

import pytest
from pydantic import TypeAdapter

from svtcli.cli import completion
from svtcli.cli.app import main
from svtcli.recipe.document import Document
from svtcli.recipe.load import apply_override
from svtcli.recipe.schema import SECTIONS
from svtcli.run import directory
from svtcli.run.durable import write_record
from tests.cli.terminal import svt

RUN = "sample:\n  count: 1\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two runs, one of them with checkpoints and samples; clips with two splits.

    A model ships with svt.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(directory, "SHIPPED", tmp_path / "ships")
    (tmp_path / "ships").mkdir()
    (tmp_path / "ships" / "demo.safetensors").write_text("")
    monkeypatch.delenv("SVT_RUNS", raising=False)
    for run in ("alpha", "beta"):
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "recipe.yaml").write_text(RUN)
    for step in (10, 200):
        (tmp_path / "runs/alpha/checkpoints" / str(step)).mkdir(parents=True)
    for made, file in (("200-a", "samples.json"), ("half", "samples.npy")):
        (tmp_path / "runs/alpha/samples" / made).mkdir(parents=True)
        (tmp_path / "runs/alpha/samples" / made / file).write_text("")
    (tmp_path / "clips" / "mine").mkdir(parents=True)
    manifest = tmp_path / "clips" / "mine" / "manifest.json"
    write_record(manifest, {"splits": {"train": {}, "test": {}}})
    (tmp_path / "own.yaml").write_text("")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "inner.yaml").write_text("")
    return tmp_path


def broken(line):
    """Bash's words: it breaks at `=`, `:` and `@`, too."""
    for sign in "=:@":
        line = line.replace(sign, f" {sign} ")
    words = line.split()
    return words if line[-1] not in " " or line[-2:-1] in tuple("=:@") else [*words, ""]


@pytest.fixture
def tab(place, monkeypatch, capsys):
    """`tab(LINE)`: what bash is offered for the last word of LINE."""

    def answer(line, breaks=True):
        words = broken(f"{line}") if breaks else line.split(" ")
        monkeypatch.setenv("COMP_WORDS", "\n".join(words))
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        monkeypatch.setenv("_SVT_COMPLETE", "complete_bash")
        with pytest.raises(SystemExit):
            main([])
        return capsys.readouterr().out.split()

    yield answer
    completion._head = ""


def test_commands_and_their_options(tab):
    assert tab("svt d") == ["doctor"]
    assert tab("svt runs d") == ["diff"]
    assert tab("svt sample --sch") == ["--schedule"]
    assert tab("svt runs list --sort fv") == ["fvd", "fvd-avg"]
    assert tab("svt sample --schedule g") == ["guess"]
    assert tab("svt plan quickstart --device H100") == ["H100-PCIe", "H100-NVL", "H100"]


@pytest.mark.parametrize("command", ["run", "sweep", "train", "recipes show"])
def test_recipes_by_name_and_by_file(tab, command):
    assert tab(f"svt {command} quick") == ["quickstart"]
    assert tab(f"svt {command} ow") == ["own.yaml"]
    assert tab(f"svt {command} deep/") == ["deep/inner.yaml"]
    assert tab(f"svt {command} ./o") == ["./own.yaml"]


def test_runs_and_their_checkpoints(tab):
    assert tab("svt runs show ") == ["alpha", "beta"]
    assert tab("svt runs diff alpha b") == ["beta"]
    assert tab("svt runs rm alpha b") == ["beta"]
    assert tab("svt train quickstart --run a") == ["alpha"]
    assert tab("svt sample al") == ["alpha"]
    assert tab("svt sample d") == ["demo"]
    # Bash puts the answer in place of what stands behind the @.
    assert tab("svt sample alpha@") == ["10", "200"]
    assert tab("svt runs export alpha@2") == ["200"]
    assert tab("svt sample runs/alpha@1") == ["10"]
    assert tab("svt sample alpha@1", breaks=False) == ["alpha@10"]
    assert tab("svt sample nobody@") == []


def test_samples_and_clips(tab):
    made = "runs/alpha/samples/200-a"
    assert tab("svt eval ") == ["alpha", "beta", "demo", made]
    assert tab("svt render runs/") == [made]
    assert tab("svt render m") == ["mine"]
    assert tab("svt render mine:t") == ["train", "test"]
    assert tab("svt render clips/mine:te") == ["test"]
    assert tab("svt sample alpha --data clips/") == ["clips/mine"]
    assert tab("svt sample alpha --data clips/mine:tr") == ["train"]
    assert tab("svt eval alpha --reference clips/mine:") == ["train", "test"]
    assert tab("svt prepare verify ") == ["clips/mine"]


def test_overrides_by_section_key_and_value(tab):
    assert tab("svt train quickstart ") == [
        *("data.", "model.", "train.", "mesh.", "sample.", "eval.", "render.")
    ]
    assert {"train.steps=", "train.batch="} <= set(tab("svt train quickstart train."))
    assert "mesh.shard=" in tab("svt plan quickstart me")
    # What is alone has its values, for bash puts a space behind it.
    assert tab("svt train quickstart train.bat") == ["train.batch=64"]
    assert tab("svt train quickstart train.precision=b") == ["bfloat16"]
    assert tab("svt train quickstart train.precision=") == ["float32", "bfloat16"]
    assert tab("svt train quickstart train.remat=") == ["false", "true"]
    assert tab("svt train quickstart sample.frames=") == ["null"]
    assert tab("svt train quickstart model.blocks=[", breaks=False)[0].startswith(
        "model.blocks=[["
    )
    assert "data.kind=folder" in tab("svt run quickstart data.ki")
    assert tab("svt train quickstart nothing.") == []
    assert tab("svt run quickstart train.batch=8 sample.cou") == ["sample.count=8"]


def test_every_offered_value_is_one_that_its_key_takes():
    for name, section in SECTIONS.items():
        hints = get_type_hints(section, include_extras=True)
        for key, values in completion._sections()[name].items():
            assert values, key
            for value in filter(None, values):  # an empty text is for its user to fill
                document = Document({})
                apply_override(document, f"{name}.{key}={value}")
                TypeAdapter(hints[key]).validate_python(document.value[name][key])


def test_a_broken_manifest_is_no_traceback(tab, place):
    (place / "clips" / "mine" / "manifest.json").write_text("{")
    assert tab("svt render clips/mine:") == []


def test_answers_need_neither_jax_nor_numpy(place):
    """In a process of its own, where nothing is loaded yet."""
    code = (
        "import atexit, sys; from svtcli.cli.app import main; "
        "atexit.register(lambda: print(sorted({'jax', 'numpy', 'flax'} & "
        "set(sys.modules)), file=sys.stderr)); main()"
    )
    for words in ("sample alpha@", "train quickstart train.ba"):
        line = ["svt", *words.split()]
        asked = {"COMP_WORDS": "\n".join(line), "COMP_CWORD": str(len(line) - 1)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, **asked, "_SVT_COMPLETE": "complete_bash"},
        )
        assert done.stdout.strip(), done.stderr
        assert done.stderr.strip() == "[]"


def test_bash_itself_completes_by_the_script_that_svt_shows(place):
    script = svt(_SVT_COMPLETE="source_bash").out
    (place / "svt").write_text(f'#!/bin/sh\nexec {sys.executable} -m svtcli "$@"\n')
    (place / "svt").chmod(0o755)
    line = "COMP_WORDS=(svt train quickstart train.precision = b); COMP_CWORD=5"
    said = subprocess.run(
        [
            *("bash", "-c"),
            f'{script}\n{line}\n_svt_completion ./svt\necho "${{COMPREPLY[@]}}"',
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{place}:{os.environ['PATH']}"},
    )
    assert said.stdout.split() == ["bfloat16"], said.stderr
