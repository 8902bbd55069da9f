"""Two designated shops, and a caller that acts as somebody at some time."""

from datetime import date

import pytest
from sqlalchemy import select

from fleetapp.kit.actor import SYSTEM
from fleetapp.upkeep import ledger
from fleetapp.upkeep.rules import SupplierKind
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.serving import furnish

PLATE = "浙A10001"
UNIT, MANAGER, OFFICE = "unit_admin.xhedu", "fleet_manager.xihu", "vehicle_office.city"


@pytest.fixture
def car_id(database, now):
    furnish(database, now)
    with database.transaction(SYSTEM) as session:
        return session.scalars(select(Vehicle.id).where(Vehicle.plate == PLATE)).one()


@pytest.fixture
def take(database, now):
    """Call a service as somebody, now unless told otherwise."""

    def taken(username, function, when=None, **wanted):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            return function(session, actor=who, now=when or now, **wanted)

    return taken


@pytest.fixture
def shops(database, take, car_id):
    """Two shops under contract with the city, and one whose contract has ended."""
    city_id = world.actor(database, OFFICE).org_id

    def contract(number, until):
        return take(OFFICE, ledger.add_supplier, org_id=city_id, name=f"定点维修厂 {number}", kind=SupplierKind.REPAIR,
                    contract_no=f"DD-{number}", contract_from=date(2020, 1, 1), contract_to=until).id  # fmt: skip

    return [contract(1, date(2099, 1, 1)), contract(2, date(2099, 1, 1)), contract(3, date(2026, 6, 1))]
