"""Reading of plans and activations, and of how fast vehicles answered."""

from collections.abc import Collection, Sequence
from datetime import date, datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.accounts.queries import within_reach
from fleetapp.drivers.models import Driver
from fleetapp.duty import queries as duties
from fleetapp.duty.rules import DutyAction
from fleetapp.emergency.models import (
    EmergencyActivation,
    EmergencyCallUp,
    EmergencyCar,
    EmergencyEffect,
    EmergencyEvent,
    EmergencyLevel,
    EmergencyOfficer,
    EmergencyPlan,
)
from fleetapp.emergency.rules import ActivationState, Response
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound
from fleetapp.orders.models import TravelOrder
from fleetapp.planning import queries as planning
from fleetapp.vehicles.models import Vehicle


def plans_visible_to(actor: Actor) -> Select[EmergencyPlan]:
    """Return the plans within reach with their levels, call-up lists and officers."""
    return (
        select(EmergencyPlan)
        .join(EmergencyPlan.org)
        .where(within_reach(actor, "emergency.read"))
        .options(
            contains_eager(EmergencyPlan.org),
            selectinload(EmergencyPlan.levels).selectinload(EmergencyLevel.calls).joinedload(EmergencyCallUp.pool),
            selectinload(EmergencyPlan.officers).joinedload(EmergencyOfficer.user),
        )
        .order_by(Organisation.path, EmergencyPlan.id)
    )


def get_plan(session: Session, *, plan_id: int, actor: Actor) -> EmergencyPlan:
    """Return a plan within reach.

    :raises NotFound: no such plan, or out of reach.
    """
    query = plans_visible_to(actor).where(EmergencyPlan.id == plan_id)
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def visible_to(actor: Actor) -> Select[EmergencyActivation]:
    """Return the activations and drills within reach, the newest first."""
    return (
        select(EmergencyActivation)
        .join(EmergencyActivation.org)
        .where(within_reach(actor, "emergency.read"))
        .options(
            contains_eager(EmergencyActivation.org), joinedload(EmergencyActivation.plan), joinedload(EmergencyActivation.leader),
            joinedload(EmergencyActivation.officer), joinedload(EmergencyActivation.confirmer),
        )
        .order_by(EmergencyActivation.id.desc())
    )  # fmt: skip


def filtered(
    query: Select[EmergencyActivation],
    *,
    drill: bool | None = None,
    state: ActivationState | None = None,
    year: int | None = None,
) -> Select[EmergencyActivation]:
    """Narrow to drills or real ones, to a state, to those confirmed in a local year."""
    if drill is not None:
        query = query.where(EmergencyActivation.drill.is_(drill))
    if state is not None:
        query = query.where(EmergencyActivation.state == state)
    if year is not None:
        first, after = clock.start_of(date(year, 1, 1)), clock.start_of(date(year + 1, 1, 1))
        query = query.where(EmergencyActivation.confirmed_at >= first, EmergencyActivation.confirmed_at < after)
    return query


def get_activation(session: Session, *, activation_id: int, actor: Actor, lock: bool = False) -> EmergencyActivation:
    """Return an activation within reach, held if asked for.

    :raises NotFound: no such activation, or out of reach.
    """
    query = visible_to(actor).where(EmergencyActivation.id == activation_id)
    if lock:
        query = query.with_for_update(of=EmergencyActivation, key_share=True)
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def active_of(session: Session, *, org_id: int) -> EmergencyActivation | None:
    """Return the activation in force of an organisation; drills do not count."""
    return session.scalar(
        select(EmergencyActivation).where(
            EmergencyActivation.org_id == org_id, EmergencyActivation.state == ActivationState.ACTIVE,
            EmergencyActivation.drill.is_(False),
        )
    )  # fmt: skip


def cars_of(session: Session, *, activation_ids: Collection[int]) -> Sequence[EmergencyCar]:
    """Return the vehicles called up by activations, in the order they were called."""
    return session.scalars(
        select(EmergencyCar)
        .where(EmergencyCar.activation_id.in_(activation_ids))
        .options(
            joinedload(EmergencyCar.vehicle).joinedload(Vehicle.org), joinedload(EmergencyCar.driver).joinedload(Driver.user),
            joinedload(EmergencyCar.order),
        )
        .order_by(EmergencyCar.activation_id, EmergencyCar.id)
    ).all()  # fmt: skip


def effects_of(session: Session, *, activation_id: int) -> Sequence[EmergencyEffect]:
    """Return the orders that gave their vehicle, with what they are now."""
    return session.scalars(
        select(EmergencyEffect)
        .where(EmergencyEffect.activation_id == activation_id)
        .options(
            joinedload(EmergencyEffect.order).joinedload(TravelOrder.org),
            joinedload(EmergencyEffect.order).joinedload(TravelOrder.applicant), joinedload(EmergencyEffect.vehicle),
        )
        .order_by(EmergencyEffect.id)
    ).all()  # fmt: skip


def events_of(session: Session, *, activation_id: int) -> Sequence[EmergencyEvent]:
    """Return what happened, the newest first."""
    query = select(EmergencyEvent).where(EmergencyEvent.activation_id == activation_id)
    return session.scalars(query.options(joinedload(EmergencyEvent.actor)).order_by(EmergencyEvent.id.desc())).all()


def responses(session: Session, *, cars: Collection[EmergencyCar]) -> dict[int, Response]:
    """Return when each vehicle that was sent accepted, left and arrived, by the row of the vehicle."""
    sent = {car.order_id: car for car in cars if car.order_id is not None and car.sent_at is not None}
    held = planning.active_by_order(session, order_ids=list(sent))
    told = duties.events_of(session, assignment_ids=[row.id for row in held.values()])
    found = {}
    for order_id, car in sent.items():
        steps: dict[str, datetime] = {}
        for event in told.get(held[order_id].id, ()) if order_id in held else ():
            steps.setdefault(event.action, event.at)
        found[car.id] = Response(
            car.sent_at or car.called_at,
            steps.get(DutyAction.ACCEPT),
            steps.get(DutyAction.CHECK_OUT),
            steps.get(DutyAction.ARRIVE),
        )
    return found


def leaders(session: Session, *, org_path: str) -> Sequence[UserAccount]:
    """Return who may approve an activation by word of mouth: leaders over the organisation, the nearest first."""
    ids = accounts.holders(session, role=Role.LEADER, org_path=org_path, nearest=False)
    return session.scalars(select(UserAccount).where(UserAccount.id.in_(ids)).order_by(UserAccount.username)).all()


def people_under(session: Session, *, org_path: str) -> Sequence[UserAccount]:
    """Return the open accounts of an organisation and below who are no drivers, for the list of officers."""
    drivers = select(Driver.user_id)
    inside = select(Organisation.id).where(Organisation.path.startswith(org_path, autoescape=True))
    query = select(UserAccount).where(
        UserAccount.org_id.in_(inside), UserAccount.closed_at.is_(None), UserAccount.id.not_in(drivers)
    )
    return session.scalars(query.options(joinedload(UserAccount.org)).order_by(UserAccount.username)).all()
