"""What a change of a policy figure would touch: applications under way that it would break, vehicles it would call idle."""

from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.acquisitions import rules
from fleetapp.acquisitions.models import Indicator
from fleetapp.acquisitions.queries import acquired_in, figures, scope_above, use_of, visible_to
from fleetapp.acquisitions.rules import OPEN_STATES, Figure, IndicatorState
from fleetapp.kit.actor import Actor
from fleetapp.policies import queries as policies
from fleetapp.policies.preview import Measure
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.rules import NEV, Body, Category, Energy, VehicleState


def _under_way(session: Session, actor: Actor, on: date) -> list[tuple[Indicator, dict[str, Figure]]]:
    """Return the indicators within reach that are not bought yet, each with the figures of its unit on a day."""
    rows = visible_to(actor).where(Indicator.state.in_([*OPEN_STATES, IndicatorState.APPROVED]))
    found = session.scalars(rows).unique().all()
    of = {path: figures(session, on=on, org_path=path) for path in {one.org.path for one in found}}
    return [(one, of[one.org.path]) for one in found]


def over_cap(session: Session, actor: Actor, _code: str, on: date, _now: datetime) -> list[Measure]:
    """Return the indicators under way that go beyond their class's line of the caps: price, displacement or body."""
    found = {
        one.id: one.org_id for one, limits in _under_way(session, actor, on)
        if not rules.keeps_to_caps(
            limits, category=Category(one.category), body=Body(one.body), energy=Energy(one.energy), step=rules.Step(one.step),
            price=one.max_price, displacement_ml=one.max_displacement_ml,
        )
    }  # fmt: skip
    return [Measure("acquisitions.effect_over_cap", found, "acquisitions.index", {}, "q")]


def too_young(session: Session, actor: Actor, code: str, on: date, _now: datetime) -> list[Measure]:
    """Return the renewals under way whose old vehicle is not beyond the renewal age, without a special approval."""
    found = {
        one.id: one.org_id for one, limits in _under_way(session, actor, on)
        if one.old_vehicle is not None and not one.special_approval and code in limits
        and rules.age_years(one.old_vehicle.registered_on, on) <= limits[code].value
    }  # fmt: skip
    return [Measure("acquisitions.effect_too_young", found, "acquisitions.index", {}, "q")]


def below_share(session: Session, actor: Actor, code: str, on: date, _now: datetime) -> list[Measure]:
    """Return the indicators under way with which the share of new energy of their fiscal year is below the figure."""
    found = {}
    for one, limits in _under_way(session, actor, on):
        own = "nev.fixed_route_share" if one.category == Category.JYTX else "nev.acquisition_share"
        if code == own and code in limits:
            scope_path = scope_above(one.org)
            bought, nev = acquired_in(session, fiscal_year=one.fiscal_year, scope_path=scope_path, but_for=one.id)
            if nev + (Energy(one.energy) in NEV) < limits[code].value * (bought + 1):
                found[one.id] = one.org_id
    return [Measure("acquisitions.effect_below_share", found, "acquisitions.index", {}, "q")]


def idle(session: Session, actor: Actor, _code: str, on: date, now: datetime) -> list[Measure]:
    """Return the vehicles in service within reach that count as idle by the figures of their unit on a day."""
    cars = session.scalars(vehicles.in_service(actor)).all()
    paths = {car.org.path for car in cars}
    days = policies.by_org(session, "idle.days", on=on, org_paths=paths)
    trips = policies.by_org(session, "idle.max_trips", on=on, org_paths=paths)
    km = policies.by_org(session, "idle.max_km", on=on, org_paths=paths)
    found = {}
    for span in set(days.values()):
        alike = [car for car in cars if days.get(car.org.path) == span]
        used = use_of(session, vehicle_ids=[car.id for car in alike], since=now - timedelta(days=int(span)), until=now)
        for car in alike:
            use, path = used[car.id], car.org.path
            if use.trips < trips[path] and use.distance_m < float(km[path]) * 1000:
                found[car.id] = car.org_id
    return [
        Measure("acquisitions.effect_idle", found, "vehicles.index", {"state": VehicleState.IN_SERVICE.value}, "org_id")
    ]
