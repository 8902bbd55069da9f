"""Reading of notices, records, requests and what happened."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta

from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.kit.spans import Span
from fleetapp.seals import rules
from fleetapp.seals.models import IS_LIVING, SealCampaign, SealEvent, SealException, SealRecord
from fleetapp.seals.rules import CampaignState, ExceptionState, Proposal, RecordState
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.workdays import queries as workdays

LOOK_AHEAD = timedelta(days=400)


def visible_to(actor: Actor) -> Select[SealCampaign]:
    """Return the notices within reach, and those that vehicles within reach are under; the newest first."""
    mine = select(SealRecord.campaign_id).join(SealRecord.org).where(within_reach(actor, "seals.read"))
    return (
        select(SealCampaign)
        .join(SealCampaign.org)
        .where(or_(within_reach(actor, "seals.read"), SealCampaign.id.in_(mine)))
        .options(contains_eager(SealCampaign.org))
        .order_by(SealCampaign.start_on.desc(), SealCampaign.id.desc())
    )


def get_campaign(session: Session, *, campaign_id: int, actor: Actor, lock: bool = False) -> SealCampaign:
    """Return a notice that the actor may read.

    :raises NotFound: no such notice, or out of reach.
    """
    query = visible_to(actor).where(SealCampaign.id == campaign_id)
    if lock:
        query = query.with_for_update(of=SealCampaign, key_share=True).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def next_due(session: Session, *, on: date) -> SealCampaign | None:
    """Return, held, a notice that begins or ends by a local day and has not yet been moved on."""
    query = select(SealCampaign).where(
        or_(
            and_(SealCampaign.state == CampaignState.PUBLISHED, SealCampaign.start_on <= on),
            and_(SealCampaign.state == CampaignState.RUNNING, SealCampaign.end_on <= on),
        )
    )
    return session.scalars(query.order_by(SealCampaign.id).limit(1).with_for_update(key_share=True)).first()


def records_visible_to(actor: Actor) -> Select[SealRecord]:
    """Return the records of the vehicles within reach, by unit and plate."""
    return (
        select(SealRecord)
        .join(SealRecord.org)
        .join(SealRecord.vehicle)
        .where(within_reach(actor, "seals.read"))
        .options(
            contains_eager(SealRecord.org), contains_eager(SealRecord.vehicle).joinedload(Vehicle.org),
            joinedload(SealRecord.campaign), joinedload(SealRecord.parking), joinedload(SealRecord.attachment),
        )
        .order_by(Organisation.path, Vehicle.plate, SealRecord.id)
    )  # fmt: skip


def filtered(
    query: Select[SealRecord], *, campaign_id: int | None = None, org_id: int | None = None, state: str | None = None,
    q: str = "", asked: bool = False,
) -> Select[SealRecord]:  # fmt: skip
    """Narrow records by notice, unit, state, text in plate or unit, and to those with a request that waits."""
    if campaign_id is not None:
        query = query.where(SealRecord.campaign_id == campaign_id)
    if org_id is not None:
        query = query.where(SealRecord.org_id == org_id)
    if state:
        query = query.where(SealRecord.state == state)
    if q:
        names = (Vehicle.plate, Organisation.name_zh, Organisation.name_en)
        query = query.where(or_(*(column.icontains(q, autoescape=True) for column in names)))
    if asked:
        waiting = exists().where(
            SealException.record_id == SealRecord.id, SealException.state == ExceptionState.REQUESTED
        )
        query = query.where(waiting)
    return query


def count_by_state(session: Session, query: Select[SealRecord]) -> dict[str, int]:
    """Return how many records of a list are in each state; every state is there."""
    rows = query.order_by(None).options().with_only_columns(SealRecord.state, func.count()).group_by(SealRecord.state)
    found = {row[0]: row[1] for row in session.execute(rows)}
    return {state.value: found.get(state.value, 0) for state in RecordState}


def get_record(session: Session, *, record_id: int, actor: Actor, lock: bool = False) -> SealRecord:
    """Return a record that the actor may read.

    :raises NotFound: no such record, or out of reach.
    """
    query = records_visible_to(actor).where(SealRecord.id == record_id)
    if lock:
        query = query.with_for_update(of=SealRecord, key_share=True).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def of_vehicle(session: Session, *, vehicle_id: int, actor: Actor) -> Sequence[SealRecord]:
    """Return the seals of one vehicle, the newest first.

    :raises NotFound: no such vehicle, or out of reach.
    """
    vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    query = records_visible_to(actor).where(SealRecord.vehicle_id == vehicle_id).order_by(None)
    return session.scalars(query.order_by(func.lower(SealRecord.during).desc(), SealRecord.id.desc())).all()


def held(session: Session, *, campaign: SealCampaign, vehicle_ids: Sequence[int]) -> set[int]:
    """Return those vehicles that have a record under the notice, or a living one under another of that time."""
    during = Range(campaign.start_on, campaign.end_on)
    query = select(SealRecord.vehicle_id).where(
        SealRecord.vehicle_id.in_(vehicle_ids),
        or_(SealRecord.campaign_id == campaign.id, and_(SealRecord.during.overlaps(during), IS_LIVING)),
    )
    return set(session.scalars(query))


def lock_unsealed(session: Session, *, campaign_id: int, actor: Actor) -> Sequence[SealRecord]:
    """Return, all held at once, the records of a notice that are to be sealed or on duty.

    Who takes them one by one between entries of the audit log would wait for ever for whoever holds one and waits for the log.
    """
    rows = filtered(records_visible_to(actor), campaign_id=campaign_id)
    rows = rows.where(SealRecord.state.in_([RecordState.TO_SEAL, RecordState.EXEMPT])).order_by(None)
    return session.scalars(rows.order_by(SealRecord.id).with_for_update(of=SealRecord, key_share=True)).all()


def exceptions_of(session: Session, *, record_id: int) -> Sequence[SealException]:
    """Return the requests for one vehicle, the oldest first; call it only after ``get_record``."""
    query = select(SealException).where(SealException.record_id == record_id)
    people = (joinedload(SealException.requester), joinedload(SealException.decider))
    return session.scalars(query.options(*people).order_by(SealException.id)).all()


def get_exception(session: Session, *, exception_id: int, actor: Actor) -> SealException:
    """Return a request that the actor may read, held.

    :raises NotFound: no such request, or out of reach.
    """
    query = (
        select(SealException)
        .join(SealException.org)
        .where(within_reach(actor, "seals.read"), SealException.id == exception_id)
    )
    query = query.options(contains_eager(SealException.org)).with_for_update(of=SealException, key_share=True)
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def events(session: Session, *, campaign_id: int, record_id: int | None = None) -> Sequence[SealEvent]:
    """Return the steps of a notice, or of one record under it, the oldest first."""
    query = select(SealEvent).where(SealEvent.campaign_id == campaign_id, SealEvent.record_id == record_id)
    return session.scalars(query.options(joinedload(SealEvent.actor)).order_by(SealEvent.id)).all()


def next_holiday(session: Session, *, on: date) -> Proposal:
    """Return the holiday after a local day that a new notice is proposed for."""
    days = workdays.day_kinds(session, on + timedelta(days=1), on + LOOK_AHEAD)
    return rules.next_holiday(days, on)


def days_of(session: Session, *, vehicle_ids: Collection[int], span: Span) -> list[tuple[int, Range[date]]]:
    """Return the days under seal, announced ones too, of some vehicles during a span, as far as row-level security shows it."""
    days = Range(clock.local_date(span.start), clock.local_date(span.end) + timedelta(days=1))
    query = select(SealRecord.vehicle_id, SealRecord.during).where(
        SealRecord.vehicle_id.in_(vehicle_ids), SealRecord.during.overlaps(days),
        SealRecord.state.in_([RecordState.TO_SEAL, RecordState.SEALED]),
    )  # fmt: skip
    return [(vehicle_id, during) for vehicle_id, during in session.execute(query)]
