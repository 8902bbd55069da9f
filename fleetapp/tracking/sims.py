"""The SIM cards of terminals: entering one, and telling fleet managers before cards end."""

from collections import Counter
from datetime import date, datetime, timedelta

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound
from fleetapp.notices import service as notices
from fleetapp.policies import queries as policies
from fleetapp.tracking import health, rules
from fleetapp.tracking.models import TerminalSim
from fleetapp.tracking.rules import Carrier
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import VehicleState

ENTERED = ("iccid", "carrier", "valid_until", "data_mb")


def get(session: Session, *, terminal_id: int, actor: Actor, now: datetime) -> TerminalSim:
    """Return a terminal's SIM card.

    :raises NotFound: the terminal is in no vehicle within reach, or no card is entered.
    """
    health.get(session, terminal_id=terminal_id, actor=actor, now=now)
    card = session.get(TerminalSim, terminal_id)
    if card is None:
        raise NotFound("kit.not_found")
    return card


def enter(
    session: Session,
    *,
    terminal_id: int,
    iccid: str,
    carrier: Carrier,
    valid_until: date,
    data_mb: int | None,
    actor: Actor,
    now: datetime,
) -> TerminalSim:
    """Enter a terminal's SIM card, or another in its place; ``valid_until`` is its last day, ``data_mb`` its data a month.

    :raises NotFound: in no vehicle within reach.
    :raises NotAllowed: not who looks after its terminals.
    :raises RuleBroken: no such card number, or no such day.
    :raises Conflict: the card is entered for another terminal (``tracking.sim_elsewhere``).
    """
    permits.require("tracking.sim", actor)
    one = health.get(session, terminal_id=terminal_id, actor=actor, now=now)
    permits.require("tracking.sim", actor, org_path=one.row.path)
    after = {
        "iccid": rules.iccid(iccid), "carrier": carrier, "valid_until": rules.sim_until(valid_until, today=clock.local_date(now)),
        "data_mb": data_mb,
    }  # fmt: skip
    card = session.get(TerminalSim, terminal_id)
    before = {name: getattr(card, name) for name in ENTERED} if card else None
    if card is None:
        card = TerminalSim(terminal_id=terminal_id)
        session.add(card)
    for name, value in (after | {"entered_at": now, "entered_by": actor.user_id}).items():
        setattr(card, name, value)
    session.flush()
    audit.record(session, actor=actor, now=now, action="tracking.sim_entered", subject_type="gps_terminal", subject_id=terminal_id,
                 org_id=one.row.org_id, before=before, after=after)  # fmt: skip
    return card


def remind(session: Session, *, now: datetime) -> int:
    """Tell each fleet manager of the cards that end within the policy's days; returns how many notices that makes.

    Cards are bought together: those that end on one day are one matter, told once.
    """
    today = clock.local_date(now)
    warn = int(policies.values(session, "tracking.", today)["tracking.sim_days"])
    rows = session.execute(
        select(Organisation.path, TerminalSim.valid_until, func.count())
        .select_from(TerminalSim)
        .join(TerminalBinding, TerminalBinding.terminal_id == TerminalSim.terminal_id)
        .join(Vehicle, Vehicle.id == TerminalBinding.vehicle_id)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .where(
            TerminalBinding.during.contains(literal(now)), Vehicle.state != VehicleState.RETIRED,
            TerminalSim.valid_until.between(today, today + timedelta(days=warn)),
        )
        .group_by(Organisation.path, TerminalSim.valid_until)
    ).all()  # fmt: skip
    ends: Counter[tuple[int, date]] = Counter()
    for path, until, count in rows:
        for user_id in accounts.holders(session, role=Role.FLEET_MANAGER, org_path=path):
            ends[user_id, until] += count
    for (user_id, until), count in sorted(ends.items()):
        notices.notify(
            session, to=[user_id], code="tracking.notice.sim_ending", params={"n": str(count), "on": until.isoformat()},
            link="/terminals/health?fault=sim_ending", key=f"sim-{until.isoformat()}", now=now,
        )  # fmt: skip
    return len(ends)
