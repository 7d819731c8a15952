"""Messages in docs/faq.md are those of the code."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
FAQ = (TOP / "docs/faq.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^\| `([^`]+)` \|", FAQ, re.MULTILINE)
SPLIT_STRING = re.compile(r'"\s*\n\s*f?"')


@pytest.fixture(scope="module")
def modules() -> list[str]:
    """Every module, with its strings on one line."""
    files = (TOP / "svtcli").rglob("*.py")
    return [SPLIT_STRING.sub("", file.read_text(encoding="utf-8")) for file in files]


def test_the_page_has_messages():
    assert len(MESSAGES) > 20


@pytest.mark.parametrize("message", MESSAGES)
def test_one_module_has_all_words_of_a_message(modules, message):
    words = [part for part in message.split("…") if part.strip()]
    assert max(map(len, words)) > 9
    assert any(all(word in module for word in words) for module in modules), words
