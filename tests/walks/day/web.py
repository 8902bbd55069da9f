"""The web server's entry on the clock of ``DAY_CLOCK``; everything else is as in operation."""

import os
from pathlib import Path

from fleetapp.kit import clock
from tests.walks.day.clock import Clock

clock.now = Clock(Path(os.environ["DAY_CLOCK"])).now

from wsgi import app  # noqa: E402 -- the application is made by the clock that stands above

__all__ = ["app"]
