"""Reading of fleets over the years and of plans."""

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.acquisitions import queries as acquisitions
from fleetapp.acquisitions.models import Indicator
from fleetapp.disposal.models import DisposalCase
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.renewal.models import RenewalRun
from fleetapp.renewal.rules import Held
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import ManagementMode, Secrecy, VehicleState

PLANNED_STATES = (VehicleState.IN_SERVICE, VehicleState.MAINTENANCE, VehicleState.SEALED, VehicleState.SUSPENDED)


def _counted(org_path: str) -> Select[Vehicle]:
    """Return the vehicles that shares count: not rented and not secret, in a sub-tree."""
    return (
        select(Vehicle)
        .join(Vehicle.org)
        .where(
            Organisation.path.startswith(org_path, autoescape=True), Vehicle.management_mode != ManagementMode.RENTED,
            Vehicle.secrecy != Secrecy.SECRET,
        )
    )  # fmt: skip


def held(session: Session, *, org_path: str) -> list[Held]:
    """Return every vehicle a sub-tree holds or held, from its registration to its deregistration."""
    out = select(DisposalCase.vehicle_id, DisposalCase.deregistered_on).where(DisposalCase.deregistered_on.is_not(None))
    gone = {vehicle_id: on for vehicle_id, on in session.execute(out)}  # noqa: C416 -- rows are not tuples to a type checker
    cars = _counted(org_path).with_only_columns(Vehicle.id, Vehicle.energy, Vehicle.registered_on)
    return [Held(car.energy, car.registered_on, gone.get(car.id)) for car in session.execute(cars)]


def left_out(session: Session, *, org_path: str) -> int:
    """Return how many vehicles of a sub-tree the shares leave out: rented and secret ones."""
    every = session.scalars(
        select(Vehicle.id).join(Vehicle.org).where(Organisation.path.startswith(org_path, autoescape=True))
    )
    return len(every.all()) - len(session.scalars(_counted(org_path).with_only_columns(Vehicle.id)).all())


def to_plan(session: Session, *, org_path: str) -> Sequence[Vehicle]:
    """Return the vehicles that a plan is about, with their units."""
    query = _counted(org_path).where(Vehicle.state.in_(PLANNED_STATES)).options(contains_eager(Vehicle.org))
    return session.scalars(query.order_by(Vehicle.id)).all()


def renewed_already(session: Session, *, actor: Actor) -> set[int]:
    """Return the old vehicles for which an approved indicator is on its way: the plan leaves them out."""
    under_way: Sequence[Indicator] = acquisitions.pipeline(session, actor=actor)
    return {indicator.old_vehicle_id for indicator in under_way if indicator.old_vehicle_id is not None}


def visible_to(actor: Actor) -> Select[RenewalRun]:
    """Return the plans of organisations within reach, the newest first."""
    return (
        select(RenewalRun)
        .join(RenewalRun.org)
        .where(within_reach(actor, "renewal.read"))
        .options(contains_eager(RenewalRun.org), joinedload(RenewalRun.requester))
        .order_by(RenewalRun.id.desc())
    )


def get_run(session: Session, *, run_id: int, actor: Actor) -> RenewalRun:
    """Return a plan that the actor may read.

    :raises NotFound: no such plan, or out of reach.
    """
    found = session.scalar(visible_to(actor).where(RenewalRun.id == run_id))
    if found is None:
        raise NotFound("kit.not_found")
    return found
