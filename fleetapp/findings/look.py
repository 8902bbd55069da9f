"""Rows become what the rules look at: one vehicle over some local days, every rule asked about everything in it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from sqlalchemy.orm import Session

from fleetapp.duty import queries as duties
from fleetapp.duty.queries import OrderOfVehicle
from fleetapp.findings import judge, queries, rules
from fleetapp.findings.inputs import DayUse, OrderFacts, OrderUse, Outing, Overnight, WeakPart
from fleetapp.findings.queries import Outside
from fleetapp.findings.rules import Clue, FigureRow, Figures, Silence
from fleetapp.kit import clock
from fleetapp.places import queries as places
from fleetapp.tracking import queries as tracking
from fleetapp.trips.models import Trip, TripMatch
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import Day, DayKind

MARGIN = timedelta(days=1)
"""Trips and orders this far around a window are read with it, so that outings across its edge are seen whole."""
SAME_OUTING = timedelta(minutes=30)
"""Movements less than this apart are one incident (rule catalogue, primitive P13)."""
STILL_DRIVING = timedelta(minutes=15)
"""A trip whose last fix is younger may go on."""
AFTER_EVENING = timedelta(minutes=10)
"""The evening is judged this much later, when the fixes around it have come in."""
COVERED_STEP_S = 60.0
"""A fix covers at most so much time (rule catalogue, primitive P6)."""
OPEN_END = timedelta(hours=24)
"""An order never checked in counts as out for so long after its end."""


@dataclass(slots=True)
class Seen:
    """What the rules answered."""

    clues: list[Clue] = field(default_factory=list)
    silences: Counter[Silence] = field(default_factory=Counter)

    def add(self, judgement: judge.Judgement) -> None:
        """Keep an answer."""
        if isinstance(judgement, Clue):
            self.clues.append(judgement)
        elif judgement is not None:
            self.silences[judgement] += 1


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything known of a vehicle over ``[start, end)``; ``away`` by trip id, without a designated place empty."""

    vehicle: Vehicle
    start: datetime
    end: datetime
    now: datetime
    trips: Sequence[Trip]
    orders: Sequence[OrderFacts]
    slips: Mapping[int, str]
    days: Mapping[date, Day]
    away: Mapping[int, Outside]
    figure_rows: Sequence[FigureRow]

    def figures(self, at: datetime) -> Figures:
        """Return the figures in force on a moment's local day."""
        return rules.figures_on(self.figure_rows, on=clock.local_date(at), org_path=self.vehicle.org.path)

    def day(self, at: datetime) -> Day:
        """Return the kind of a moment's local day."""
        return self.days[clock.local_date(at)]


def look(
    session: Session, *, vehicle_id: int, first_on: date, last_on: date, now: datetime, figure_rows: Sequence[FigureRow]
) -> Seen:
    """Ask every rule about a vehicle's incidents that began on the local days ``first_on`` to ``last_on``."""
    scene = _scene(session, vehicle_id=vehicle_id, first_on=first_on, last_on=last_on, now=now, figure_rows=figure_rows)
    seen = Seen()
    covered = _orders(scene, seen)
    _weak_parts(scene, seen)
    for outing in _outings(scene, covered):
        figures = scene.figures(outing.start_at)
        seen.add(judge.trip_without_order(outing, figures))
        seen.add(judge.left_designated_place(outing, figures))
    for use in _day_uses(scene, covered):
        figures = scene.figures(use.start_at)
        seen.add(judge.holiday_use(use, figures))
        seen.add(judge.rest_day_use(use, figures))
    _nights(session, scene, seen)
    seen.clues = [clue for clue in seen.clues if scene.start <= clue.start_at < scene.end]
    return seen


