"""What the ledgers say of a vehicle as rows of the database have it: rentals beside idle cars, cost of the year."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from fleetapp.costs.models import CostEntry
from fleetapp.findings import ledgers
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.models import TravelOrder
from fleetapp.sharing.models import Fallback
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.trips.conftest import ORDERED, STRAY


@pytest.fixture
def rented(furnished, journey, now):
    """Rent a vehicle for the ordered journey; returns what the ledgers say of it, and the ids of all vehicles by plate."""
    number, start, _ = journey

    def read(**given):
        with furnished.transaction(SYSTEM) as session:
            order = session.scalars(select(TravelOrder).where(TravelOrder.number == number)).one()
            session.add(Fallback(**{
                "org_id": order.org_id, "order_id": order.id, "kind": "rental", "reason": "none_free", "provider": "某租赁公司",
                "price": Decimal(300), "norm": Decimal(400), "decided_by": world.user_id(furnished, "unit_admin.xhedu"),
                "decided_at": now, **given,
            }))  # fmt: skip
            session.flush()
            cars = {car.plate: car.id for car in session.scalars(select(Vehicle))}
            hour = timedelta(hours=1)
            return ledgers.rentals(session, org_id=order.org_id, start=start - hour, end=start + hour), cars

    return read


def test_a_rental_names_the_cars_that_nothing_was_planned_for(rented):
    [found], cars = rented()
    assert found.price == 300.0
    assert cars[STRAY] in found.idle
    assert cars[ORDERED] not in found.idle, "it drove the order"


@pytest.mark.parametrize("change", [{"reason": "no_driver"}, {"reason": "cheaper"}, {"kind": "ride_hailing"}])
def test_a_rental_for_another_reason_speaks_against_no_car(rented, change):
    assert rented(**change)[0] == []


def test_the_cost_of_the_year_counts_what_was_spent_since_its_first_day(furnished, now):
    today = clock.local_date(now)
    first = today.replace(month=1, day=1)
    with furnished.transaction(SYSTEM) as session:
        car = session.scalars(select(Vehicle).where(Vehicle.plate == STRAY)).one()

        def told():
            found = ledgers.life(session, vehicle=car, on=today, figure_rows=())
            return found.running_cny

        before = told()
        for on, amount in ((first - timedelta(days=1), 7), (first, 100), (today, 20), (today + timedelta(days=1), 9)):
            session.add(CostEntry(org_id=car.org_id, vehicle_id=car.id, on=on, kind="parking_fee", amount=Decimal(amount),
                                  explanation="年度停车位", created_at=now))  # fmt: skip
        session.flush()
        assert told() == before + 120.0
