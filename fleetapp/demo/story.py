"""A month of journeys that ends now, with labelled truth: mostly ordinary, some suspected deviations, their cousins."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from random import Random

from fleetapp.demo.city import CITY, City
from fleetapp.demo.drive import LOCAL, Quirks
from fleetapp.demo.fleet import Vehicle
from fleetapp.demo.planner import Planner, Wish
from fleetapp.demo.purposes import CANCELLATIONS, REJECTIONS, SERVICE_DWELL_MIN, SERVICE_REASONS
from fleetapp.demo.records import Label, Leg, Order, Story
from fleetapp.demo.today import today
from fleetapp.demo.tours import ceil_to, local_moment
from fleetapp.places.roads import RoadGraph, distance_m

DEVIATION_SHARE = 0.04
DEVIATION_CYCLE = ("A-01", "A-03", "E-01", "B", "E-02", "A-01", "A-03", "E-01", "A-01", "A-03")
REST_DAY_SHARE = 0.07
REJECTED_SHARE, CANCELLED_SHARE, QUIRK_SHARE, LONG_STAY_SHARE = 0.025, 0.02, 0.012, 0.004
SERVICES_PER_ORDER = 0.06
TRIES = 40
CLEAR_OF_ORDERS = timedelta(minutes=75)
"""An undeclared trip keeps this far from any window, so that no order can rightly claim it (rule catalogue P11)."""
VARIANTS = {"A-03": "overrun", "E-02": "overnight"}
NOTES = {
    "A-01": ("无派车单出行", "Trip without an order", ()),
    "E-01": ("无派车单短暂驶离定点停放处", "Short departure from designated parking without an order", ("A-01",)),
    "B-01": ("节假日无派车单出行", "Trip on a holiday without an order", ("A-01", "E-01")),
    "B-02": ("休息日无派车单出行", "Trip on a rest day without an order", ("A-01", "E-01")),
    "A-03": ("超出批准时段返回", "Return long after the approved window", ("A-01",)),
    "E-02": ("夜间未返回定点停放处", "Not at designated parking overnight", ("A-01", "A-03", "E-01")),
}


def weekday_rule(on: date) -> str:
    """Kind of a day by weekday alone: workday or rest; no holidays."""
    return "rest" if on.weekday() >= 5 else "workday"


def month(
    city: City,
    roads: RoadGraph,
    *,
    seed: int,
    now: datetime,
    days: int = 30,
    orders_per_day: int = 40,
    day_kind: Callable[[date], str] = weekday_rule,
) -> Story:
    """Tell ``days`` local days, the last of which is the day of ``now`` with orders in every state.

    ``day_kind`` gives workday, rest or holiday. The same arguments always tell the same story. Raises ``ValueError``
    for fewer than 2 days, fewer than 1 order a day, or a ``now`` without a zone.
    """
    if days < 2 or orders_per_day < 1 or now.tzinfo is None:
        raise ValueError("a story needs at least 2 days, 1 order a day, and a time with its zone")
    planner = Planner(city, roads, Random(f"story {seed}"), day_kind)
    end_on = now.astimezone(LOCAL).date()
    past = [end_on - timedelta(days=back) for back in range(days - 1, 0, -1)]
    wanted = _wanted(planner, past, orders_per_day)
    for on in past:
        _day(planner, on, wanted[on], orders_per_day)
    for on in past:
        for kind in wanted[on]:
            if kind in ("A-01", "E-01", "B"):
                _undeclared(planner, on, kind)
    today(planner, now=now, orders_per_day=orders_per_day)
    return _told(planner, past[0], end_on, now)


def _wanted(planner: Planner, past: list[date], orders_per_day: int) -> dict[date, list[str]]:
    """Spread deviations and approved long stays over the days on which they can happen."""
    rng = planner.rng
    work = [on for on in past if planner.day_kind(on) == "workday"]
    before_work = [on for on, following in pairwise(work) if following - on == timedelta(days=1)]
    rest = [on for on in past if planner.day_kind(on) != "workday"]
    expected = len(work) * orders_per_day
    days_for = {"B": rest, "E-02": before_work, "long stay": before_work}
    kinds = [
        DEVIATION_CYCLE[number % len(DEVIATION_CYCLE)]
        for number in range(max(len(DEVIATION_CYCLE) // 2, round(expected * DEVIATION_SHARE)))
    ]
    kinds += ["long stay"] * max(1, round(expected * LONG_STAY_SHARE))
    wanted: dict[date, list[str]] = {on: [] for on in past}
    for kind in kinds:
        choice = days_for.get(kind, work)
        if choice:
            wanted[rng.choice(choice)].append(kind)
    return wanted


def _day(planner: Planner, on: date, wanted: list[str], orders_per_day: int) -> None:
    """Orders of one past day: the ones with a story first, because they need free vehicles most."""
    rng = planner.rng
    workday = planner.day_kind(on) == "workday"
    count = round(orders_per_day * rng.uniform(0.88, 1.12) * (1.0 if workday else REST_DAY_SHARE))
    for kind in wanted:
        if kind in VARIANTS or kind == "long stay":
            _with_story(planner, on, kind)
    for _ in range(count):
        for _ in range(TRIES):
            wish = planner.wish(None if workday else "emergency")
            hour = _hour(rng) if workday else rng.uniform(8.0, 19.0)
            latest_at = local_moment(on, 19.25 if workday else 23.0)
            order = planner.driven(wish, depart_at=local_moment(on, hour), latest_at=latest_at)
            if order and order.checked_out_at and order.checked_in_at and not workday:
                span = (order.checked_out_at, order.checked_in_at)
                note, note_en = "休息日应急用车,已批准", "Approved emergency duty on a rest day"
                planner.labels.append(Label("duty", "B-02", False, order.plate, order.key, *span, note, note_en))
            if order:
                break
    for share, close in ((REJECTED_SHARE, _rejected), (CANCELLED_SHARE, _cancelled)):
        for _ in range(_about(rng, count * share)):
            close(planner, on)
    for _ in range(_about(rng, count * SERVICES_PER_ORDER * workday)):
        _service(planner, on)


def _hour(rng: Random) -> float:
    """Departure on a workday: a morning and an early-afternoon peak."""
    return rng.triangular(8.3, 11.0, 9.0) if rng.random() < 0.6 else rng.triangular(12.8, 15.6, 13.6)


def _about(rng: Random, expected: float) -> int:
    """A whole number with this mean."""
    return int(expected) + (rng.random() < expected % 1)


def _with_story(planner: Planner, on: date, kind: str) -> None:
    """An order that overruns, stays out overnight without leave, or stays away overnight with leave."""
    rng = planner.rng
    variant = VARIANTS.get(kind, "approved_overnight")
    for _ in range(TRIES):
        wish = planner.wish(rng.choice(("inspection", "meeting", "research")))
        if variant == "approved_overnight":
            wish = _far(planner, wish)
        hour = rng.uniform(12.8, 14.2) if variant != "overrun" else rng.uniform(8.4, 13.0)
        order = planner.driven(
            wish, depart_at=local_moment(on, hour), variant=variant, latest_at=local_moment(on, 22.5)
        )
        if order is None or order.checked_in_at is None:
            continue
        span = (local_moment(on, 22.0), order.checked_in_at)
        if variant == "approved_overnight":
            note, note_en = "经批准在外过夜", "Away overnight with approval"
            planner.labels.append(
                Label("approved_overnight", "E-02", False, order.plate, order.key, *span, note, note_en)
            )
        else:
            note, note_en, also = NOTES[kind]
            start_at = order.end_at if variant == "overrun" else span[0]
            planner.labels.append(
                Label(variant, kind, True, order.plate, order.key, start_at, span[1], note, note_en, also)
            )
        return


def _far(planner: Planner, wish: Wish) -> Wish:
    """The same wish with one destination at least 60 km away."""
    far = [
        place.point
        for place in planner.city.places
        if place.category in ("gov_district", "gov_county", "town")
        and distance_m(place.point.lonlat, wish.unit.home.lonlat) > 60_000
    ]
    return replace(wish, stops=(planner.rng.choice(far),), dwells_s=(3600.0,)) if far else wish


def _undeclared(planner: Planner, on: date, kind: str) -> None:
    """A trip that no order covers."""
    rng = planner.rng
    rule = ("B-01" if planner.day_kind(on) == "holiday" else "B-02") if kind == "B" else kind
    for _ in range(TRIES):
        vehicle = rng.choice([one for one in planner.city.vehicles if one.category != "JYTX"])
        if kind == "E-01":
            destination, dwell_s = planner.roadside_near(vehicle.home, 350.0, 900.0), rng.uniform(480, 780)
        else:
            near_m, far_m = (8_000, 35_000) if kind == "B" else (3_000, 18_000)
            away = [
                place.point
                for place in planner.city.places
                if near_m <= distance_m(place.point.lonlat, vehicle.home.lonlat) <= far_m
            ]
            if not away:
                continue
            destination = rng.choice(away)
            dwell_s = rng.uniform(60, 150) * 60 if kind == "B" else rng.uniform(20, 60) * 60
        evening = kind == "A-01" and rng.random() < 0.25
        start_at = local_moment(on, rng.uniform(19.2, 20.2) if evening else rng.uniform(8.8, 15.0))
        span = planner.undeclared(
            vehicle,
            start_at=start_at,
            destination=destination,
            dwell_s=dwell_s,
            label="undeclared",
            margin=CLEAR_OF_ORDERS,
        )
        if span:
            note, note_en, also = NOTES[rule]
            planner.labels.append(Label("undeclared", rule, True, vehicle.plate, None, *span, note, note_en, also))
            return


def _service(planner: Planner, on: date) -> None:
    """Washing, fuel, charging or repair with its own order, so that the movement is covered."""
    rng = planner.rng
    for _ in range(TRIES):
        vehicle = rng.choice(planner.city.vehicles)
        allowed = {"bev": ("wash", "charging", "repair"), "phev": tuple(SERVICE_REASONS)}
        service = rng.choice(allowed.get(vehicle.model.energy, ("wash", "fuel", "repair")))
        wish = _service_wish(planner, vehicle, service)
        hour = rng.uniform(8.7, 15.5)
        order = planner.driven(wish, depart_at=local_moment(on, hour), latest_at=local_moment(on, 18.5))
        if order and order.checked_out_at and order.checked_in_at:
            span = (order.checked_out_at, order.checked_in_at)
            note, note_en = wish.reason
            planner.labels.append(Label("service_order", "A-01", False, order.plate, order.key, *span, note, note_en))
            return


def _service_wish(planner: Planner, vehicle: Vehicle, service: str) -> Wish:
    org = next(org for org in planner.city.orgs if org.code == vehicle.org)
    shops = [
        place.point for place in planner.city.places if place.category == service and org.adcode in (CITY, place.adcode)
    ]
    shop = min(shops, key=lambda point: distance_m(point.lonlat, vehicle.home.lonlat))
    return Wish(
        unit=org,
        purpose="maintenance",
        passengers=1,
        stops=(shop,),
        dwells_s=(planner.rng.uniform(*SERVICE_DWELL_MIN[service]) * 60,),
        reason=SERVICE_REASONS[service],
        kind="service",
    )


def _paper(planner: Planner, on: date) -> Order:
    """An order for an hour of the day, applied for the workday before."""
    rng = planner.rng
    wish = planner.wish()
    start_at = ceil_to(local_moment(on, _hour(rng)), 15)
    created_at, *_ = planner.lead(start_at, urgent=False)
    end_at = start_at + timedelta(minutes=30 * rng.randint(3, 8))
    return planner.paper(wish, start_at=start_at, end_at=end_at, created_at=created_at)


def _rejected(planner: Planner, on: date) -> None:
    order = _paper(planner, on)
    reason = planner.rng.choice(REJECTIONS)
    decided_at = order.created_at + timedelta(minutes=planner.rng.randint(5, 25))
    planner.change(order, state="rejected", decided_at=decided_at, closed_at=decided_at, closing_reason=reason)
    planner.labels.append(
        Label("rejected", "A-06", False, None, order.key, order.start_at, order.end_at, "审批未通过", "Rejected order")
    )


def _cancelled(planner: Planner, on: date) -> None:
    order = _paper(planner, on)
    decided_at = order.created_at + timedelta(minutes=planner.rng.randint(5, 20))
    closed_at = decided_at + timedelta(minutes=planner.rng.randint(5, 20))
    reason = planner.rng.choice(CANCELLATIONS)
    planner.change(order, state="cancelled", decided_at=decided_at, closed_at=closed_at, closing_reason=reason)
    planner.labels.append(
        Label("cancelled", "A-06", False, None, order.key, order.start_at, order.end_at, "已取消", "Cancelled order")
    )


def _told(planner: Planner, first_on: date, end_on: date, now: datetime) -> Story:
    """Order everything in time, give some drives faulty data, run the odometers."""
    by_plate: dict[str, list[Leg]] = defaultdict(list)
    for leg in _with_quirks(planner, now):
        by_plate[leg.plate].append(leg)
    legs: dict[str, tuple[Leg, ...]] = {}
    out_m: dict[str, int] = {}
    in_m: dict[str, int] = {}
    for vehicle in planner.city.vehicles:
        reading_m = float(vehicle.odometer_m)
        run = []
        for leg in sorted(by_plate[vehicle.plate], key=lambda leg: leg.start_at):
            run.append(replace(leg, odometer_m=round(reading_m)))
            if leg.order:
                out_m.setdefault(leg.order, round(reading_m))
            reading_m += leg.length_m
            if leg.order:
                in_m[leg.order] = round(reading_m)
        legs[vehicle.plate] = tuple(run)
    orders = (
        replace(
            order,
            odometer_out_m=out_m[order.key] if order.checked_out_at else None,
            odometer_in_m=in_m[order.key] if order.checked_in_at else None,
        )
        for order in planner.orders
    )
    return Story(
        first_on=first_on,
        end_on=end_on,
        now=now,
        orders=tuple(sorted(orders, key=lambda order: (order.created_at, order.key))),
        legs=legs,
        labels=tuple(sorted(planner.labels, key=lambda label: (label.start_at, label.rule, label.plate or ""))),
    )


def _with_quirks(planner: Planner, now: datetime) -> list[Leg]:
    """Give a few ordinary drives a data gap, a late upload, a basement or an ignition flicker, and label them benign."""
    rng = planner.rng
    storied = {label.order for label in planner.labels}
    plain = [
        index
        for index, leg in enumerate(planner.legs)
        if leg.order
        and leg.order not in storied
        and leg.end_at < now
        and leg.end_at - leg.start_at > timedelta(minutes=14)
    ]
    to_stop = [index for index in plain if planner.legs[index].label not in ("return", "drop", "pick up")]
    each = max(1, round(len(planner.orders) * QUIRK_SHARE))
    legs = list(planner.legs)
    quirks = (
        ("data_gap", "F-02", plain, "行驶中数据缺失,一次", "Data missing while driving, once"),
        ("blind_upload", "F-01", plain, "盲区补报", "Late blind-area upload"),
        ("basement", "F-02", to_stop, "地下车库无信号", "No signal in a basement"),
        ("ignition_flicker", "F-03", plain, "点火瞬断一秒", "Ignition off for one second"),
    )
    used: set[int] = set()
    for kind, rule, pool, note, note_en in quirks:
        free = [index for index in pool if index not in used]
        for index in rng.sample(free, min(each, len(free))):
            leg = legs[index]
            used.add(index)
            seconds = int((leg.end_at - leg.start_at).total_seconds())
            start_s = rng.randint(120, seconds // 3)
            fault = {
                "data_gap": Quirks(gap_s=(start_s, start_s + rng.randint(180, min(seconds // 2, 720)))),
                "blind_upload": Quirks(blind_s=(start_s, start_s + seconds // 2)),
                "basement": Quirks(basement=True),
                "ignition_flicker": Quirks(flicker_s=start_s),
            }[kind]
            legs[index] = replace(leg, quirks=fault)
            planner.labels.append(
                Label(kind, rule, False, leg.plate, leg.order, leg.start_at, leg.end_at, note, note_en)
            )
    return legs