def _scene(
    session: Session, *, vehicle_id: int, first_on: date, last_on: date, now: datetime, figure_rows: Sequence[FigureRow]
) -> Scene:
    start, end = clock.start_of(first_on), clock.start_of(last_on + timedelta(days=1))
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id)
    found = queries.trips_between(session, vehicle_id=vehicle_id, start=start - MARGIN, end=min(end + MARGIN, now))
    orders = duties.orders_of_vehicle(session, vehicle_id=vehicle_id, start=start - MARGIN, end=end + MARGIN)
    journeys: dict[int, list[OrderOfVehicle]] = {}
    for order in orders:
        journeys.setdefault(order.journey, []).append(order)
    # The last trip before the window tells where the vehicle was; it may be long ago, and its day is asked for too.
    earliest_on = min([first_on, *(clock.local_date(trip.start_at) for trip in found)])
    days = workdays.day_kinds(session, earliest_on - timedelta(days=3), last_on + timedelta(days=3))
    away: dict[int, Outside] = {}
    if vehicle.parking_id is not None and found:
        unmatched = [trip.id for trip in found if any(part.kind == "unmatched" for part in trip.matches)]
        away = queries.outside(session, trips=found, parking_id=vehicle.parking_id, whole=unmatched)
    return Scene(
        vehicle=vehicle, start=start, end=end, now=now, trips=found, orders=[_order_facts(mates) for mates in journeys.values()],
        slips={mate.order_id: _slips(mates) for mates in journeys.values() for mate in mates}, days={day.on: day for day in days}, away=away,
        figure_rows=figure_rows,
    )  # fmt: skip


def _order_facts(mates: Sequence[OrderOfVehicle]) -> OrderFacts:
    """Return the facts of a journey: orders that share it are judged once, as the first of them, over all their time."""
    order = mates[0]
    return OrderFacts(
        order_id=order.order_id, kind=order.order_kind, slip=_slips(mates), start_at=order.start_at,
        end_at=max(mate.end_at for mate in mates), driver_user_id=order.driver_user_id, checked_out_at=order.checked_out_at,
        returned_at=order.returned_at,
    )  # fmt: skip


def _slips(mates: Sequence[OrderOfVehicle]) -> str:
    return "、".join(mate.slip for mate in mates)


# ---- orders ---------------------------------------------------------------------------------------------------------


def _orders(scene: Scene, seen: Seen) -> dict[int, OrderFacts]:
    """Judge each order's own trips; returns the unmatched part ids that lie under an order all the same."""
    covered: dict[int, OrderFacts] = {}
    for number, order in enumerate(scene.orders):
        following = scene.orders[number + 1].start_at if number + 1 < len(scene.orders) else None
        own = [trip for trip in scene.trips if any(part.order_id == order.order_id for part in trip.matches)]
        under = [trip for trip in scene.trips if trip not in own and _under(trip, order, following, scene.now)]
        trips = sorted([*own, *under], key=lambda trip: trip.start_at)
        if not trips:
            continue
        for trip in trips:
            covered |= {part.id: order for part in trip.matches if part.kind == "unmatched"}
        use = OrderUse(
            vehicle_id=scene.vehicle.id, order=order, out_at=trips[0].start_at, back_at=trips[-1].end_at,
            trip_ids=tuple(trip.id for trip in trips), distance_m=sum(trip.best_m for trip in trips),
            coverage=_coverage(trips), end_place=trips[-1].end_place, ongoing=_ongoing(trips[-1], scene.now),
            margin=min((part.margin for trip in own for part in trip.matches if part.order_id == order.order_id), default=1.0),
        )  # fmt: skip
        seen.add(judge.outside_approved_time(use, scene.figures(order.start_at)))
    return covered


def _under(trip: Trip, order: OrderFacts, following: datetime | None, now: datetime) -> bool:
    """Tell whether a trip that belongs to no order was driven while the vehicle was checked out on this one."""
    if order.checked_out_at is None or any(part.order_id is not None for part in trip.matches):
        return False
    back = order.returned_at or min(now, following or now, order.end_at + OPEN_END)
    return order.checked_out_at <= trip.end_at and trip.start_at < back


def _weak_parts(scene: Scene, seen: Seen) -> None:
    known = {order.order_id: order for order in scene.orders}
    for trip in scene.trips:
        for part in trip.matches:
            order = known.get(part.order_id or 0)
            if order is None or part.kind not in {"weak", "ambiguous"} or _ongoing(trip, scene.now):
                continue
            rival = next((c["order_id"] for c in part.candidates if scene.slips.get(c["order_id"]) != order.slip), None)
            seen.add(judge.weak_match(WeakPart(
                vehicle_id=scene.vehicle.id, trip_id=trip.id, start_at=part.start_at, end_at=part.end_at, order=order,
                kind=part.kind, score=part.score or 0.0, margin=part.margin, coverage=_coverage([trip]),
                rival_slip=scene.slips.get(rival or 0), distance_m=part.distance_m,
                parts={name: getattr(part, f"score_{name}") or 0.0 for name in ("time", "dest", "orig", "driver", "events")},
            )))  # fmt: skip


