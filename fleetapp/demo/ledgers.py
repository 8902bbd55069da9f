"""Ledgers that units of the demo have sent in: one committed, one that waits, one with faults."""

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from fleetapp.demo import people
from fleetapp.demo.city import City
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.ledgers import queries, service, writing
from fleetapp.ledgers.rules import LedgerKind
from fleetapp.web.texts import t_or

COLOURS = ("黑", "白", "银灰", "深蓝")
MOST_ROWS = 40
Rows = list[dict[str, Any]]


def words(key: str, lang: str) -> str:
    """Return the words of a key in a language."""
    return t_or(key, "", lang=lang)


def send_in(database: Database, city: City, *, now: datetime) -> int:
    """Have three units send their ledgers in and the scheduler check them; one is committed. Returns how many."""
    with database.transaction(SYSTEM) as session:
        everybody = people.everybody(session)
    managers = [everybody[account.username] for account in city.accounts if account.role == "fleet_manager"]
    stories = (("年初台账核对", _painted, True), ("三季度台账更新", _priced, False), ("补录车辆信息", _mistyped, False))
    done = 0
    for number, (name, fill, commit) in enumerate(stories):
        actor, at = managers[number % len(managers)], now - timedelta(days=9 - 4 * number)
        done += _send(database, actor, name, fill, commit=commit, at=at)
    return done


def _send(
    database: Database, actor: Actor, name: str, fill: Callable[[Rows], None], *, commit: bool, at: datetime
) -> bool:
    kind, file = LedgerKind.VEHICLES, io.BytesIO()
    with database.transaction(actor) as session:
        org = queries.scope_org(session, actor=actor, org_id=None)
        rows = [dict(row) for row in service.gather(session, kind=kind, org=org, actor=actor, now=at).rows[:MOST_ROWS]]
        if not rows:
            return False
        fill(rows)
        head = writing.Head(kind, org.name_zh, clock.local_date(at).isoformat(), actor.name)
        writing.write(head, rows, [], file, words=words, lang="zh")
        one = service.upload(session, kind=kind, name=f"{org.name_zh}_{name}.xlsx", content=file.getvalue(), words=words, most_rows=MOST_ROWS, actor=actor,
                             now=at).id  # fmt: skip
    service.work(database, words=words, most_rows=MOST_ROWS, now=at + timedelta(seconds=3))
    if commit:
        with database.transaction(actor) as session:
            service.confirm(session, import_id=one, actor=actor, now=at + timedelta(minutes=6))
        service.work(database, words=words, most_rows=MOST_ROWS, now=at + timedelta(minutes=6, seconds=4))
    return True


def _painted(rows: Rows) -> None:
    """Fill in colours."""
    for number, row in enumerate(rows):
        row["colour"] = COLOURS[number % len(COLOURS)]


def _priced(rows: Rows) -> None:
    """Fill in how some vehicles came, and where their engines are numbered."""
    for number, row in enumerate(rows[:12]):
        row["engine_no"] = f"E{20260000 + number}"


def _mistyped(rows: Rows) -> None:
    """Make mistakes that people make: two figures of a VIN changed round, too many seats, a plate twice, a price over the cap."""
    vin = rows[0]["vin"]
    rows[0]["vin"] = (
        f"{vin[:9]}{vin[10]}{vin[9]}{vin[11:]}" if vin[9] != vin[10] else f"{vin[:-1]}{'1' if vin[-1] == '0' else '0'}"
    )
    if len(rows) > 4:
        rows[1]["seats"] = 18
        rows[2]["plate"] = rows[3]["plate"]
        rows[4]["price_ex_tax"] = 399_999.99
