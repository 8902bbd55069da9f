"""The database's verdict on bookings against a plain model that counts every vehicle at every moment, and writers at one time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import RuleBroken
from fleetapp.orders import service as order_service
from fleetapp.orders.rules import OrderKind, Purpose
from fleetapp.planning import service as planning
from fleetapp.reserves import service
from fleetapp.reserves.rules import Level
from tests import world
from tests.planning.conftest import approve_one, ids
from tests.reserves.conftest import open_event

MIDNIGHT = datetime(2026, 11, 18, 16, tzinfo=UTC)
"""00:00 of the 19th at the office; a slot is three hours."""
SLOT, SLOTS, A_DAY = timedelta(hours=3), 20, 8
BODIES = ["sedan", "sedan", "mpv", "sedan", "sedan"]
"""Bodies of the five vehicles of the pool; the last one is in the workshop."""


@dataclass(frozen=True)
class Floor:
    body: str
    first: int
    until: int
    vehicles: int
    level: str
    day: int


@dataclass(frozen=True)
class Booking:
    vehicle: int
    start: int
    end: int
    way: str


spans = st.tuples(st.integers(0, SLOTS - 1), st.integers(1, 12)).map(lambda pair: (pair[0], min(SLOTS, sum(pair))))
floors = st.builds(
    lambda body, hours, vehicles, level, day: Floor(body, *sorted(hours), vehicles, level, day),
    st.sampled_from(["sedan", "any", "mpv"]), st.lists(st.integers(0, A_DAY), min_size=2, max_size=2, unique=True),
    st.integers(1, 4), st.sampled_from(["usual", "III", "I"]), st.integers(0, 2),
)  # fmt: skip
bookings = st.builds(
    lambda vehicle, span, way: Booking(vehicle, *span, way), st.integers(0, 4), spans,
    st.sampled_from(["order", "order", "order", "emergency", "drill", "event", "kept"]),
)  # fmt: skip


def in_force(floor: Floor, slot: int, alert: tuple[int, int, str]) -> bool:
    """Tell whether a floor holds in a slot: on its days, at its hours, at its level or a graver one."""
    order = ["usual", "IV", "III", "II", "I"]
    graver = floor.level == "usual" or (
        alert[0] <= slot < alert[1] and order.index(alert[2]) >= order.index(floor.level)
    )
    return graver and slot // A_DAY >= floor.day and floor.first <= slot % A_DAY < floor.until


def allowed(new: Booking, made: list[Booking], floors: list[Floor], alert: tuple[int, int, str]) -> bool:
    """Count, slot by slot, what is left once the booking is there too."""
    if new.way in {"emergency", "kept"} or new.vehicle == 4:
        return True
    for slot in range(new.start, new.end):
        taken = {one.vehicle for one in [*made, new] if one.start <= slot < one.end}
        for floor in floors:
            if floor.body not in {"any", BODIES[new.vehicle]} or not in_force(floor, slot, alert):
                continue
            free = [car for car in range(4) if car not in taken and floor.body in {"any", BODIES[car]}]
            if len(free) < floor.vehicles:
                return False
    return True


ASSIGN = text(
    "INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at)"
    " VALUES (:org, :org, :order, :vehicle, 1, :slip, tstzrange(:start, :end), 'ACTIVE', now())"
)
KEEP = text(
    "INSERT INTO hold (org_id, vehicle_id, during, cause, cause_id, held_at) VALUES (:org, :vehicle, tstzrange(:start, :end), :cause, :event, now())"
)
FLOOR = text(
    "INSERT INTO reserve_floor (org_id, body, level, minutes, during, vehicles, reason, made_at)"
    " VALUES (:pool, :body, :level, int4range(:first, :until), daterange(:on, NULL), :vehicles, 'test', now())"
)
ALERT = text(
    "INSERT INTO reserve_alert (org_id, level, during, cause, made_at) VALUES (:city, :level, tstzrange(:start, :end), 'test', now())"
)


def prepare(connection, orders):
    """Let one driver and order stand for all, and give the pool two more vehicles, one of them in the workshop."""
    connection.execute(text("RESET ROLE"))
    connection.execute(text("ALTER TABLE assignment DROP CONSTRAINT ex_assignment_driver"))
    connection.execute(text("DROP INDEX uq_assignment_order_active"))
    columns = "version, org_id, category, energy, seats, model, registered_on, parking_id, created_at, secrecy, meter, odometer_m, body"
    copied = text(
        f"INSERT INTO vehicle ({columns}, plate, vin, state) SELECT {columns}, :plate, :plate, :state FROM vehicle WHERE plate = '浙A10001'"
        " RETURNING id"
    )
    cars = [
        connection.scalar(text("SELECT id FROM vehicle WHERE plate = :p"), {"p": p})
        for p in ("浙A10001", "浙AD00002", "浙A10003")
    ]
    cars += [
        connection.scalar(copied, {"plate": f"T{state}", "state": state}) for state in ("IN_SERVICE", "MAINTENANCE")
    ]
    facts = connection.execute(
        text(
            "SELECT p.id AS pool, p.parent_id AS city, v.org_id AS org FROM organisation p, vehicle v WHERE p.code = '330106' AND v.id = :v"
        ),
        {"v": cars[0]},
    ).one()
    return {"cars": cars, "event": open_event(connection), "orders": orders, **facts._mapping}


def try_one(connection, world_, booking: Booking) -> bool:
    """Write one booking by its own way; tell whether the database took it."""
    given = {"org": world_["org"], "slip": world_["slip"], "event": world_["event"], "vehicle": world_["cars"][booking.vehicle],
             "order": world_["orders"].get(booking.way), "start": MIDNIGHT + booking.start * SLOT, "end": MIDNIGHT + booking.end * SLOT,
             "cause": {"event": "occasion", "kept": "emergency"}.get(booking.way)}  # fmt: skip
    point = connection.begin_nested()
    try:
        connection.execute(KEEP if given["cause"] else ASSIGN, given)
    except IntegrityError as error:
        point.rollback()
        if error.orig.diag.constraint_name in {"ck_assignment_reserve", "ck_hold_reserve"}:
            return False
        raise
    point.commit()
    return True


def test_the_trigger_agrees_with_counting(database, now):
    kinds = {
        "order": {}, "emergency": {"kind": OrderKind.EMERGENCY, "purpose": Purpose.EMERGENCY},
        "drill": {"kind": OrderKind.EMERGENCY, "purpose": Purpose.DRILL},
    }  # fmt: skip
    orders = {way: approve_one(database, now, **kind) for way, kind in kinds.items()}
    connection = database.engine
    with database.transaction(SYSTEM) as session:
        xhedu = session.scalar(text("SELECT id FROM organisation WHERE code = '330106-EDU'"))
        slip = order_service.issue_slip(session, org_id=xhedu, actor=SYSTEM, now=now)
    world_ = prepare(connection, orders) | {"slip": slip.id}
    seen: set[bool] = set()

    def judge(floors, span, level, wanted):
        alert = (*span, level)
        for floor in floors:
            connection.execute(FLOOR, {
                "pool": world_["pool"], "body": floor.body, "level": floor.level, "first": floor.first * 180, "until": floor.until * 180,
                "on": date(2026, 11, 19) + timedelta(days=floor.day), "vehicles": floor.vehicles,
            })  # fmt: skip
        connection.execute(
            ALERT,
            {
                "city": world_["city"],
                "level": level,
                "start": MIDNIGHT + span[0] * SLOT,
                "end": MIDNIGHT + span[1] * SLOT,
            },
        )
        made: list[Booking] = []
        for booking in wanted:
            if any(
                one.vehicle == booking.vehicle and one.start < booking.end and booking.start < one.end for one in made
            ):
                continue  # that is another constraint's to refuse
            if booking.vehicle == 4 and booking.way not in {"event", "kept"}:
                continue  # nobody sends a vehicle out of the workshop
            expected = allowed(booking, made, floors, alert)
            assert try_one(connection, world_, booking) == expected, (booking, made, floors, alert)
            seen.add(expected)
            if expected:
                made.append(booking)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(floors, min_size=1, max_size=4, unique_by=lambda f: (f.body, f.level)), spans, st.sampled_from(["IV", "III", "II", "I"]),
           st.lists(bookings, min_size=3, max_size=10))  # fmt: skip
    def agree(floors, span, level, wanted):
        point = connection.begin_nested()
        try:
            judge(floors, span, level, wanted)
        finally:
            point.rollback()

    agree()
    assert seen == {True, False}


def test_of_two_dispatchers_at_one_time_one_gets_the_last_free_vehicle(live_database, now):
    office, dispatcher = (world.actor(live_database, name) for name in ("vehicle_office.city", "dispatcher.xihu"))
    with live_database.transaction(office) as session:
        pool = session.scalar(text("SELECT id FROM organisation WHERE code = '330106'"))
        service.set_floor(session, org_id=pool, body="sedan", level=Level.USUAL, from_min=0, until_min=1440, start_on=date(2026, 11, 18), vehicles=1,
                          reason="防汛预案", actor=office, now=now)  # fmt: skip
    known = ids(live_database)
    pairs = [("浙A10001", "driver.xhedu"), ("浙AD00002", "driver2.xhedu")]
    wishes = [(approve_one(live_database, now), *pair) for pair in pairs]

    def assign(wish):
        order_id, plate, driver = wish
        try:
            with live_database.transaction(dispatcher) as session:
                planning.assign(
                    session,
                    order_id=order_id,
                    vehicle_id=known[plate],
                    driver_id=known[driver],
                    actor=dispatcher,
                    now=now,
                )
        except RuleBroken as refused:
            return refused.code
        return "assigned"

    with ThreadPoolExecutor(2) as pool_of_threads:
        said = sorted(pool_of_threads.map(assign, wishes))
    assert said == ["assigned", "planning.why.reserve_floor"]
