"""The condition of every terminal: one statement over at most eight summary rows a terminal, then the week of those on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, or_, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.policies import queries as policies
from fleetapp.tracking import bridge, condition
from fleetapp.tracking.condition import SIM_FAULTS, Fault, Gap
from fleetapp.tracking.models import TerminalSim
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import VehicleState

SORTS = ("plate", "last_seen", "week", "clock", "unfixed", "sim")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Policy figures in force."""

    offline_after: timedelta
    clock: timedelta
    sim_days: int


@dataclass(frozen=True, slots=True)
class Week:
    """The last seven days of a terminal to the quarter of an hour; ``heard`` has one "0" or "1" for each."""

    heard: str
    start: datetime
    gaps: list[Gap]
    longest_day: timedelta
    longest_week: timedelta


@dataclass(frozen=True, slots=True)
class Health:
    """A terminal and what is wrong with it; ``row`` has the columns of ``listed``.

    ``sim_left`` is how many days after today its SIM card holds, below 0 when it has ended, None when none is entered.
    """

    row: Any
    online: bool
    since: datetime | None
    faults: tuple[Fault, ...]
    alarms: list[str]
    clock_behind: timedelta | None
    unfixed_share: float | None
    satellites: float | None
    sim_left: int | None
    week: Week


def bounds(session: Session, *, now: datetime) -> Bounds:
    """Return from when on a terminal is offline, its clock wrong and its SIM card about to end."""
    figures = policies.values(session, "tracking.", clock.local_date(now))
    return Bounds(
        offline_after=timedelta(minutes=float(figures["tracking.offline_min"])),
        clock=timedelta(seconds=float(figures["tracking.clock_s"])),
        sim_days=int(figures["tracking.sim_days"]),
    )


def listed(
    actor: Actor,
    *,
    limits: Bounds,
    now: datetime,
    fault: str = "",
    q: str = "",
    sort: str = "",
    terminal_id: int | None = None,
) -> Select[Any]:
    """Return the terminals of the vehicles whose condition is the actor's business, filtered and sorted.

    Those whose SIM card ends or has ended come the soonest first, unless another order is asked for.
    """
    sums, device = bridge.summed(now=now), bridge.device()
    has_order = exists().where(
        Assignment.vehicle_id == Vehicle.id,
        Assignment.state == AssignmentState.ACTIVE,
        Assignment.during.contains(literal(now)),
    )
    today = clock.local_date(now)
    query = (
        select(
            device, TerminalSim.iccid.label("sim_iccid"), TerminalSim.carrier, TerminalSim.valid_until, TerminalSim.data_mb,
            Vehicle.id.label("vehicle_id"), Vehicle.plate, Organisation.id.label("org_id"), Organisation.path,
            Organisation.name_zh, Organisation.name_en, func.lower(TerminalBinding.during).label("fitted_at"), has_order.label("has_order"),
            *(column for column in sums.c if column.key != "terminal_id"),
        )
        .select_from(TerminalBinding)
        .join(device, device.c.terminal_id == TerminalBinding.terminal_id)
        .join(Vehicle, Vehicle.id == TerminalBinding.vehicle_id)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .outerjoin(TerminalSim, TerminalSim.terminal_id == TerminalBinding.terminal_id)
        .outerjoin(sums, sums.c.terminal_id == TerminalBinding.terminal_id)
        .where(
            TerminalBinding.during.contains(literal(now)), Vehicle.state != VehicleState.RETIRED, within_reach(actor, "tracking.health")
        )
    )  # fmt: skip
    silent = or_(device.c.last_seen_at.is_(None), device.c.last_seen_at < now - limits.offline_after)
    limit_ms = int(limits.clock.total_seconds() * 1000)
    wanted: dict[str, ColumnElement[bool]] = {
        Fault.NEVER: device.c.last_seen_at.is_(None),
        Fault.OFFLINE: silent,
        Fault.OFFLINE_ORDER: and_(silent, has_order),
        Fault.CLOCK: func.abs(sums.c.delay_ms) > limit_ms,
        Fault.ALARM: sums.c.alarms.op("&")(condition.DEVICE_ALARMS) != 0,
        Fault.NO_FIX: and_(sums.c.fixes > 0, sums.c.unfixed * 10 >= sums.c.fixes),
        Fault.SIM_ENDED: TerminalSim.valid_until < today,
        Fault.SIM_ENDING: TerminalSim.valid_until.between(today, today + timedelta(days=limits.sim_days)),
    }
    if fault:
        query = query.where(wanted[fault])
    if q:
        words = f"%{q.upper()}%"
        query = query.where(
            or_(Vehicle.plate.like(words), device.c.phone.like(words), Organisation.name_zh.like(words), func.upper(Organisation.name_en).like(words))
        )  # fmt: skip
    if terminal_id is not None:
        query = query.where(device.c.terminal_id == terminal_id)
    orders: dict[str, ColumnElement[Any]] = {
        "last_seen": device.c.last_seen_at.asc().nulls_first(),
        "week": func.coalesce(sums.c.week_heard, 0).asc(),
        "clock": func.abs(sums.c.delay_ms).desc().nulls_last(),
        "sim": TerminalSim.valid_until.asc().nulls_last(),
        "unfixed": (sums.c.unfixed * 1.0 / func.nullif(sums.c.fixes, 0)).desc().nulls_last(),
    }
    if fault in SIM_FAULTS and sort in {"", "plate"}:
        sort = "sim"
    first = [orders[sort]] if sort in orders else []
    return query.order_by(*first, Vehicle.plate, device.c.terminal_id)


