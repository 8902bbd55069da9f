"""Family D: patterns of private use, D-01 to D-06. Several vehicles together (D-07) and lending (D-08) are in ``d_shared``."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from fleetapp.findings.families.tools import (
    HOME_M,
    SERVICE_KINDS,
    Answers,
    approved_at,
    clue,
    clusters,
    exempt,
    in_bands,
    km,
    latest,
    minutes,
    month_of,
    near_stop,
    others,
    place_name,
    surest,
    trailing,
)
from fleetapp.findings.known import Known, Poi, Stay, Trip
from fleetapp.findings.rules import Clue, Severity, Silence, is_rest, touches_night
from fleetapp.kit import clock
from fleetapp.workdays.rules import DayKind

KINDS = {
    "entertainment": ("娱乐", "entertainment"), "scenic": ("景区", "sight"), "mall": ("商场", "mall"), "hotel": ("酒店餐饮", "hotel or restaurant"),
    "school": ("学校培训", "school"), "residential": ("住宅", "housing"), "funeral": ("殡仪", "funeral home"),
}  # fmt: skip
"""Sensitive classes of places, in words."""
MEALS = ((11.0, 13.5), (17.0, 19.5))
SCHOOL = ((7.0, 8.5), (15.0, 18.5))
"""Local hours of meals and of school, rule D-01."""


def sensitive_stay(known: Known) -> Answers:
    """D-01: stayed longer than the class of the place allows, at no approved stop.

    Entertainment is red; others orange on days off and at night, yellow on workdays.
    """
    for stay in known.stays:
        if not known.holds(stay.start_at):
            continue
        poi = surest(stay, KINDS)
        if poi is None or approved_at(known, stay):
            continue
        limit = _limit_min(known, stay, poi.kind)
        if limit is None or stay.minutes < limit:
            continue
        order = known.order_at(stay.start_at)
        if silence := exempt(order):
            yield silence
            continue
        yield _sensitive(known, stay, poi, limit)


def _limit_min(known: Known, stay: Stay, kind: str) -> float | None:
    """Return the minutes that a class of places allows for a stay; ``None`` where the class does not count then."""
    at = stay.start_at
    if kind == "school":
        return known.value("D-01.school_min", at) if in_bands(at, *SCHOOL) and known.is_workday(at) else None
    if kind == "hotel":
        order = known.order_at(at)
        long = order is not None and minutes(order.start_at, order.end_at) > known.value("D-01.meal_trip_h", at) * 60
        return known.value("D-01.meal_min" if long and in_bands(at, *MEALS) else "D-01.hotel_min", at)
    return known.value(f"D-01.{kind}_min", at)


def _sensitive(known: Known, stay: Stay, poi: Poi, limit: float) -> Clue:
    at = stay.start_at
    rest = is_rest(known.day(at)) or touches_night(
        at, stay.end_at, from_h=known.value("A-01.night_start_h", at), to_h=known.value("A-01.night_end_h", at)
    )
    severity = Severity.RED if poi.kind == "entertainment" else Severity.ORANGE if rest else Severity.YELLOW
    order = known.order_at(at)
    service = surest(stay, SERVICE_KINDS)
    against = [*others(stay, poi)]
    if service is not None:
        against.append({"code": "place_of_work", "place": service.name})
    if order is not None:
        against.append({"code": "order_exists", "slip": order.slip})
    return clue(
        known, "D-01", key=f"{at:%Y%m%d%H%M}", start=at, end=stay.end_at, severity=severity, order=order, confidence=poi.confidence,
        saw={"place": poi.name, "kind_zh": KINDS[poi.kind][0], "kind_en": KINDS[poi.kind][1], "metres": round(poi.distance_m),
             "minutes": round(stay.minutes), "limit": f"{limit:g}"},
        trip_ids=[stay.trip_id] if stay.trip_id else [], at=at, end_place=poi.name, against=against, day=_day(known, at),
    )  # fmt: skip


def _day(known: Known, at: datetime) -> dict[str, object]:
    day = known.day(at)
    return {"on": day.on.isoformat(), "kind": day.kind.value, "name": day.name, "known": day.known}


# ---- patterns of thirty days ----------------------------------------------------------------------------------------


def micro_stops(known: Known) -> Answers:
    """D-02: many short stops at one place, most in commuting or school hours; red from ``red_count``."""
    yield from latest(_micro_stops(known))


def _bands(known: Known, at: datetime) -> tuple[tuple[float, float], tuple[float, float]]:
    return (
        (known.value("D-02.morning_from_h", at), known.value("D-02.morning_to_h", at)),
        (known.value("D-02.evening_from_h", at), known.value("D-02.evening_to_h", at)),
    )


def _micro_stops(known: Known) -> Answers:
    approved = [stop for order in known.orders for stop in order.stops]
    junction_m = known.value("D-02.junction_m", known.end - timedelta(days=1))
    at_home = [
        one for one in known.pauses
        if (one.home_m is None or one.home_m > 150) and not one.crawling and (one.junction_m is None or one.junction_m > junction_m)
    ]  # fmt: skip
    own = [one for one in at_home if not near_stop(approved, one.lat, one.lon) and not surest(one, ["toll", "energy"])]
    if not own:
        return
    for group in clusters(own, known.value("D-02.radius_m", known.end - timedelta(days=1))):
        for last, recent in trailing(
            group, lambda one: one.start_at, known.value("pattern.days", known.end - timedelta(days=1))
        ):
            at = last.start_at
            days = {clock.local_date(one.start_at) for one in recent}
            if not known.holds(at) or len(recent) < known.value("D-02.min_count", at) or len(days) < 3:
                continue
            share = sum(in_bands(one.start_at, *_bands(known, at)) for one in recent) / len(recent)
            if share < known.value("D-02.band_share", at):
                continue
            home = surest(last, KINDS)
            red = len(recent) >= known.value("D-02.red_count", at)
            yield clue(
                known, "D-02", key=f"{month_of(at)}|{_centre(group)}", start=at, end=last.end_at,
                severity=Severity.RED if red else Severity.ORANGE, confidence=min(1.0, 0.7 + 0.3 * share) if home else 0.6,
                saw={"place": home.name if home else place_name(last), "count": len(recent), "percent": round(share * 100)},
                trip_ids=[last.trip_id] if last.trip_id else [], since_at=recent[0].start_at, end_place=place_name(last),
                against=[{"code": "junction_possible"}],
            )  # fmt: skip


def _centre(group: Sequence[Stay]) -> str:
    """Return a name of a cluster that stays the same while it grows: its first member's place to 100 m."""
    return f"{group[0].lat:.3f},{group[0].lon:.3f}"


