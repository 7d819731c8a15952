"""The rules of the house: imports point downward, files stay small."""

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]


def test_the_import_contracts_are_kept():
    said = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=TOP,
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize("folder", ["svtcli", "tests", "benchmarks"])
def test_no_file_is_longer_than_400_lines(folder):
    lengths = {
        str(path.relative_to(TOP)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (TOP / folder).rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_the_readme_has_two_set_up_commands_and_ci_can_find_its_tests():
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    commands = [line for line in readme.splitlines() if "pip install" in line]
    assert len(commands) == 2
    assert all(line.startswith("python3 -m venv ") for line in commands)
    for shown in ("svt sample demo", "svt run quickstart"):
        assert f"\n{shown} " in readme
    assert commands[1].endswith(" && pytest -n 2")
