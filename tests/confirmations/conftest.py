"""A journey of yesterday that is back: planned, driven 20 km by its odometer and 19.6 km by GPS."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, text

from fleetapp.confirmations import ratings, service
from fleetapp.confirmations.models import MileageConfirmation
from fleetapp.confirmations.rules import ITEMS
from fleetapp.duty.rules import DutyAction
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import Stop
from fleetapp.trips.models import Trip, TripMatch
from tests.walks import steps

EAST = Stop("杭州东站", 30.293549, 120.208203)
SEAT = Stop("西湖区人民政府", 30.261755, 120.125436)
GREAT = dict.fromkeys(ITEMS, 5)


def matched(session, duty_id, *, gps_m, coverage=0.97):
    """Say that a trip of the duty's order was driven by GPS, as the job would."""
    row = session.execute(text("SELECT a.org_id, a.vehicle_id, a.order_id, o.start_at, o.end_at FROM assignment a"
                               " JOIN travel_order o ON o.id = a.order_id WHERE a.id = :id"), {"id": duty_id}).one()  # fmt: skip
    terminal = session.scalar(
        text("SELECT terminal_id FROM terminal_binding WHERE vehicle_id = :id"), {"id": row.vehicle_id}
    )
    trip_id = session.scalar(insert(Trip).values(
        org_id=row.org_id, vehicle_id=row.vehicle_id, terminal_id=terminal, start_at=row.start_at, end_at=row.end_at,
        path="SRID=4326;LINESTRING(120.1 30.2, 120.2 30.3)", gps_m=gps_m, best_m=gps_m, best_source="gps", error_m=50, coverage=coverage,
        points=100, max_speed_kmh=60, stops=[], gaps=[], content_digest="x", derived_at=row.end_at).returning(Trip.id))  # fmt: skip
    session.execute(insert(TripMatch).values(
        org_id=row.org_id, trip_id=trip_id, order_id=row.order_id, start_at=row.start_at, end_at=row.end_at, distance_m=gps_m,
        kind="matched", margin=1, candidates=[], derived_at=row.end_at))  # fmt: skip


@dataclass
class Ended:
    """The journey with callers of what people may do about it."""

    database: object
    acting: object
    now: object
    duty_id: int
    order_id: int
    back_at: object

    def _as(self, username, function, **given):
        who = self.acting(username)
        with self.database.transaction(who) as session:
            made = function(session, order_id=self.order_id, actor=who, now=given.pop("at", self.now), **given)
            session.flush()
            return made.id

    def confirm(self, username="applicant.xhedu", **given):
        return self._as(username, service.confirm, **given)

    def object_to(self, username="applicant.xhedu", reason="里程与路线不符", **given):
        return self._as(username, service.object_to, reason=reason, **given)

    def answer(self, username="dispatcher.xihu", reply="已核对照片", **given):
        return self._as(username, service.answer, reply=reply, **given)

    def rate(self, username="applicant.xhedu", scores=GREAT, **given):
        return self._as(username, ratings.rate, scores=scores, **given)

    def row(self):
        with self.database.transaction(SYSTEM) as session:
            return session.scalar(select(MileageConfirmation).where(MileageConfirmation.order_id == self.order_id))

    def state(self):
        with self.database.transaction(SYSTEM) as session:
            return session.get(TravelOrder, self.order_id).state


@pytest.fixture
def make(database, acting, now):
    """Return a maker of journeys that are back."""

    def made(
        *,
        days=1,
        odometer_m=20_000,
        gps_m=19_600,
        coverage=0.97,
        plate="浙A10001",
        check_in=True,
        driver="driver.xhedu",
    ):
        start = now - timedelta(days=days)
        back_at = start + timedelta(hours=2, minutes=50)
        _, duty_id = steps.dispatched(
            database, start=start, end=start + timedelta(hours=3), stops=[SEAT, EAST], plate=plate, driver=driver
        )
        with database.transaction(SYSTEM) as session:
            [(order_id, reading)] = session.execute(
                text("SELECT a.order_id, v.odometer_m FROM assignment a JOIN vehicle v ON v.id = a.vehicle_id WHERE a.id = :id"), {"id": duty_id})  # fmt: skip
        steps.report(database, duty_id, DutyAction.ACCEPT, start - timedelta(hours=1), driver=driver)
        steps.report(database, duty_id, DutyAction.CHECK_OUT, start, odometer_m=reading, driver=driver)
        if check_in:
            steps.report(
                database, duty_id, DutyAction.CHECK_IN, back_at, odometer_m=reading + odometer_m, driver=driver
            )
        if gps_m is not None:
            with database.transaction(SYSTEM) as session:
                matched(session, duty_id, gps_m=gps_m, coverage=coverage)
        return Ended(database, acting, now, duty_id, order_id, back_at)

    return made


@pytest.fixture
def ended(make):
    """One journey that is back."""
    return make()