# ---- movement without an order --------------------------------------------------------------------------------------

Part = tuple[Trip, TripMatch]


def _outings(scene: Scene, covered: Mapping[int, OrderFacts]) -> list[Outing]:
    """Join unmatched parts to outings: until the vehicle is back at its place, or for a pause of half an hour."""
    groups: list[list[Part]] = []
    for trip in scene.trips:
        for part in trip.matches:
            if part.kind != "unmatched" or part.id in covered:
                continue
            if groups and _same_outing(groups[-1][-1], (trip, part), scene):
                groups[-1].append((trip, part))
            else:
                groups.append([(trip, part)])
    return [_outing(scene, group) for group in groups]


def _same_outing(last: Part, following: Part, scene: Scene) -> bool:
    away = scene.away.get(last[0].id)
    if away is not None and away.to_m <= judge.HOME_REACH_M:
        return False
    pause = following[1].start_at - last[1].end_at
    same_day = clock.local_date(last[1].end_at) == clock.local_date(following[1].start_at)
    return pause < SAME_OUTING or (away is not None and same_day)


def _outing(scene: Scene, group: Sequence[Part]) -> Outing:
    trips = list({trip.id: trip for trip, _ in group}.values())
    start, end = group[0][1].start_at, group[-1][1].end_at
    away = [scene.away[trip.id] for trip in trips if trip.id in scene.away]
    # A part after a matched one began under way, not at the designated place.
    whole = group[0][1].start_at <= trips[0].start_at
    best = max(((c["score"] or 0.0, c["order_id"]) for _, part in group for c in part.candidates), default=(0.0, 0))
    nearest = min(scene.orders, key=lambda order: _gap_s(order, start, end), default=None)
    same_day = nearest is not None and clock.local_date(nearest.start_at) == clock.local_date(start)
    return Outing(
        vehicle_id=scene.vehicle.id, trip_ids=tuple(trip.id for trip in trips), start_at=start, end_at=end,
        distance_m=sum(part.distance_m for _, part in group), coverage=_coverage(trips), day=scene.day(start),
        from_m=away[0].from_m if away and whole else None, to_m=away[-1].to_m if away else None,
        farthest_m=max(one.farthest_m for one in away) if away else None, best_score=best[0],
        best_slip=scene.slips.get(best[1]), nearest=nearest if same_day else None, start_place=trips[0].start_place,
        end_place=trips[-1].end_place, has_gap=any(trip.gaps for trip in trips),
        vehicle_state=scene.vehicle.state, ongoing=_ongoing(trips[-1], scene.now),
    )  # fmt: skip


def _gap_s(order: OrderFacts, start: datetime, end: datetime) -> float:
    return max((order.start_at - end).total_seconds(), (start - order.end_at).total_seconds())


