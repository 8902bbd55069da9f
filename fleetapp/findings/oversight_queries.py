"""Reading for oversight: outcomes by rule, samples, proposals, who looked at which track, who was near a place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from geoalchemy2 import Geography
from sqlalchemy import Select, cast, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from fleetapp.accounts.models import Organisation
from fleetapp.audit import queries as audit
from fleetapp.audit.models import AuditEntry
from fleetapp.findings.desk_queries import inside
from fleetapp.findings.models import Finding, FindingCase, SampleItem, SampleRun, Suppression
from fleetapp.findings.workflow import ASIDE, HITS, Share
from fleetapp.kit.actor import Actor
from fleetapp.trips.models import Trip, TripMatch
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy

# ---- outcomes by rule -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What reviews of a rule's clues came to over a period: raised, reviewed by outcome, share borne out, whether flagged."""

    rule: str
    raised: int
    open: int
    outcomes: dict[str, int]
    precision: Share
    flagged: bool


def outcomes_by_rule(
    session: Session, *, actor: Actor, start: datetime, end: datetime, least: float
) -> list[RuleOutcome]:
    """Return the outcomes of clues raised in ``[start, end)`` by rule; flagged where fewer than ``least`` were borne out.

    Precision is (confirmed + referred + procedural) / reviewed; merged, suppressed and withdrawn clues are not counted.
    """
    rows = session.execute(
        select(Finding.rule, FindingCase.outcome, func.count())
        .outerjoin(FindingCase, FindingCase.id == Finding.case_id)
        .join(Organisation, Organisation.id == Finding.org_id)
        .where(
            Finding.detected_at >= start,
            Finding.detected_at < end,
            Finding.state.not_in(ASIDE),
            inside(actor, "findings.desk"),
        )
        .group_by(Finding.rule, FindingCase.outcome)
    ).all()
    found = []
    for rule in sorted({row.rule for row in rows}):
        by = {outcome: int(number) for of, outcome, number in rows if of == rule and outcome is not None}
        raised = sum(int(number) for of, _, number in rows if of == rule)
        still = raised - sum(by.values())
        share = Share(sum(by.get(hit, 0) for hit in HITS), sum(by.values()))
        flagged = share.value is not None and share.value < least
        found.append(RuleOutcome(rule, raised, still, by, share, flagged))
    return found


# ---- samples ----------------------------------------------------------------------------------------------------------


def matched_trips(session: Session, *, start: datetime, end: datetime) -> list[tuple[int, int]]:
    """Return (trip, organisation) of the current trips begun in ``[start, end)`` whose every part is matched, for the draw."""
    parts = select(TripMatch.trip_id).where(TripMatch.superseded_at.is_(None))
    rows = session.execute(
        select(Trip.id, Trip.org_id)
        .join(Vehicle, Vehicle.id == Trip.vehicle_id)
        .where(
            Trip.superseded_at.is_(None), Vehicle.secrecy == Secrecy.NORMAL, Trip.start_at >= start, Trip.start_at < end,
            Trip.id.in_(parts.where(TripMatch.kind == "matched")), Trip.id.not_in(parts.where(TripMatch.kind != "matched")),
        )
        .order_by(Trip.id)
    )  # fmt: skip
    return [(trip_id, org_id) for trip_id, org_id in rows]


def sample_run(session: Session, *, month: date) -> SampleRun | None:
    """Return a month's draw."""
    return session.scalar(select(SampleRun).where(SampleRun.month == month))


def samples(session: Session, *, actor: Actor, month: date | None = None) -> Sequence[SampleItem]:
    """Return the drawn trips within reach, those to review first."""
    query = (
        select(SampleItem)
        .join(SampleRun, SampleRun.id == SampleItem.run_id)
        .join(Organisation, Organisation.id == SampleItem.org_id)
        .where(inside(actor, "findings.sample"))
        .options(
            joinedload(SampleItem.run), joinedload(SampleItem.finding), joinedload(SampleItem.reviewer),
            joinedload(SampleItem.trip).joinedload(Trip.vehicle).joinedload(Vehicle.org),
            joinedload(SampleItem.trip).selectinload(Trip.matches).joinedload(TripMatch.order),
        )
        .order_by(SampleItem.verdict.is_not(None), SampleItem.id)
    )  # fmt: skip
    if month is not None:
        query = query.where(SampleRun.month == month)
    return session.scalars(query).all()


def sample_months(session: Session) -> Sequence[SampleRun]:
    """Return all draws, the newest month first."""
    return session.scalars(select(SampleRun).order_by(SampleRun.month.desc())).all()


