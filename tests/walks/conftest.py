"""The real programs on one database for the tests of a module."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import serving
from tests.serving import base, city, logs, url

__all__ = ["base", "city", "logs", "url"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let nothing leave this machine."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


@pytest.fixture
def calls(base: str) -> Callable[[str], serving.Caller]:
    """Return the API in somebody's name."""
    return lambda username: serving.Caller(base, username)


@pytest.fixture
def visits(base: str) -> Callable[[str], serving.Visitor]:
    """Return a browser signed in through the form."""
    return lambda username: serving.Visitor(base, username)
