"""The web server's entry."""

from fleetapp.factory import create_app
from fleetapp.kit import logs

logs.configure()
app = create_app()
