"""``flask audit verify``."""

import sys

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import text

from fleetapp.audit import queries
from fleetapp.kit.actor import SYSTEM

group = AppGroup("audit", help="The tamper-evident log.")

WORDS = {
    "altered": "entry {seq} was altered / 第 {seq} 条被篡改",
    "missing": "entries just before {seq} are missing / 第 {seq} 条之前有记录被删除",
    "tail": "entries at the end are missing: the chain should end at {seq} / 末尾有记录被删除，应止于第 {seq} 条",
}


@group.command("verify")
def verify() -> None:
    """Walk the chain; name every row that was tampered with. Exit status 1 if there is one."""
    with current_app.extensions["fleet"].database.transaction(SYSTEM) as session:
        faults = queries.verify(session)
        count = session.scalar(text("SELECT count(*) FROM audit_entry"))
    for fault in faults:
        click.echo(WORDS[fault.fault].format(seq=fault.seq))
    if faults:
        sys.exit(1)
    click.echo(f"audit chain whole: {count} entries / 审计链完整：{count} 条")
