import pytest

from tests.findings.steps import clues, derive_and_scan
from tests.trips.conftest import furnished, journey, roads, save, stray

__all__ = ["clue", "furnished", "journey", "roads", "save", "stray"]


@pytest.fixture
def clue(furnished, journey, stray, now):
    """The clue about the drive that nobody ordered."""
    derive_and_scan(furnished, now)
    [found] = [one for one in clues(furnished) if one.rule == "A-01"]
    return found
