"""Trainings here are mostly of one recipe: its step is compiled once."""

import pytest


@pytest.fixture(autouse=True)
def _one_compilation(kept_programs: None) -> None: ...