def fixed_user(known: Known) -> Answers:
    """D-03: most orders of a pool car in thirty days are one person's."""
    yield from latest(_fixed_user(known))


def _fixed_user(known: Known) -> Answers:
    papers = sorted((paper for paper in known.papers if paper.driven), key=lambda paper: paper.start_at)
    for paper, recent in trailing(
        papers, lambda one: one.start_at, known.value("pattern.days", known.end - timedelta(days=1))
    ):
        at = paper.start_at
        if not known.holds(at) or len(recent) < known.value("D-03.min_orders", at):
            continue
        own = sum(one.applicant_id == paper.applicant_id for one in recent)
        if own <= known.value("D-03.share", at) * len(recent):
            continue
        yield clue(
            known, "D-03", key=f"{month_of(at)}|{paper.applicant_id}", start=at, end=paper.end_at, severity=Severity.ORANGE,
            saw={"total": len(recent), "count": own}, confidence=min(1.0, own / len(recent) + 0.2), since_at=recent[0].start_at,
            order_id=paper.order_id, concerned_id=paper.applicant_id, against=[{"code": "order_exists", "slip": paper.slip}],
        )  # fmt: skip


def school_run(known: Known) -> Answers:
    """D-04: stops at a school in school hours on several workdays of thirty."""
    yield from latest(_school_run(known))


def _school_run(known: Known) -> Answers:
    approved = [stop for order in known.orders for stop in order.stops]
    found = [
        one for one in sorted([*known.stays, *known.pauses], key=lambda one: one.start_at)
        if (poi := surest(one, ["school"])) and poi is one.pois[0] and not near_stop(approved, one.lat, one.lon)
        and known.day(one.start_at).kind is DayKind.WORKDAY and in_bands(one.start_at, *_bands(known, one.start_at))
    ]  # fmt: skip
    for group in clusters(found, 200.0):
        for last, recent in trailing(
            group, lambda one: one.start_at, known.value("pattern.days", known.end - timedelta(days=1))
        ):
            days = {clock.local_date(one.start_at) for one in recent}
            if not known.holds(last.start_at) or len(days) < known.value("D-04.min_days", last.start_at):
                continue
            school = surest(last, ["school"])
            yield clue(
                known, "D-04", key=f"{month_of(last.start_at)}|{_centre(group)}", start=last.start_at, end=last.end_at,
                severity=Severity.RED, confidence=max((surest(one, ["school"]) or last.pois[0]).confidence for one in recent),
                saw={"count": len(days), "place": school.name if school else place_name(last)}, since_at=recent[0].start_at,
                trip_ids=[last.trip_id] if last.trip_id else [], against=others(last, school) if school else [],
            )  # fmt: skip


def tourism(known: Known) -> Answers:
    """D-05: far on a day off, with a long stay at a sight or a night outside, at no approved stop."""
    for stay in known.stays:
        if not known.holds(stay.start_at) or not is_rest(known.day(stay.start_at)):
            continue
        sight = _visited(known, stay)
        if sight is None or approved_at(known, stay):
            continue
        on = clock.local_date(stay.start_at)
        trips = _outing(known, stay)
        metres = sum(trip.best_m for trip in trips)
        if metres <= known.value("D-05.min_km", stay.start_at) * 1000:
            continue
        if silence := exempt(known.order_at(stay.start_at)):
            yield silence
            continue
        yield clue(
            known, "D-05", key=f"{stay.start_at:%Y%m%d%H%M}", start=trips[0].start_at, end=trips[-1].end_at, severity=Severity.RED,
            confidence=sight.confidence, trip_ids=[trip.id for trip in trips], order=known.order_at(stay.start_at),
            saw={"on": on.isoformat(), "km": km(metres), "place": sight.name, "minutes": round(stay.minutes)},
            distance_m=metres, against=others(stay, sight), day=_day(known, stay.start_at),
        )  # fmt: skip


