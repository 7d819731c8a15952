"""docs/reference/ is what the commands and the recipe's dataclasses say."""

from pathlib import Path
from runpy import run_path

import pytest

FOLDER = Path(__file__).parents[1] / "docs/reference"
PAGES = run_path(str(FOLDER / "generate.py"))["pages"]()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name):
    current = (FOLDER / name).read_text(encoding="utf-8") == PAGES[name]
    assert current, "run: python docs/reference/generate.py"
