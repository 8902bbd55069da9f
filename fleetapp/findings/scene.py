"""Incidents put together from what is known of a vehicle: uses of orders, outings, days, nights; every rule is asked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta

from fleetapp.findings import judge
from fleetapp.findings.escalation import Steps, escalated
from fleetapp.findings.families import JUDGES
from fleetapp.findings.inputs import DayUse, OrderFacts, OrderUse, Outing, Overnight, WeakPart
from fleetapp.findings.known import Known, Part, Trip
from fleetapp.findings.rules import CATALOGUE, ESCALATION, Clue, Silence
from fleetapp.kit import clock
from fleetapp.vehicles.rules import VehicleState
from fleetapp.workdays.rules import DayKind

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
    """What the rules answered; silences by rule and reason."""

    clues: list[Clue] = field(default_factory=list)
    silences: Counter[Silence] = field(default_factory=Counter)
    by_rule: Counter[tuple[str, Silence]] = field(default_factory=Counter)

    def add(self, judgement: judge.Judgement, rule: str) -> None:
        """Keep an answer of a rule."""
        if isinstance(judgement, Clue):
            self.clues.append(judgement)
        elif judgement is not None:
            self.silences[judgement] += 1
            self.by_rule[rule, judgement] += 1


def ask(known: Known, only: Sequence[str] | None = None) -> Seen:
    """Ask every active rule, or those named, about a vehicle's incidents that began in its window."""
    seen = Seen()
    _incidents(known, seen)
    for rule, family in JUDGES.items():
        if only is None or rule in only:
            for answer in family(known):
                seen.add(answer, rule)
    seen.clues = _trusted(known, seen)
    seen.clues = [
        clue for clue in seen.clues
        if known.start <= clue.start_at < known.end and CATALOGUE[clue.rule].active and (only is None or clue.rule in only)
    ]  # fmt: skip
    first = min((clue.start_at for clue in seen.clues), default=None)
    if first is not None:
        steps = Steps(*(known.value(code, first) for code in ESCALATION))  # type: ignore[arg-type]
        seen.clues = escalated(seen.clues, known.earlier, steps)
    return seen


BY_PLACE = frozenset(["A-01", "A-02", "B-04", "G-05", "I-05"])
"""Rules outside the families of space and custody that compare places."""


def _trusted(known: Known, seen: Seen) -> list[Clue]:
    """Return the clues without those about places of days on which the terminal reports another datum."""
    kept = []
    for clue in seen.clues:
        by_place = clue.rule in BY_PLACE or CATALOGUE[clue.rule].family in "CDE" or clue.rule == "B-06"
        if by_place and clock.local_date(clue.start_at) in known.other_datum:
            seen.silences[Silence.OTHER_DATUM] += 1
            seen.by_rule[clue.rule, Silence.OTHER_DATUM] += 1
        else:
            kept.append(clue)
    return kept


AROUND = timedelta(days=2)
"""Incidents of a window are put together from trips and orders so far around it; history is for patterns."""


def _near(known: Known) -> Known:
    """Return what is known near the window, with the last trip before."""
    since = known.start - AROUND
    before = [trip for trip in known.trips if trip.end_at < since and trip.path[0]][-1:]
    return replace(
        known, trips=[*before, *(trip for trip in known.trips if trip.end_at >= since)], cache={"book": known.cache.get("book")} if "book" in known.cache else {},
        orders=[order for order in known.orders if max(order.end_at, order.returned_at or order.end_at) >= since],
    )  # fmt: skip


def _incidents(everything: Known, seen: Seen) -> None:
    scene = _near(everything)
    covered = _orders(scene, seen)
    _weak_parts(scene, seen)
    for outing in _outings(scene, covered):
        if scene.on_duty_list(outing.start_at):
            seen.add(Silence.ORDER_IN_FORCE, "A-01")
            continue
        figures = scene.figures(outing.start_at)
        seen.add(judge.trip_without_order(outing, figures), "A-01")
        seen.add(judge.left_designated_place(outing, figures), "E-01")
    for use in _day_uses(scene, covered):
        if scene.on_duty_list(use.start_at):
            seen.add(Silence.ORDER_IN_FORCE, "B-01")
            continue
        figures = scene.figures(use.start_at)
        seen.add(judge.holiday_use(use, figures), "B-01")
        seen.add(judge.rest_day_use(use, figures), "B-02")
    _nights(scene, seen)


# ---- orders ---------------------------------------------------------------------------------------------------------


