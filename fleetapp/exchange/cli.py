"""``flask exchange dry-run``: what would be sent now, against the forms; ``mapping`` checks a platform's file of names."""

import sys
from pathlib import Path

import click
from flask import current_app
from flask.cli import AppGroup

from fleetapp.exchange import mapping, trial
from fleetapp.exchange.interfaces import BY_CODE, SENT
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM

group = AppGroup("exchange", help="Upward exchange.")


@group.command("dry-run")
@click.option("--interface", "code", type=click.Choice([one.code for one in SENT]), help="This one only.")
def dry_run(code: str | None) -> None:
    """Check every record against its form and print what is wrong; sends and writes nothing. Exit status 1 if anything is."""
    wrong = False
    for interface in [BY_CODE[code]] if code else SENT:
        with current_app.extensions["fleet"].database.transaction(SYSTEM) as session:
            found = trial.dry_run(session, interface)
            blocked = not found.completeness.enough(trial.least_share(session, now=clock.now()))
        wrong |= blocked or found.valid < found.records
        click.echo(f"{interface.code}: {found.valid}/{found.records} valid, {found.completeness.percent:.1f}% filled"
                   f"{', BLOCKED' if blocked else ''}{', more not looked at' if found.cut else ''}")  # fmt: skip
        for (field, rule), count in found.by_fault.most_common():
            click.echo(f"  {field or '-'} {rule}: {count}")
    sys.exit(1 if wrong else 0)


@group.command("mapping")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check_mapping(path: Path) -> None:
    """Check a mapping file and say what it is for."""
    try:
        click.echo(mapping.load(path).name)
    except mapping.MappingError as error:
        raise click.ClickException(str(error)) from error
