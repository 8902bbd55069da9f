"""The web server's entry."""

from fleetapp.factory import create_app

app = create_app()
