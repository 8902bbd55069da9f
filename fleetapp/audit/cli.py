"""``flask audit verify``, ``flask audit head``, ``flask audit new-key``."""

import os
import secrets
import sys
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from fleetapp.audit import heads, queries
from fleetapp.audit.queries import Fault
from fleetapp.kit import clock, signatures
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import RuleBroken
from fleetapp.web.request import shell
from fleetapp.web.texts import t

group = AppGroup("audit", help="审计日志 / the tamper-evident log")
MOST_NAMED = 100


@group.command("verify")
@click.option("--from", "start", help="第一条的序号或日期 / first entry: its number or a local date (YYYY-MM-DD)")
@click.option("--to", "end", help="最后一条的序号或日期（含） / last entry: its number or a local date, included")
@click.option("--head", "files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="另存的审计链头文件 / file of a published head that was kept elsewhere")  # fmt: skip
def verify(start: str | None, end: str | None, files: tuple[Path, ...]) -> None:
    """Walk the chain or a part of it; name every row that was tampered with. Exit status 1 if there is one."""
    faults: list[Fault] = []
    with shell().database.transaction(SYSTEM) as session:
        first, last = _range(session, start, end)
        for done, found in queries.walk(session, first=first, last=last):
            faults += found
            if last - first >= queries.PIECE:
                click.echo(f"{done} / {last}", err=True)
        keys = signatures.of(shell().settings)
        for path in files:
            try:
                kept = heads.read(path.read_text(encoding="utf-8"), holds=partial(signatures.holds, keys))
            except RuleBroken as error:
                raise click.ClickException(f"{path}: {_both(error.code)}") from error
            faults += heads.compare(session, kept)
    for fault in faults[:MOST_NAMED]:
        click.echo(_both(f"audit.fault.{fault.fault}", seq=fault.seq, was=fault.was))
    if len(faults) > MOST_NAMED:
        click.echo(_both("audit.more_faults", n=len(faults) - MOST_NAMED))
    if faults:
        sys.exit(1)
    click.echo(f"audit chain whole: {max(0, last - first + 1)} entries / 审计链完整：{max(0, last - first + 1)} 条")


def _range(session: Session, start: str | None, end: str | None) -> tuple[int, int]:
    """Return the numbers of the first and last entry asked for; a date stands for its first or last entry."""
    first, last = 1, queries.end_of(session)
    if start and start.isdecimal():
        first = int(start)
    elif start:
        first = _of_days(session, _day(start), None)[0] or last + 1
    if end and end.isdecimal():
        last = int(end)
    elif end:
        last = _of_days(session, None, _day(end))[1]
    return first, last


def _of_days(session: Session, start: date | None, end: date | None) -> tuple[int, int]:
    return queries.range_of(
        session,
        start=clock.start_of(start) if start else None,
        end=clock.start_of(end + timedelta(days=1)) if end else None,
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text}: 应为序号或日期 2026-11-18 / a number or a date like 2026-11-18") from error


def _both(code: str, **params: object) -> str:
    return f"{t(code, lang='zh', **params)} / {t(code, lang='en', **params)}"


@group.command("head")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="本地日期，缺省为今天 / local date, today by default")
def head(day: datetime | None) -> None:
    """Write the published head of a day to standard output; today's is published if it is not yet."""
    now = clock.now()
    on = day.date() if day else clock.local_date(now)
    keys = signatures.of(shell().settings)
    with shell().database.transaction(SYSTEM) as session:
        if on == clock.local_date(now):
            heads.publish(session, day=on, sign=partial(signatures.sign, keys), actor=SYSTEM, now=now)
        click.echo(queries.get_published(session, day=on).document, nl=False)


@group.command("new-key")
def new_key() -> None:
    """Put a new key into use for evidence and audit heads; what was signed before can still be checked."""
    if not (name := shell().settings.evidence_keys_file):
        raise click.ClickException(
            "请先设置 FLEET_EVIDENCE_KEYS_FILE / set FLEET_EVIDENCE_KEYS_FILE first: the file that is to hold the key"
        )
    path = Path(name)
    old = signatures.read(path.read_text(encoding="utf-8")) if path.exists() else None
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(signatures.renewed(old, secrets.token_bytes(32), clock.now()))
    draft.replace(path)
    click.echo(signatures.key_id(signatures.read(path.read_text(encoding="utf-8")).public[-1][0]))