def _orders(scene: Known, seen: Seen) -> dict[int, OrderFacts]:
    """Judge each order's own trips; returns the unmatched part ids that lie under an order all the same."""
    covered: dict[int, OrderFacts] = {}
    for number, order in enumerate(scene.orders):
        following = scene.orders[number + 1].start_at if number + 1 < len(scene.orders) else None
        own = [
            trip for trip in scene.trips if order.order_id in trip.order_ids and not _home_before(trip, order, scene)
        ]
        under = [trip for trip in scene.trips if trip not in own and _under(trip, order, following, scene.now)]
        trips = sorted([*own, *under], key=lambda trip: trip.start_at)
        if not trips:
            continue
        for trip in trips:
            covered |= {part.id: order for part in trip.matches if part.kind == "unmatched"}
        use = OrderUse(
            vehicle_id=scene.car.id, order=order, out_at=trips[0].start_at, back_at=trips[-1].end_at,
            trip_ids=tuple(trip.id for trip in trips), distance_m=sum(trip.best_m for trip in trips),
            coverage=_coverage(trips), end_place=trips[-1].end_place, ongoing=_ongoing(trips[-1], scene.now),
            margin=min((part.margin for trip in own for part in trip.matches if part.order_id == order.order_id), default=1.0),
        )  # fmt: skip
        seen.add(judge.outside_approved_time(use, scene.figures(order.start_at)), "A-03")
    return covered


def _home_before(trip: Trip, order: OrderFacts, scene: Known) -> bool:
    """Tell whether a trip came home from elsewhere before the order was checked out: the end of another journey."""
    away = scene.away.get(trip.id)
    if away is None or order.checked_out_at is None or trip.end_at > order.checked_out_at:
        return False
    return away.from_m > judge.HOME_REACH_M >= away.to_m


def _under(trip: Trip, order: OrderFacts, following: datetime | None, now: datetime) -> bool:
    """Tell whether a trip that belongs to no order was driven while the vehicle was checked out on this one."""
    if order.checked_out_at is None or any(part.order_id is not None for part in trip.matches):
        return False
    back = order.returned_at or min(now, following or now, order.end_at + OPEN_END)
    return order.checked_out_at <= trip.end_at and trip.start_at < back


def _weak_parts(scene: Known, seen: Seen) -> None:
    known = {order.order_id: order for order in scene.orders}
    sure: frozenset[int] = frozenset()  # orders that the way since the designated place belongs to without doubt
    for trip in scene.trips:
        away = scene.away.get(trip.id)
        before, sure = sure, sure | {part.order_id for part in trip.matches if part.kind == "matched" and part.order_id}
        if away is None or away.to_m <= judge.HOME_REACH_M:
            sure = frozenset()
        for part in trip.matches:
            order = known.get(part.order_id or 0)
            if order is None or part.kind not in {"weak", "ambiguous"} or _ongoing(trip, scene.now):
                continue
            # The way on or home fits origin and destination badly by nature: whose journey it is, its first leg said.
            if part.kind == "weak" and order.order_id in before:
                continue
            rivals = [c["order_id"] for c in part.candidates if scene.slips.get(c["order_id"]) != order.slip]
            # Of two duties in a row the first was checked in before this trip began: whose it is, the office has written down.
            over = all(
                one is not None and one.returned_at and one.returned_at <= part.start_at
                for one in map(known.get, rivals)
            )
            if part.kind == "ambiguous" and rivals and over:
                continue
            rival = next(iter(rivals), None)
            seen.add(judge.weak_match(WeakPart(
                vehicle_id=scene.car.id, trip_id=trip.id, start_at=part.start_at, end_at=part.end_at, order=order,
                kind=part.kind, score=part.score or 0.0, margin=part.margin, coverage=_coverage([trip]),
                rival_slip=scene.slips.get(rival or 0), distance_m=part.distance_m,
                parts={name: getattr(part, f"score_{name}") or 0.0 for name in ("time", "dest", "orig", "driver", "events")},
            )), "A-02")  # fmt: skip


# ---- movement without an order --------------------------------------------------------------------------------------

Piece = tuple[Trip, Part]


def _outings(scene: Known, covered: Mapping[int, OrderFacts]) -> list[Outing]:
    """Join unmatched parts to outings: until the vehicle is back at its place, or for a pause of half an hour."""
    groups: list[list[Piece]] = []
    for trip in scene.trips:
        for part in trip.matches:
            if part.kind != "unmatched" or part.id in covered:
                continue
            if groups and _same_outing(groups[-1][-1], (trip, part), scene):
                groups[-1].append((trip, part))
            else:
                groups.append([(trip, part)])
    return [_outing(scene, group) for group in groups]


