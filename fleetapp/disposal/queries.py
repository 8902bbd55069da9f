"""Reading of disposal cases."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.acquisitions.models import Indicator
from fleetapp.acquisitions.rules import IndicatorState
from fleetapp.disposal.models import DisposalCase, DisposalEvent
from fleetapp.disposal.rules import DisposalState
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState


def visible_to(actor: Actor) -> Select[DisposalCase]:
    """Return the cases of the units within reach, the newest first."""
    return (
        select(DisposalCase)
        .join(DisposalCase.org)
        .where(within_reach(actor, "disposal.read"))
        .options(contains_eager(DisposalCase.org), joinedload(DisposalCase.vehicle), joinedload(DisposalCase.receiver))
        .order_by(DisposalCase.created_at.desc(), DisposalCase.id.desc())
    )


def filtered(query: Select[DisposalCase], *, state: str | None = None, q: str = "") -> Select[DisposalCase]:
    """Narrow cases by state and by text in number, plate or unit."""
    if state:
        query = query.where(DisposalCase.state == state)
    if q:
        query = query.join(Vehicle, Vehicle.id == DisposalCase.vehicle_id).where(
            or_(DisposalCase.number.icontains(q, autoescape=True), Vehicle.plate.icontains(q, autoescape=True),
                Organisation.name_zh.icontains(q, autoescape=True))
        )  # fmt: skip
    return query


def count_by_state(session: Session, query: Select[DisposalCase]) -> dict[str, int]:
    """Return how many cases of a list are in each state; every state is there."""
    rows = (
        query.order_by(None).options().with_only_columns(DisposalCase.state, func.count()).group_by(DisposalCase.state)
    )
    found = {row[0]: row[1] for row in session.execute(rows)}
    return {state.value: found.get(state.value, 0) for state in DisposalState}


def get_case(session: Session, *, case_id: int, actor: Actor, lock: bool = False) -> DisposalCase:
    """Return a case that the actor may read.

    :raises NotFound: no such case, or out of reach.
    """
    query = visible_to(actor).where(DisposalCase.id == case_id)
    if lock:
        query = query.with_for_update(of=DisposalCase).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def events(session: Session, *, case_id: int) -> Sequence[DisposalEvent]:
    """Return the steps of a case, the oldest first."""
    query = select(DisposalEvent).where(DisposalEvent.case_id == case_id).options(joinedload(DisposalEvent.actor))
    return session.scalars(query.order_by(DisposalEvent.id)).all()


def kept_after_renewal(session: Session, *, actor: Actor, on: date, days: int) -> Sequence[Vehicle]:
    """Return old vehicles still active more than some days after their renewal was used (rule K-05), by plate."""
    query = (
        select(Vehicle)
        .join(Vehicle.org)
        .join(Indicator, Indicator.old_vehicle_id == Vehicle.id)
        .where(
            Indicator.state == IndicatorState.USED, Vehicle.state != VehicleState.RETIRED,
            Indicator.decided_at < on - timedelta(days=days),
            within_reach(actor, "disposal.read"),
        )
        .options(contains_eager(Vehicle.org))
        .order_by(Vehicle.plate)
    )  # fmt: skip
    return session.scalars(query).all()
