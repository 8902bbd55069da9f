"""What the demo's vehicles cost to buy, and tolls, parking and washing along their tasks."""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from sqlalchemy import select

from fleetapp.costs import service
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import DRIVEN
from fleetapp.planning.models import Assignment
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import NEV, CostKind

PRICES = {"sedan": 139_800, "suv": 158_000, "mpv": 172_000, "minibus": 236_000, "coach": 520_000, "pickup": 118_000, "offroad": 176_000,
          "special": 268_000}  # fmt: skip
TAX_SHARE = Decimal("0.10")
EVERY_TASK, EVERY_CAR = 4, 5
"""Every so manyeth task has a toll or a parking fee, every so manyeth car was washed."""


def buy_and_spend(database: Database, *, now: datetime) -> int:
    """Put prices into the vehicles' files and enter some costs; returns how many."""
    today = clock.local_date(now)
    with database.transaction(SYSTEM) as session:
        for car in session.scalars(select(Vehicle).where(Vehicle.price_ex_tax.is_(None))):
            price = Decimal(PRICES[car.body] + Random(f"price {car.plate}").randrange(-9, 10) * 800)
            car.price_ex_tax, car.acquired_on = price, car.acquired_on or car.registered_on - timedelta(days=12)
            car.purchase_tax = Decimal(0) if car.energy in NEV else (price * TAX_SHARE).quantize(Decimal("0.01"))
        tasks = session.execute(
            select(Assignment.order_id, Assignment.vehicle_id, TravelOrder.start_at)
            .join(TravelOrder, TravelOrder.id == Assignment.order_id)
            .where(TravelOrder.state.in_(DRIVEN))
            .order_by(Assignment.order_id)
        ).all()
        entered = 0
        for order_id, vehicle_id, start_at in tasks[::EVERY_TASK]:
            rng = Random(f"toll {order_id}")
            kind, amount = (
                (CostKind.TOLL, rng.randint(5, 60))
                if rng.random() < 0.6
                else (CostKind.PARKING_FEE, rng.randint(5, 30))
            )
            service.enter(session, vehicle_id=vehicle_id, on=clock.local_date(start_at), kind=kind, amount=Decimal(amount), order_id=order_id,
                          actor=SYSTEM, now=now)  # fmt: skip
            entered += 1
        for number, vehicle_id in enumerate(
            session.scalars(select(Vehicle.id).order_by(Vehicle.id)).all()[::EVERY_CAR]
        ):
            service.enter(session, vehicle_id=vehicle_id, on=today - timedelta(days=3 + number % 60), kind=CostKind.WASH, amount=Decimal(30), actor=SYSTEM,
                          now=now)  # fmt: skip
            entered += 1
    return entered
