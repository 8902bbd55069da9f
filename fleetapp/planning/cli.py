"""Key of the codes on dispatch slips."""

import os
import secrets
from pathlib import Path

import click
from flask.cli import AppGroup

from fleetapp.kit import clock
from fleetapp.planning import signing
from fleetapp.web.request import shell

group = AppGroup("slips", help="派车单二维码的密钥 / key of the codes on dispatch slips")


@group.command("new-key")
def new_key() -> None:
    """Put a new key into use; what is on paper can still be checked, what the old key signs from now on cannot."""
    if not (name := shell().settings.slip_keys_file):
        raise click.ClickException(
            "请先设置 FLEET_SLIP_KEYS_FILE / set FLEET_SLIP_KEYS_FILE first: the file that is to hold the key"
        )
    path = Path(name)
    old = signing.read_keys(path.read_text(encoding="utf-8")) if path.exists() else None
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(signing.renewed(old, secrets.token_bytes(32), clock.now()))
    draft.replace(path)
    click.echo(signing.read_keys(path.read_text(encoding="utf-8")).public[-1].key_id)
