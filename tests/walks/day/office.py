"""What applicants, approvers and dispatchers do at their desks."""

import re
import uuid
from datetime import datetime, timedelta
from typing import Any

from fleetapp.web.display import input_moment
from tests import serving
from tests.walks.day import road
from tests.walks.day.fleet import UNITS, Wish
from tests.walks.day.life import Day, Held
from tests.walks.day.people import Person

DISPATCHERS = {
    "cityedu": "dispatcher.city",
    "xhedu": "dispatcher.xihu",
    "xhhealth": "dispatcher.xihu",
    "bjwater": "dispatcher.binjiang",
}
BATCH = 50
REASON = "参加全市工作会议"


def apply(day: Day, wish: Wish) -> None:
    """Apply for a vehicle in one's own name; whoever asks late takes what is left of the notice."""
    name = "应急处置防汛险情" if wish.urgent else REASON
    said = {
        "kind": "emergency" if wish.urgent else "ordinary", "purpose": "emergency" if wish.urgent else "meeting", "reason": name,
        "passengers": f"科室 {wish.people} 人", "passenger_count": wish.people, "contact": "0571-87000000",
        "body": "minibus" if wish.people > 4 else "sedan", "start_at": wish.start_at.isoformat(), "end_at": wish.end_at.isoformat(),
        "stops": [{"name": name, "lat": lonlat[1], "lon": lonlat[0]} for name, lonlat in (wish.origin, wish.there)],
        "request_key": uuid.uuid4().hex, "overlap_reason": "两组分乘",
    }  # fmt: skip
    made = day.who(wish.applicant).must("POST", "/api/v1/orders", data=said)
    if made:
        day.orders[wish.number] = made["id"]


def approve(day: Day, unit: str) -> None:
    """Look into the inbox and agree: what is green at once, the rest one by one."""
    who = day.who(f"approver.{unit}")
    waiting = [row["id"] for row in who.must("GET", "/api/v1/orders/inbox") or []]
    if len(waiting) > 3:
        for first in range(0, len(waiting), BATCH):
            who.ask("POST", "/api/v1/orders/batch-approve", data={"order_ids": waiting[first : first + BATCH]})
        waiting = [row["id"] for row in who.must("GET", "/api/v1/orders/inbox") or []]
    for order_id in waiting:
        who.must("POST", f"/api/v1/orders/{order_id}/approve", data={"note": "同意"})


def approve_all(day: Day) -> None:
    """Let every unit's approver look into the inbox."""
    for unit in UNITS:
        approve(day, unit)


# ---- plans ------------------------------------------------------------------------------------------------------------


def plan(day: Day, username: str, start: datetime, end: datetime, *, seconds: int, without: str = "") -> int:
    """Ask for a plan on the board, wait for it and take over what it changes; returns how many orders moved."""
    who = day.who(username)
    asked = who.ask("POST", "/board/plans", form=[
        ("start_at", input_moment(start)), ("end_at", input_moment(end)), ("time_limit_s", str(seconds)), ("drivers_out", without)])  # fmt: skip
    found = re.search(r"/board/plans/(\d+)", asked.text)
    if asked.status != 200 or not found:
        day.count("plans with nothing to plan")
        return 0
    path = found[0]
    day.make_plans()
    page = who.ask("GET", path)
    forms = serving.forms(page, f"{path}/accept")
    ticked = [pair for form in forms for pair in form.fields if pair[0] == "order_ids"]
    day.count("plans made")
    if not ticked:
        return 0
    taken = who.ask("POST", f"{path}/accept", form=ticked)
    if taken.status != 200:
        said = re.search(r'role="alert">(.*?)</div>', taken.text, re.DOTALL)
        day.count(f"plans refused: {re.sub(r'<[^>]+>', '', said[1]).strip()[:60] if said else taken.status}")
        return 0
    day.count("orders moved by plans", len(ticked))
    road.look(day)
    return len(ticked)