def _same_outing(last: Piece, following: Piece, scene: Known) -> bool:
    away = scene.away.get(last[0].id)
    if away is not None and away.to_m <= judge.HOME_REACH_M:
        return False
    pause = following[1].start_at - last[1].end_at
    same_day = clock.local_date(last[1].end_at) == clock.local_date(following[1].start_at)
    return pause < SAME_OUTING or (away is not None and same_day)


def _outing(scene: Known, group: Sequence[Piece]) -> Outing:
    trips = list({trip.id: trip for trip, _ in group}.values())
    start, end = group[0][1].start_at, group[-1][1].end_at
    away = [scene.away[trip.id] for trip in trips if trip.id in scene.away]
    # A part after a matched one began under way, not at the designated place.
    whole = group[0][1].start_at <= trips[0].start_at
    best = max(((c["score"] or 0.0, c["order_id"]) for _, part in group for c in part.candidates), default=(0.0, 0))
    nearest = min(scene.orders, key=lambda order: _gap_s(order, start, end), default=None)
    same_day = nearest is not None and clock.local_date(nearest.start_at) == clock.local_date(start)
    return Outing(
        vehicle_id=scene.car.id, trip_ids=tuple(trip.id for trip in trips), start_at=start, end_at=end,
        distance_m=sum(part.distance_m for _, part in group), coverage=_coverage(trips), day=scene.day(start),
        from_m=away[0].from_m if away and whole else None, to_m=away[-1].to_m if away else None,
        farthest_m=max(one.farthest_m for one in away) if away else None, best_score=best[0],
        best_slip=scene.slips.get(best[1]), nearest=nearest if same_day else None, start_place=trips[0].start_place,
        end_place=trips[-1].end_place, has_gap=any(trip.gaps for trip in trips),
        vehicle_state=scene.car.state, ongoing=_ongoing(trips[-1], scene.now),
    )  # fmt: skip


def _gap_s(order: OrderFacts, start: datetime, end: datetime) -> float:
    return max((order.start_at - end).total_seconds(), (start - order.end_at).total_seconds())


def _day_uses(scene: Known, covered: Mapping[int, OrderFacts]) -> list[DayUse]:
    """Return the movement on each day that is no workday, by order; a part across midnight counts by its time."""
    known = {order.order_id: order for order in scene.orders}
    found: dict[tuple[date, int], list[tuple[Trip, Part, float]]] = {}
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
            vehicle_id=scene.car.id, day=scene.days[on], start_at=start, end_at=end,
            trip_ids=tuple(trip.id for trip in trips), distance_m=sum(metres for _, _, metres in parts),
            coverage=_coverage(trips), order=next((o for o in scene.orders if o.order_id == order_id), None),
            nearest=nearest if near else None,
        ))  # fmt: skip
    return uses


# ---- nights ---------------------------------------------------------------------------------------------------------


def _nights(scene: Known, seen: Seen) -> None:
    """Judge each evening of the window that has passed; a vehicle in maintenance may stand at the workshop."""
    parking_id = scene.car.parking_id
    if parking_id is None or scene.car.state == VehicleState.MAINTENANCE:
        return
    for on in scene.days:
        if not scene.start - timedelta(days=1) <= clock.start_of(on) < scene.end:
            continue
        hour = scene.figures(clock.start_of(on))["E-02.at_h"].value
        at = clock.start_of(on, time(int(hour), round(hour % 1 * 60)))
        if not scene.start <= at < scene.end or at + AFTER_EVENING > scene.now:
            continue
        last = next((trip for trip in reversed(scene.trips) if trip.start_at < at), None)
        if (
            last is None
            or last.id not in scene.away
            or (last.end_at <= at and scene.away[last.id].to_m <= judge.HOME_REACH_M)
        ):
            continue
        blind = timedelta(minutes=judge.BLIND_MIN)
        near = [one for one in scene.positions if abs(one.at - at) <= blind]
        nearest = min(near, key=lambda one: abs(one.at - at), default=None)
        away_m, silent_min = scene.away[last.id].to_m, judge.BLIND_MIN + 1
        if nearest is not None:
            away_m = nearest.home_m if nearest.home_m is not None else away_m
            silent_min = abs((nearest.at - at).total_seconds()) / 60
        following = next((trip.start_at for trip in scene.trips if trip.start_at >= at), None)
        seen.add(judge.not_back_overnight(Overnight(
            vehicle_id=scene.car.id, on=on, at=at, since_at=last.end_at if last.end_at <= at else last.start_at,
            until_at=following, away_m=away_m, silent_min=silent_min, trip_id=last.id, day=scene.days[on],
            place=last.end_place, orders=scene.orders,
        ), scene.figures(at)), "E-02")  # fmt: skip


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
