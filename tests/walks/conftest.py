"""The real programs on one database for the tests of a module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetapp.kit import clock
from fleetapp.kit.db import Database
from tests import serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let nothing leave this machine."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs' logs."""
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def url(new_database: Callable[[], str]) -> str:
    """Address of the module's database, furnished; every commit on it is real."""
    made = new_database()
    with serving.connected(made) as database:
        serving.furnish(database, clock.now())
    return made


@pytest.fixture(scope="module")
def city(url: str) -> Iterator[Database]:
    """The application's own way into the module's database: for jobs, and for steps in the past."""
    with serving.connected(url) as database:
        yield database


@pytest.fixture(scope="module")
def base(url: str, logs: Path) -> Iterator[str]:
    """Address of the running web server."""
    with serving.web(url, logs) as address:
        yield address


@pytest.fixture
def calls(base: str) -> Callable[[str], serving.Caller]:
    """Return the API in somebody's name."""
    return lambda username: serving.Caller(base, username)


@pytest.fixture
def visits(base: str) -> Callable[[str], serving.Visitor]:
    """Return a browser signed in through the form."""
    return lambda username: serving.Visitor(base, username)