def by_hand(day: Day, order_id: int) -> None:
    """Give a waiting order its best vehicle by hand, else send its people by rental, with a reason."""
    wish = day.wish_of(order_id)
    who = day.who(DISPATCHERS[wish.unit])
    rows = who.must("GET", f"/api/v1/orders/{order_id}/candidates") or []
    for row in [row for row in rows if row["code"] is None and row["driver_id"]][:3]:
        crew = {"vehicle_id": row["vehicle_id"], "driver_id": row["driver_id"]}
        if who.ask("POST", f"/api/v1/orders/{order_id}/assignment", data=crew).status == 201:
            day.count("given by hand")
            road.look(day)
            return
    said = {
        "kind": "rental",
        "reason": "none_free",
        "price": "300.00",
        "provider": "杭州某租赁公司",
        "note": "无空闲车辆",
    }
    if who.ask("POST", f"/api/v1/orders/{order_id}/fallback", data=said).status < 300:
        day.count("rented")


def leftovers(day: Day, before: datetime) -> None:
    """Deal with what still waits and starts soon: no plan found it a vehicle."""
    states = day.states()
    for wish in day.fleet.wishes:
        order_id = day.orders.get(wish.number)
        if order_id is not None and wish.start_at < before and states.get(order_id) == "APPROVED":
            by_hand(day, order_id)


# ---- the board as the day goes --------------------------------------------------------------------------------------------


def watch(day: Day, username: str) -> None:
    """Look at the board and give a word to whoever an exception is about."""
    who = day.who(username)
    shown = who.must("GET", f"/board/live/data?day={day.on}&size=500")
    for alert in (shown or {}).get("alerts", []):
        day.count(f"alert {alert['code']}")
        who.ask("POST", f"/board/day/{alert['order_id']}/remind/{alert['code']}", data={"seen": alert["seen"]})


def insert(day: Day, wish: Wish) -> None:
    """Take in an emergency: apply, approve, and let the board say at once which vehicle, moving others where that is better."""
    apply(day, wish)
    approve(day, wish.unit)
    order_id, who = day.orders[wish.number], day.who(DISPATCHERS[wish.unit])
    shown = who.must("GET", f"/board/plans/insert?order_id={order_id}")
    moves = (shown or {}).get("moves") or []
    if not moves and shown and shown["best"]:
        best = shown["best"][0]
        moves = [{"order_id": order_id, "seen": None, "vehicle_id": best["vehicle_id"], "driver_id": best["driver_id"]}]
    if not moves or who.ask("POST", "/board/live/moves", data={"moves": moves, "undo": False}).status != 200:
        day.count(f"emergencies not inserted: {(shown or {}).get('none', '')}")
        by_hand(day, order_id)
        return
    day.count("emergencies inserted")
    road.look(day)
    day.later(wish.start_at - timedelta(minutes=10), "driver sets out", lambda: road.set_out(day, order_id))


def substitute(day: Day, held: Held) -> None:
    """Send another vehicle for one that broke down, and the old one to repair."""
    for username in dict.fromkeys([DISPATCHERS[day.wish_of(held.order_id).unit], "dispatcher.city"]):
        if _substituted(day, held, day.who(username)):
            return
    # Nobody is free: the passengers go on by taxi, the vehicle is towed home and checked in there.
    day.count("breakdowns without a substitute")
    car, who = day.fleet.cars[held.vehicle_id], day.who(day.fleet.driver_names[held.driver_id])
    body = {"odometer_km": round(car.odometer_m / 1000 + 1, 1), "level_percent": 50, "note": "车辆故障，拖回"}
    day.later(
        day.clock.now() + timedelta(hours=1),
        "driver on the way",
        lambda: road.act(day, who, "CHECK_IN", held.assignment_id, body) and None,
    )


def _substituted(day: Day, held: Held, who: Person) -> bool:
    found = who.must("GET", f"/board/day/{held.order_id}/substitutes")
    for row in (found or {}).get("rows", []):
        said = {
            "seen": found["seen"],
            "vehicle_id": row["vehicle_id"],
            "driver_id": row["driver_id"],
            "reason": "发动机故障",
            "repair": True,
        }
        if who.ask("POST", f"/board/day/{held.order_id}/substitute", data=said).status == 200:
            day.count("breakdowns with a substitute")
            day.troubles[held.order_id] = "substituted"
            road.look(day)
            day.later(
                day.clock.now() + timedelta(minutes=8), "driver sets out", lambda: road.set_out(day, held.order_id)
            )
            return True
    return False