def _visited(known: Known, stay: Stay) -> Poi | None:
    """Return the sight of a long stay, or where a night was spent outside; a night in a workshop is none."""
    sight = surest(stay, ["scenic"])
    if sight is not None and stay.minutes >= known.value("D-05.scenic_min", stay.start_at):
        return sight
    outside = known.car.parking_id is not None and (stay.home_m or 0.0) > 300 and known.in_shop(stay.start_at) is None
    hours = max((hours for _, hours in _night_hours(known, stay)), default=0.0)
    if not outside or hours < known.value("D-06.min_h", stay.start_at):
        return None
    if stay.pois and stay.pois[0].kind in SERVICE_KINDS:
        return None
    return stay.pois[0] if stay.pois else Poi(place_name(stay), "other", 0.0, 0.7)


def _outing(known: Known, stay: Stay) -> list[Trip]:
    """Return the trips from leaving the designated place to coming back around a stay; without such a place those of its day.

    Who stays the night drives home on another day: what counts is how far the whole outing was.
    """
    on = clock.local_date(stay.start_at)
    trips = sorted(known.trips, key=lambda trip: trip.start_at)
    same_day = [trip for trip in trips if clock.local_date(trip.start_at) == on]
    before = [trip for trip in trips if trip.start_at < stay.end_at and trip.start_at <= stay.start_at]
    if not before or before[-1].id not in known.away:
        return same_day
    first = last = len(before) - 1
    while first > 0 and trips[first].id in known.away and known.away[trips[first].id].from_m > HOME_M:
        first -= 1
    while last + 1 < len(trips) and (trips[last].id not in known.away or known.away[trips[last].id].to_m > HOME_M):
        last += 1
    span = timedelta(days=LONGEST_OUTING)
    return [trip for trip in trips[first : last + 1] if abs(trip.start_at - stay.start_at) <= span] or same_day


LONGEST_OUTING = 3
"""Days around a stay within which trips still belong to one outing: a holiday of a week would be several."""


def night_at_housing(known: Known) -> Answers:
    """D-06: stood at housing for ``min_h`` of a night without an order in force; red when repeated."""
    nights = [
        (on, stay, hours) for stay in known.stays for on, hours in _night_hours(known, stay) if _at_housing(known, stay)
    ]
    nights = [night for night in nights if night[2] >= known.value("D-06.min_h", night[1].start_at)]
    for (on, stay, hours), recent in trailing(
        sorted(nights, key=lambda one: one[0]), _night_moment, known.value("pattern.days", known.start)
    ):
        if not known.holds(clock.start_of(on) + timedelta(hours=22)):
            continue
        order = known.order_at(clock.start_of(on) + timedelta(hours=26))
        if order is not None:
            yield exempt(order) or Silence.ORDER_IN_FORCE
            continue
        home = surest(stay, ["residential"])
        if home is None:
            continue
        red = len({one[0] for one in recent}) >= known.value("D-06.red_count", stay.start_at)
        yield clue(
            known, "D-06", key=on.isoformat(), start=max(stay.start_at, clock.start_of(on) + timedelta(hours=22)),
            end=stay.end_at, severity=Severity.RED if red else Severity.ORANGE, confidence=home.confidence,
            saw={"place": home.name, "hours": f"{hours:.1f}", "count": len({one[0] for one in recent})}, end_place=home.name,
            trip_ids=[stay.trip_id] if stay.trip_id else [], against=[*others(stay, home), {"code": "overnight_leave_possible"}],
        )  # fmt: skip


def _night_moment(night: tuple[date, Stay, float]) -> datetime:
    return clock.start_of(night[0])


def _at_housing(known: Known, stay: Stay) -> bool:
    home = surest(stay, ["residential"])
    return home is not None and (stay.home_m is None or stay.home_m > 300) and known.car.parking_id is not None


def _night_hours(known: Known, stay: Stay) -> list[tuple[date, float]]:
    """Return the local nights (by the evening's date) that a stay shares time with, and the hours."""
    found = []
    on = clock.local_date(stay.start_at) - timedelta(days=1)
    while on <= clock.local_date(stay.end_at):
        first = clock.start_of(on) + timedelta(hours=known.value("A-01.night_start_h", stay.start_at))
        last = clock.start_of(on + timedelta(days=1)) + timedelta(hours=known.value("A-01.night_end_h", stay.start_at))
        shared = minutes(max(first, stay.start_at), min(last, stay.end_at)) / 60
        if shared > 0:
            found.append((on, shared))
        on += timedelta(days=1)
    return found


JUDGES: dict[str, Callable[[Known], Answers]] = {
    "D-01": sensitive_stay, "D-02": micro_stops, "D-03": fixed_user, "D-04": school_run, "D-05": tourism, "D-06": night_at_housing,
}  # fmt: skip
