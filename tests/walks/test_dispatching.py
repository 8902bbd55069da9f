"""Two units' orders in one vehicle up to the trip that is both's; an event with its block; two dispatchers at the same moment."""

import threading
import uuid
from datetime import timedelta

import psycopg

from fleetapp.duty.rules import DutyAction
from fleetapp.kit import clock
from fleetapp.orders.rules import Stop
from fleetapp.places.roads import load_roads
from fleetapp.trips import jobs as trips
from telematics import store
from tests import world
from tests.walks import steps
from tests.walks.test_order_to_check_in import EAST, ORIGIN, application, window

SEAT, STATION = Stop(ORIGIN["name"], ORIGIN["lat"], ORIGIN["lon"]), Stop(EAST["name"], EAST["lat"], EAST["lon"])
WULIN = Stop("武林广场", 30.2755, 120.1630)
YARD = (120.1260, 30.2640)
TERMINAL = "13900000001"


def asked_by(calls, unit, start, end, **changes):
    """Apply and approve by the API for a unit; returns the order's id."""
    order_id = calls(f"applicant.{unit}")("POST", "/orders", application(start, end) | changes, status=201).json["id"]
    calls(f"approver.{unit}")("POST", f"/orders/{order_id}/approve", {})
    return order_id


def free_case(dispatcher, order_id):
    """Return the first vehicle and driver that could go for an order."""
    case = next(row for row in dispatcher("GET", f"/orders/{order_id}/candidates").json if row["code"] is None)
    return {"vehicle_id": case["vehicle_id"], "driver_id": case["driver_id"]}


def test_two_orders_join_by_the_api_and_the_driver_does_every_step_once(calls, visits):
    start, end = window(5)
    dispatcher = calls("dispatcher.xihu")
    first, second = (asked_by(calls, unit, start, end) for unit in ("xhedu", "xhhealth"))
    dispatcher("POST", f"/orders/{first}/assignment", free_case(dispatcher, first), status=201)
    [option] = dispatcher("GET", f"/orders/{second}/journey").json
    assert (option["code"], len(option["consent_of"])) == (None, 2)
    wish = {"pool_key": option["pool_key"]}
    assert dispatcher("POST", f"/orders/{second}/journey", wish, status=422).json["code"] == "planning.why.pool_consent"
    made = dispatcher("POST", f"/orders/{second}/journey", wish | {"consent": "均已同意"}, status=201).json
    assert made["journey"] == option["pool_key"]

    who, duty = next(
        (calls(name), row) for name in ("driver.xhedu", "driver2.xhedu")
        for row in calls(name)("GET", f"/duties?on={clock.local_date(start)}").json
    )  # fmt: skip
    assert len(duty["orders"]) == 2
    [reading_km] = [
        car["odometer_m"] / 1000 for car in dispatcher("GET", "/vehicles").json if car["plate"] == duty["plate"]
    ]
    for action, more in (
        ("ACCEPT", {}), ("CHECK_OUT", {"odometer_km": reading_km}), ("ARRIVE", {}), ("CHECK_IN", {"odometer_km": reading_km + 30}),
    ):  # fmt: skip
        step = {"action": action, "idempotency_key": uuid.uuid4().hex, **more}
        for _ in range(2):
            who("POST", f"/duties/{duty['assignment_id']}/events", step, status=201)
    for unit, order_id in (("xhedu", first), ("xhhealth", second)):
        assert calls(f"applicant.{unit}")("GET", f"/orders/{order_id}").json["state"] == "RETURNED"
        slip = visits(f"applicant.{unit}").get(f"/orders/{order_id}/slip").text
        assert "同车用车单" in slip
        assert all(number in slip for number in duty["orders"])


def test_one_drive_is_the_trip_of_both_orders(city, url, calls, visits):
    start = clock.now().replace(hour=2, minute=0, second=0, microsecond=0) - timedelta(
        days=2
    )  # ten in the morning: all on one day
    ours = {"start": start, "end": start + timedelta(hours=3)}
    number, duty_id = steps.dispatched(city, **ours, stops=[SEAT, STATION], plate="浙A10001")
    other, _ = steps.joined(city, duty_id, **ours, stops=[SEAT, WULIN], unit="xhhealth")
    steps.report(city, duty_id, DutyAction.ACCEPT, start - timedelta(hours=1))
    steps.report(city, duty_id, DutyAction.CHECK_OUT, start, odometer_m=10_000_000)
    steps.report(city, duty_id, DutyAction.CHECK_IN, start + timedelta(hours=2, minutes=50), odometer_m=10_040_000)
    fixes = steps.driven(load_roads(), [YARD, (STATION.lon, STATION.lat), YARD], start, stay=timedelta(minutes=15),
                         odometer_m=10_000_000, seed=1)  # fmt: skip
    with psycopg.connect(url) as connection:
        [terminal] = connection.execute("SELECT id FROM gps_terminal WHERE phone = %s", [TERMINAL]).fetchone()
        store.save(connection, [(terminal, fix, None) for fix in fixes], clock.now(), peer="test")
    trips.derive(city, clock.now())
    on = clock.local_date(start)
    found = [
        trip for trip in calls("dispatcher.xihu")("GET", f"/trips?start_on={on}&end_on={on}").json if trip["matches"]
    ]
    assert found
    orders = [{part["order_id"] for part in trip["matches"]} for trip in found]
    assert len(orders[0]) == 2
    assert all(one == orders[0] for one in orders), "a trip belongs to one of them only"
    page = visits("dispatcher.xihu").get(f"/trips/{found[0]['id']}").text
    assert number in page
    assert other in page


