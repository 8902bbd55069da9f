"""How the application calls others over HTTP: certificates are verified, and no redirect takes a secret elsewhere."""

import urllib.request
from typing import Any


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any) -> None:
        """Follow nothing: secrets go to the configured host alone."""


OPENER = urllib.request.build_opener(_NoRedirect)
"""A redirect is an answer like any other refusal: ``HTTPError`` with its 3xx."""
