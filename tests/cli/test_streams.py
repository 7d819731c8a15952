"""Standard streams that are closed, full, or that nobody reads any more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SVT = f"{sys.executable} -m svtcli"
CLOSED = """
import os
from svtcli.cli.streams import protect_streams
for number in range(3):
    os.close(number)
protect_streams()
with open("file") as file:
    assert file.fileno() > 2
os.system("echo heard >&2")
os.write(2, b"lost")
"""


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("bash", "-o", "pipefail", "-c", command),
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize(
    ("command", "code", "stdout", "stderr"),
    [
        ("recipes show nobody 2>&-", 2, "", ""),
        ("recipes show nobody 2>/dev/full", 2, "", ""),
        ("recipes list <&- >&- 2>&-", 0, "", ""),
        (
            "recipes list >/dev/full",
            74,
            "",
            "svt: error: stdout: No space left on device\n",
        ),
        ("recipes show nobody 2>&1 >&- | true", 2, "", ""),
    ],
)
def test_a_stream_that_is_gone_is_no_crash(
    command: str, code: int, stdout: str, stderr: str, tmp_path: Path
) -> None:
    said = shell(f"{SVT} {command}", tmp_path)
    assert said.returncode == code
    assert said.stdout == stdout
    assert said.stderr.startswith(stderr)
    assert "Exception" not in said.stderr


def test_a_reader_that_leaves_ends_the_command_in_silence(tmp_path: Path) -> None:
    said = shell(f"{SVT} recipes show quickstart | true", tmp_path)
    assert (said.returncode, said.stdout, said.stderr) == (1, "", "")


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "closed.py").write_text(CLOSED)
    said = shell(f"{sys.executable} closed.py", tmp_path)
    assert said.returncode == 0
    assert (tmp_path / "file").read_text() == "kept"


def test_names_are_utf8_in_any_locale(tmp_path: Path) -> None:
    (tmp_path / "ré.yaml").write_bytes(b"base: quickstart\n")
    ascii_alone = "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"
    said = shell(f"{ascii_alone} {SVT} --json recipes check ré.yaml", tmp_path)
    assert '"file": "r\\u00e9.yaml"' in said.stdout
    forced = f"{sys.executable} -X utf8=0 -m svtcli"  # as often as it is started anew
    said = shell(f"{ascii_alone} timeout 60 {forced} --version", tmp_path)
    assert said.returncode == 0