def fall_ill(day: Day, driver_id: int) -> None:
    """A driver asks for leave for today; the dispatcher gives the journeys to others first, then grants it."""
    username = day.fleet.driver_names[driver_id]
    road.act(
        day,
        day.who(username),
        "LEAVE",
        None,
        {"from_on": day.on.isoformat(), "until_on": day.on.isoformat(), "reason": "突发疾病"},
    )
    boss = "dispatcher.city"
    moved = plan(day, boss, day.clock.now(), day.at(20), seconds=5, without=username)
    day.count("orders moved for an illness", moved)
    page = day.who(boss).must("GET", f"/roster?day={day.on}")
    for path in re.findall(r"/roster/\d+/grant", page or ""):
        answer = day.who(boss).ask("POST", path, form=[("note", "请好好休息")])
        day.count(
            "illness granted" if answer.status == 200 or answer.status == 302 else f"illness refused {answer.status}"
        )
        if answer.status >= 400:
            for left in [
                one
                for one in day.held()
                if one.driver_id == driver_id and one.state in {"DISPATCHED", "DRIVER_ACCEPTED"}
            ]:
                day.who(boss).must(
                    "DELETE", f"/api/v1/orders/{left.order_id}/assignment", data={"reason": "驾驶员突发疾病"}
                )
                by_hand(day, left.order_id)
            day.who(boss).ask("POST", path, form=[("note", "请好好休息")])


def cancel(day: Day, order_id: int) -> None:
    """Cancel one's own order while it may still be cancelled, with a reason."""
    wish, state = day.wish_of(order_id), day.states()[order_id]
    way = {"APPROVED": "cancel", "DISPATCHED": "cancel-dispatched", "DRIVER_ACCEPTED": "cancel-dispatched"}.get(state)
    if way is None:
        return
    day.who(wish.applicant).must("POST", f"/api/v1/orders/{order_id}/{way}", data={"reason": "会议改期"})
    day.count("cancelled by the applicant")


def nobody_came(day: Day, order_id: int) -> None:
    """Record that the passengers did not come."""
    state = day.states()[order_id]
    if state != "DRIVER_ACCEPTED":
        day.count(f"no-show not possible: {state}")
        return
    who = day.who(DISPATCHERS[day.wish_of(order_id).unit])
    who.must("POST", f"/api/v1/orders/{order_id}/no-show", data={"reason": "驾驶员等候 20 分钟，乘车人未到且联系不上"})
    day.count("no-shows")


def give_up(day: Day) -> None:
    """In the evening call off what never left, with why."""
    for held in day.held():
        if held.state in {"DISPATCHED", "DRIVER_ACCEPTED"}:
            who = day.who(DISPATCHERS[day.wish_of(held.order_id).unit])
            said = {"reason": "车辆未能出车，用车时间已过"}
            who.must("POST", f"/api/v1/orders/{held.order_id}/cancel-dispatched", data=said)
            day.count("called off in the evening")


# ---- afterwards -------------------------------------------------------------------------------------------------------


def end(day: Day, order_id: int) -> None:
    """Confirm the distance, or the bill of what was hired."""
    who, state = day.who(day.wish_of(order_id).applicant), day.states()[order_id]
    if state == "RETURNED":
        who.must("POST", f"/api/v1/orders/{order_id}/confirmation", data={"reason": "按实际行程确认"})
    elif state == "OUTSOURCED":
        form = [("bill_cny", "300.00"), ("driven_km", "20"), ("@receipt", "%PDF-1.4 receipt")]
        who.must("POST", f"/api/v1/orders/{order_id}/bill", form=form, files=True)


def agree(day: Day) -> None:
    """Confirm and pay every statement that was issued, by the units that pay."""
    for unit in (*UNITS, "fleet"):
        who = day.who(f"unit_admin.{unit}" if unit != "fleet" else "finance.city")
        rows: list[dict[str, Any]] = who.must("GET", "/api/v1/statements") or []
        for row in rows:
            if row["state"] == "ISSUED":
                who.ask("POST", f"/statements/{row['id']}/confirm", form=[("go", "1")])
            if row["state"] in {"ISSUED", "CONFIRMED"}:
                voucher = [("voucher_no", f"JZ-{row['id']}"), ("paid_on", day.clock.now().date().isoformat())]
                day.who("finance.city").ask("POST", f"/statements/{row['id']}/pay", form=voucher)