def test_an_event_keeps_its_cars_for_its_own_orders(calls, city):
    start, end = window(9)
    office, dispatcher = calls("vehicle_office.city"), calls("dispatcher.xihu")
    about = {"org_id": world.actor(city, "dispatcher.xihu").org_id, "name": "西湖论坛"}
    event = office(
        "POST", "/occasions", about | {"start_at": start.isoformat(), "end_at": end.isoformat()}, status=201
    ).json
    foreign = asked_by(calls, "xhedu", start, end)
    ours = asked_by(calls, "xhhealth", start, end, kind="event", occasion_id=event["id"])
    crew = free_case(dispatcher, foreign)
    path = f"/occasions/{event['id']}"
    office(
        "POST", f"{path}/holds", {"vehicle_ids": [crew["vehicle_id"]], "driver_ids": [crew["driver_id"]]}, status=201
    )
    refused = dispatcher("POST", f"/orders/{foreign}/assignment", crew, status=409).json
    assert (refused["code"], "重大活动" in refused["message"]["zh"]) == ("planning.kept_for_other", True)
    dispatcher("POST", f"/orders/{ours}/assignment", crew, status=201)
    again = office("POST", f"{path}/holds", {"vehicle_ids": [crew["vehicle_id"]]}, status=409).json
    assert again["code"] == "occasions.clash"
    found = office("GET", f"{path}/summary").json
    assert (found["orders"], found["served"], found["vehicles_kept"]) == (1, 0, 1)
    assert office("POST", f"{path}/cancel", {}, status=422).json["code"] == "occasions.orders_live"


# ---- two dispatchers at once: one wins, the other is told, nothing is lost ------------------------------------------------


def at_once(*calls):
    """Call all at the same moment, each in a thread of its own; returns their answers in order."""
    barrier, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def one(number, call):
        barrier.wait()
        answers[number] = call()

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_one_vehicle_is_given_to_one_of_two_orders(calls):
    start, end = window(12)
    people = [calls("dispatcher.xihu"), calls("dispatcher.city")]
    orders = [asked_by(calls, unit, start, end) for unit in ("xhedu", "xhhealth")]
    case = next(row for row in people[0]("GET", f"/orders/{orders[0]}/candidates").json if row["code"] is None)
    crew = {"vehicle_id": case["vehicle_id"], "driver_id": case["driver_id"]}

    def assign(person, order_id):
        return lambda: person.ask("POST", f"/orders/{order_id}/assignment", crew)

    answers = at_once(*(assign(person, order_id) for person, order_id in zip(people, orders, strict=True)))
    assert sorted(answer.status for answer in answers) == [201, 409]
    [lost] = [number for number, answer in enumerate(answers) if answer.status == 409]
    told = answers[lost].json
    assert told["code"] == "planning.vehicle_taken"
    assert answers[1 - lost].json["plate"] in told["message"]["zh"]
    states = [people[0]("GET", f"/orders/{order_id}").json["state"] for order_id in orders]
    assert (states[lost], states[1 - lost]) == ("APPROVED", "DISPATCHED")
    other = next(row for row in people[0]("GET", f"/orders/{orders[lost]}/candidates").json if row["code"] is None)
    again = {"vehicle_id": other["vehicle_id"], "driver_id": other["driver_id"]}
    people[lost]("POST", f"/orders/{orders[lost]}/assignment", again, status=201)


def test_two_plans_and_one_plan_twice(calls):
    start, end = window(13)
    people = [calls("dispatcher.xihu"), calls("dispatcher.city")]
    orders = [asked_by(calls, unit, start, end) for unit in ("xhedu", "xhhealth")]
    asked = {"start_at": start.isoformat(), "end_at": end.isoformat(), "time_limit_s": 1}
    runs = [person("POST", "/plans", asked, status=201).json["id"] for person in people]

    def confirm(person, run):
        return lambda: person("POST", f"/plans/{run}/confirm", {}).json

    first, second = at_once(confirm(people[0], runs[0]), confirm(people[1], runs[1]))
    for order_id in orders:
        codes = [
            next((row["code"] for row in rows if row["order_id"] == order_id), "not proposed")
            for rows in (first, second)
        ]
        assert None in codes, "an order got lost; both are content where both plans gave it the same vehicle and driver"
        assert set(codes) - {None} <= {
            "planning.already_assigned",
            "planning.vehicle_taken",
            "planning.driver_taken",
            "not proposed",
        }
    day = people[0]("GET", f"/assignments?day={clock.local_date(start)}").json
    made = {row["order_id"]: row["run_id"] for row in day if row["order_id"] in orders}
    assert sorted(made) == sorted(orders)
    assert len(set(made.values())) == 1, "the writers are put in order: one run after the other"
    winner = runs.index(made[orders[0]])
    # By whoever asked for the run: a district's dispatcher does not see the city's.
    twice = at_once(*(confirm(people[winner], runs[winner]) for _ in range(2)))
    assert [[row["code"] for row in rows] for rows in twice] == [[None] * len(twice[0])] * 2, (
        "the same again is no conflict"
    )
    day = people[0]("GET", f"/assignments?day={clock.local_date(start)}").json
    assert sorted(row["order_id"] for row in day if row["order_id"] in orders) == sorted(orders)
