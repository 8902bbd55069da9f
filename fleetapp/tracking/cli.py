"""``flask tracking verify``."""

import sys
from datetime import date

import click
from flask import current_app
from flask.cli import AppGroup

from fleetapp.kit.actor import SYSTEM
from fleetapp.tracking import bridge, keeping

group = AppGroup("tracking", help="Positions.")

TERMINAL = (
    "{day}: the fixes of terminal {terminal} are not those sealed: {sealed} sealed, {found} found"
    " / {day}：终端 {terminal} 的定位与封存时不一致，封存 {sealed} 点，现有 {found} 点"
)
SEAL = "{day}: the seal is not the one in the audit chain / {day}：封存值与审计链记录不一致"


@group.command("verify")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="One UTC day instead of all that are sealed.")
def verify(day: date | None) -> None:
    """Recompute the digests of sealed days; name every day and terminal that differs. Exit status 1 if there is one."""
    count = wrong = 0
    with current_app.extensions["fleet"].database.transaction(SYSTEM) as session:
        for one in [date(day.year, day.month, day.day)] if day else keeping.sealed_days(session):
            count += 1
            try:
                found = keeping.faults(session, day=one)
            except bridge.ArchiveMissing as error:
                click.echo(str(error))
                wrong += 1
                continue
            wrong += len(found)
            for fault in found:
                words = SEAL if fault.terminal_id is None else TERMINAL
                click.echo(
                    words.format(day=fault.day, terminal=fault.terminal_id, sealed=fault.sealed, found=fault.found)
                )
    if wrong:
        sys.exit(1)
    click.echo(f"positions as sealed: {count} days / 定位与封存一致：{count} 天")