def described(session: Session, rows: Sequence[Any], *, limits: Bounds, now: datetime) -> list[Health]:
    """Return the condition of terminals from rows of ``listed``."""
    heard = bridge.heard(session, terminal_ids=[row.terminal_id for row in rows], now=now)
    return [_described(row, heard[row.terminal_id], limits, now) for row in rows]


def get(session: Session, *, terminal_id: int, actor: Actor, now: datetime) -> Health:
    """Return one terminal's condition.

    :raises NotFound: in no vehicle within reach.
    """
    limits = bounds(session, now=now)
    row = session.execute(listed(actor, limits=limits, now=now, terminal_id=terminal_id)).first()
    if row is None:
        raise NotFound("kit.not_found")
    return described(session, [row], limits=limits, now=now)[0]


def _described(row: Any, heard: str, limits: Bounds, now: datetime) -> Health:
    online = row.last_seen_at is not None and row.last_seen_at >= now - limits.offline_after
    behind = condition.clock_offset(row.delay_ms)
    share = row.unfixed / row.fixes if row.fixes else None
    sim_left = None if row.valid_until is None else (row.valid_until - clock.local_date(now)).days
    sim = condition.sim_fault(sim_left, warn_days=limits.sim_days)
    found = {
        Fault.NEVER: row.last_seen_at is None,
        Fault.OFFLINE_ORDER: not online and row.has_order,
        Fault.OFFLINE: not online and row.last_seen_at is not None and not row.has_order,
        Fault.CLOCK: behind is not None and abs(behind) > limits.clock,
        Fault.ALARM: bool((row.alarms or 0) & condition.DEVICE_ALARMS),
        Fault.NO_FIX: share is not None and share >= 0.1,
        Fault.SIM_ENDED: sim is Fault.SIM_ENDED,
        Fault.SIM_ENDING: sim is Fault.SIM_ENDING,
    }
    start = condition.week_start(now, len(heard))
    gaps = condition.gaps(heard, start=start, fitted_at=row.fitted_at)
    return Health(
        row=row,
        online=online,
        since=(row.logged_in_at if online else row.last_seen_at),
        faults=tuple(fault for fault, there in found.items() if there),
        alarms=condition.alarms(row.alarms or 0),
        clock_behind=behind,
        unfixed_share=share,
        satellites=row.satellites / row.with_satellites if row.with_satellites else None,
        sim_left=sim_left,
        week=Week(
            heard,
            start,
            gaps,
            condition.longest(gaps, since=now - timedelta(days=1)),
            condition.longest(gaps, since=start),
        ),
    )
