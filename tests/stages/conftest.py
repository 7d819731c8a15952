import pytest

from tests.training.kept_programs import keep_programs


@pytest.fixture(autouse=True)
def _programs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dozens of trainings here are of one recipe."""
    keep_programs(monkeypatch)