def _day_uses(scene: Scene, covered: Mapping[int, OrderFacts]) -> list[DayUse]:
    """Return the movement on each day that is no workday, by order; a part across midnight counts by its time."""
    known = {order.order_id: order for order in scene.orders}
    found: dict[tuple[date, int], list[tuple[Trip, TripMatch, float]]] = {}
    for trip in scene.trips:
        for part in trip.matches:
            order = known.get(part.order_id or 0) or covered.get(part.id)
            if part.order_id is not None and order is None:
                continue
            on = clock.local_date(part.start_at)
            while on <= clock.local_date(part.end_at):
                day_start, day_end = clock.day_span(on)
                shared = (min(part.end_at, day_end) - max(part.start_at, day_start)).total_seconds()
                share = shared / (part.end_at - part.start_at).total_seconds()
                if share > 0 and on in scene.days and scene.days[on].kind is not DayKind.WORKDAY:
                    key = (on, order.order_id if order else 0)
                    found.setdefault(key, []).append((trip, part, part.distance_m * share))
                on += timedelta(days=1)
    uses = []
    for (on, order_id), parts in found.items():
        day_start, day_end = clock.day_span(on)
        trips = list({trip.id: trip for trip, _, _ in parts}.values())
        start = max(day_start, min(part.start_at for _, part, _ in parts))
        end = min(day_end, max(part.end_at for _, part, _ in parts))
        nearest = min(scene.orders, key=lambda order: _gap_s(order, start, end), default=None)
        near = nearest is not None and _gap_s(nearest, start, end) <= judge.NEAREST_ORDER.total_seconds()
        uses.append(DayUse(
            vehicle_id=scene.vehicle.id, day=scene.days[on], start_at=start, end_at=end,
            trip_ids=tuple(trip.id for trip in trips), distance_m=sum(metres for _, _, metres in parts),
            coverage=_coverage(trips), order=next((o for o in scene.orders if o.order_id == order_id), None),
            nearest=nearest if near else None,
        ))  # fmt: skip
    return uses


# ---- nights ---------------------------------------------------------------------------------------------------------


def _nights(session: Session, scene: Scene, seen: Seen) -> None:
    """Judge each evening of the window that has passed; a vehicle in maintenance may stand at the workshop."""
    parking_id = scene.vehicle.parking_id
    if parking_id is None or scene.vehicle.state == VehicleState.MAINTENANCE:
        return
    for on in scene.days:
        hour = scene.figures(clock.start_of(on))["E-02.at_h"].value
        at = clock.start_of(on, time(int(hour), round(hour % 1 * 60)))
        if not scene.start <= at < scene.end or at + AFTER_EVENING > scene.now:
            continue
        last = next((trip for trip in reversed(scene.trips) if trip.start_at < at), None)
        if last is None or (last.end_at <= at and scene.away[last.id].to_m <= judge.HOME_REACH_M):
            continue
        blind = timedelta(minutes=judge.BLIND_MIN)
        fixes = tracking.track(session, vehicle_id=scene.vehicle.id, start=at - blind, end=at + blind)
        nearest = min((fix for fix in fixes if fix.fixed), key=lambda fix: abs(fix.at - at), default=None)
        away_m, silent_min = scene.away[last.id].to_m, judge.BLIND_MIN + 1
        if nearest is not None:
            away_m = queries.outside_m(session, parking_id=parking_id, lat=nearest.lat, lon=nearest.lon)
            silent_min = abs((nearest.at - at).total_seconds()) / 60
        place = places.nearest(session, nearest.lat, nearest.lon, 500.0) if nearest else None
        following = next((trip.start_at for trip in scene.trips if trip.start_at >= at), None)
        seen.add(judge.not_back_overnight(Overnight(
            vehicle_id=scene.vehicle.id, on=on, at=at, since_at=last.end_at if last.end_at <= at else last.start_at,
            until_at=following, away_m=away_m, silent_min=silent_min, trip_id=last.id, day=scene.days[on],
            place=place.name_zh if place else last.end_place, orders=scene.orders,
        ), scene.figures(at)))  # fmt: skip


# ---- shared ---------------------------------------------------------------------------------------------------------


def _coverage(trips: Sequence[Trip]) -> float:
    """Return the share of the trips' time that is known: covered by fixes, or a stay seen from arrival to departure.

    A terminal reports less often while parked; a stay is one place all the same, so its pauses hide no movement.
    """
    known = sum(trip.coverage * _seconds(trip.start_at, trip.end_at) + _unreported_s(trip) for trip in trips)
    return min(1.0, known / sum(_seconds(trip.start_at, trip.end_at) for trip in trips))


def _unreported_s(trip: Trip) -> float:
    """Return the seconds of a trip's stays that its coverage leaves out."""
    missing_s = 0.0
    for stop in trip.stops:
        length_s = _seconds(datetime.fromisoformat(stop["start"]), datetime.fromisoformat(stop["end"]))
        missing_s += max(0.0, length_s - COVERED_STEP_S * stop["points"])
    return missing_s


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()


def _ongoing(trip: Trip, now: datetime) -> bool:
    return now - trip.end_at < STILL_DRIVING