# ---- proposals, tracks that were looked at, who was near ----------------------------------------------------------------


def suppressions(actor: Actor) -> Select[Suppression]:
    """Return the proposals within reach, those to decide first."""
    return (
        select(Suppression)
        .join(Organisation, Organisation.id == Suppression.org_id)
        .where(inside(actor, "findings.propose_quiet"))
        .options(joinedload(Suppression.vehicle), joinedload(Suppression.proposer), joinedload(Suppression.decider))
        .order_by(Suppression.state != "PROPOSED", Suppression.id.desc())
    )


LOOKS = (
    "tracking.viewed",
    "tracking.watched",
    "findings.viewed",
    "findings.searched",
    "reports.compliance_exported",
    "reports.case_exported",
    "evidence.packaged",
)
"""What the audit chain calls looking at tracks."""


def looks(
    actor: Actor, *, q: str = "", kind: str = "", start: datetime | None = None, end: datetime | None = None
) -> Select[AuditEntry]:
    """Return who looked at which track and why, newest first; ``q`` is a name or purpose, ``kind`` one of ``LOOKS``."""
    query = audit.visible_to(actor).where(AuditEntry.action.in_([kind] if kind in LOOKS else LOOKS))
    if q:
        purpose = func.coalesce(AuditEntry.data["purpose"].astext, AuditEntry.data["reason"].astext, "")
        query = query.where(
            or_(AuditEntry.actor_name.contains(q, autoescape=True), purpose.contains(q, autoescape=True))
        )
    return audit.filtered(query, start=start, end=end)


@dataclass(frozen=True, slots=True)
class Near:
    """A trip that passed a point: the least distance in metres, and when that was."""

    trip: Trip
    distance_m: float
    at: datetime


def trips_near(
    session: Session,
    *,
    actor: Actor,
    lat: float,
    lon: float,
    radius_m: float,
    start: datetime,
    end: datetime,
    most: int,
) -> list[Trip]:
    """Return the trips within reach that touch ``[start, end)`` and whose whole path passed within a radius; never of restricted vehicles."""
    here = cast(func.ST_SetSRID(func.ST_MakePoint(lon, lat), 4326), Geography)
    # A box in degrees first: it may use the index of geometries; one degree of latitude is 110.6 km or more.
    box = func.ST_Expand(func.ST_SetSRID(func.ST_MakePoint(lon, lat), 4326), radius_m / 90_000)
    found = session.scalars(
        select(Trip)
        .join(Vehicle, Vehicle.id == Trip.vehicle_id)
        .join(Organisation, Organisation.id == Trip.org_id)
        .where(
            Trip.superseded_at.is_(None), Vehicle.secrecy == Secrecy.NORMAL, inside(actor, "findings.search"),
            func.tstzrange(Trip.start_at, Trip.end_at).op("&&")(func.tstzrange(start, end)),
            Trip.path.op("&&")(box), func.ST_DWithin(cast(Trip.path, Geography), here, radius_m),
        )
        .options(joinedload(Trip.vehicle).joinedload(Vehicle.org), selectinload(Trip.matches).joinedload(TripMatch.order))
        .order_by(Trip.start_at, Trip.id)
        .limit(most)
    )  # fmt: skip
    return list(found)


def plates_of(session: Session, entries: Sequence[AuditEntry]) -> dict[int, str]:
    """Return the plate that each entry is about, by ``seq``: of its vehicle, trip or case, or as the entry itself says."""
    wanted: dict[str, set[int]] = {"vehicle": set(), "trip": set()}
    for entry in entries:
        if entry.subject_type in wanted and entry.subject_id:
            wanted[entry.subject_type].add(int(entry.subject_id))
    cars = dict(session.execute(select(Vehicle.id, Vehicle.plate).where(Vehicle.id.in_(wanted["vehicle"]))).all())
    of_trip = dict(
        session.execute(
            select(Trip.id, Vehicle.plate)
            .join(Vehicle, Vehicle.id == Trip.vehicle_id)
            .where(Trip.id.in_(wanted["trip"]))
        ).all()
    )
    found: dict[int, str] = {}
    for entry in entries:
        said = entry.data.get("plate") or "、".join(entry.data.get("plates", [])[:6])
        by = {"vehicle": cars, "trip": of_trip}.get(entry.subject_type or "", {})
        found[entry.seq] = said or by.get(
            int(entry.subject_id or 0) if str(entry.subject_id or "").isdigit() else 0, ""
        )
    return found
