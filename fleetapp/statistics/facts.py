"""The facts that cells count: table functions of the database, each asked for a period; their rows belong to one unit each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Date,
    FromClause,
    Integer,
    Numeric,
    String,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Session

from fleetapp.dossier.rules import ATTRIBUTES, Applies
from fleetapp.kit import clock
from fleetapp.policies import queries as policies
from fleetapp.statistics.rules import Period

COMMON = ("org_id", "ref", "label", "on", "note")
"""Columns that every fact has: its unit, what can be opened, what it is called, its day, a remark."""


@dataclass(frozen=True, slots=True)
class Source:
    """A table function: its dimensions (text), its measures (numbers), and the further arguments it takes."""

    name: str
    dims: tuple[str, ...]
    measures: tuple[str, ...]
    more: Callable[[Session, Period, datetime], list[Any]] | None = None


def _figures(*codes: str) -> Callable[[Session, Period, datetime], list[Any]]:
    """Return what reads policy figures as they stand at the end of the period."""

    def read(session: Session, period: Period, now: datetime) -> list[Any]:
        on = min(period.last_on, period.upto(now))
        return [literal(policies.value(session, code, on), Numeric) for code in codes]

    return read


def _idle(session: Session, period: Period, now: datetime) -> list[Any]:
    days, trips, km = _figures("idle.days", "idle.max_trips", "idle.max_km")(session, period, now)
    return [cast(days, Integer), trips, km]


def _factors(session: Session, period: Period, _now: datetime) -> list[Any]:
    """Return the energy figures of the period's year: those that stand on its last day, so that months add up to their year."""
    found = policies.values(session, "energy.", date(period.first.year, 12, 31))
    return [literal({code: str(value) for code, value in found.items()}, JSONB)]


def _file_keys(_session: Session, _period: Period, _now: datetime) -> list[Any]:
    """Return the keys that a file must have, by which vehicles they apply to, as ``stat_file`` names them."""
    keys: dict[Applies, list[str]] = {reach: [] for reach in Applies}
    for one in ATTRIBUTES:
        if one.mandatory:
            kind, _, rest = one.source.partition(".")
            keys[one.applies].append(rest if kind in {"vehicle", "paper", "terminal"} else one.key)
    return [
        cast(bindparam(None, keys[reach], unique=True), ARRAY(Text))
        for reach in (Applies.ALL, Applies.ENGINE, Applies.PLUG)
    ]


_HOURS = ("statistics.duty_from_h", "statistics.duty_to_h")


def _source(
    name: str, dims: str, measures: str, more: Callable[[Session, Period, datetime], list[Any]] | None = None
) -> Source:
    return Source(name, tuple(dims.split()), tuple(measures.split()), more)


SOURCES: Mapping[str, Source] = {one.name: one for one in (
    _source("stock", "category energy nev body displacement price age odometer domestic line",
            "opening purchase renewal acquired acquired_nev transfer_in received transfer_out auction buyback scrap deregister closing"
            " nev_closing platform retained secret sealed idle in_service over_standard asset_value no_asset_card registry", _idle),
    _source("quota", "category", "quota"),
    _source("unit", "kind code adcode", "units"),
    _source("indicator", "category energy state kind fuel_reason",
            "applied approved used expired nev_planned nev_actual budget contract delivered saved approve_days deliver_days exempted"),
    _source("disposal", "category mode buyer receipt registered dealt deregistered",
            "cases years km original appraised price fees remitted remit_days deregister_due deregister_in_time"),
    _source("order", "state kind purpose level held_by",
            "submitted approved fulfilled outsourced lost withdrawn cancelled night rest holiday out_of_city pooled poolable emergency"
            " cross_level cross_area measured on_time late passengers seats passenger_km seat_km km saved_km approve_min dispatch_min"
            " duty_min response_min score rated wanted",
            _figures("A-01.night_start_h", "A-01.night_end_h", "statistics.on_time_min", *_HOURS)),
    _source("drive", "match energy", "km matched_km unmatched_km parts covered_km"),
    _source("use", "category energy", "days available_days used_days repair_days sealed_days average duty_min", _figures(*_HOURS)),
    _source("cost", "kind detail share", "amount"),
    _source("energy", "energy carrier", "litres kwh amount kgce co2_kg fuel_amount charge_amount phev_kwh", _factors),
    _source("incident", "kind liability", "accidents own_fault loss violations fines points overdue"),
    _source("finding", "family severity state",
            "clues serious cleared explained procedural confirmed referred device open due in_time days concluded driving"),
    _source("charge", "kind pair provider", "journeys km amount paid unpaid unpaid_90 hired hired_amount priced"),
    _source("loan", "pair", "loans hours days income"),
    _source("terminal", "", "due joined heard silent fixes valid marked exempt secret"),
    _source("call", "drill", "called went leave_min"),
    _source("file", "", "wanted filled", _file_keys),
    _source("life", "", "spent km"),
    _source("hour", "hour", "busy available", _figures(*_HOURS)),
    _source("typed", "form row column", "value", lambda _session, period, _now: [literal(period.code, Text)]),
)}  # fmt: skip


def rows(session: Session, name: str, period: Period, now: datetime) -> FromClause:
    """Return a source's facts of a period up to now, for a SELECT; those of the units in the transaction's scope only."""
    source = SOURCES[name]
    more = source.more(session, period, now) if source.more else []
    call = getattr(func, f"stat_{name}")(literal(period.first, Date), literal(period.upto(now), Date), *more)
    kinds: dict[str, Any] = {"org_id": BigInteger, "on": Date, **dict.fromkeys(source.measures, Numeric)}
    named = (*COMMON, *source.dims, *source.measures)
    found: FromClause = call.table_valued(*(column(one, kinds.get(one, String)) for one in named), name=name)
    return found


def end_of(period: Period) -> datetime:
    """Return the moment at which a period ends."""
    return clock.start_of(period.until)
