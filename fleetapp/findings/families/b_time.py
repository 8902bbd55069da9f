"""Family B: when a vehicle moved, B-03 to B-06. B-01 and B-02 are in ``judge``."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from fleetapp.findings.families.tools import (
    SERVICE_KINDS,
    Answers,
    clue,
    clusters,
    exempt,
    hm,
    in_bands,
    km,
    latest,
    minutes,
    month_of,
    near_stop,
    place_name,
    surest,
)
from fleetapp.findings.known import Known, Stay, Trip
from fleetapp.findings.rules import MIN_COVERAGE, Clue, Severity, Silence, touches_night
from fleetapp.kit import clock
from fleetapp.orders.rules import OrderKind
from fleetapp.workdays.rules import DayKind


def off_hours(known: Known) -> Answers:
    """B-03: unmatched driving on a workday outside the usual hours; orange at night.

    Days off are B-01's and B-02's. The part of a trip inside the hours does not count.
    """
    for trip in known.trips:
        for part in trip.matches:
            if part.kind != "unmatched" or not known.holds(part.start_at) or not known.is_workday(part.start_at):
                continue
            if order := known.order_at(part.start_at):
                if silence := exempt(order):
                    yield silence
                continue
            first_h, last_h = (known.value(code, part.start_at) for code in ("B-03.from_h", "B-03.to_h"))
            outside = _outside_hours(part.start_at, part.end_at, first_h, last_h)
            length_min = minutes(part.start_at, part.end_at)
            metres = part.distance_m * outside / length_min if length_min else 0.0
            far = metres >= known.value("B-03.min_km", part.start_at) * 1000
            if outside <= 0 or not (far or outside >= known.value("B-03.min_min", part.start_at)):
                continue
            if known.on_duty_list(part.start_at):
                yield Silence.ORDER_IN_FORCE
                continue
            if trip.coverage < MIN_COVERAGE:
                yield Silence.INSUFFICIENT_DATA
                continue
            night = touches_night(
                part.start_at, part.end_at, from_h=known.value("A-01.night_start_h", part.start_at),
                to_h=known.value("A-01.night_end_h", part.start_at),
            )  # fmt: skip
            yield clue(
                known, "B-03", key=f"{part.start_at:%Y%m%d%H%M}", start=part.start_at, end=part.end_at, coverage=trip.coverage,
                severity=Severity.ORANGE if night else Severity.YELLOW, confidence=trip.coverage, trip_ids=[trip.id],
                saw={"from_hour": f"{first_h:g}:00", "to_hour": f"{last_h:g}:00", "km": km(metres), "minutes": round(outside)},
                distance_m=metres, start_place=trip.start_place, end_place=trip.end_place,
                against=[{"code": "duty_list_possible"}],
            )  # fmt: skip


def _outside_hours(start: datetime, end: datetime, first_h: float, last_h: float) -> float:
    """Return the minutes of ``[start, end)`` outside the local hours."""
    inside_min = 0.0
    on = clock.local_date(start)
    while on <= clock.local_date(end):
        opens, closes = (clock.start_of(on) + timedelta(hours=h) for h in (first_h, last_h))
        inside_min += max(0.0, minutes(max(start, opens), min(end, closes)))
        on += timedelta(days=1)
    return minutes(start, end) - inside_min


def moved_while_sealed(known: Known) -> Answers:
    """B-04: a vehicle registered as sealed left its place by more than ``seal.moved_m``; an activated emergency may call it out."""
    for seal in known.seals:
        if seal.sealed_at is None:
            continue
        until = seal.unsealed_at or min(known.now, clock.start_of(seal.end_on))
        for trip in known.trips:
            if not (trip.start_at < until and trip.end_at > seal.sealed_at and known.holds(trip.start_at)):
                continue
            # A trip that was under way when somebody registered the sealing ended there.
            if trip.start_at < seal.sealed_at:
                continue
            away = known.away.get(trip.id)
            metres = away.farthest_m if away else trip.best_m
            if metres <= known.value("seal.moved_m", trip.start_at):
                continue
            if known.on_duty_list(trip.start_at):
                yield Silence.ORDER_IN_FORCE
                continue
            if any(
                order.kind == OrderKind.EMERGENCY for order in map(known.order, trip.order_ids) if order is not None
            ):
                yield Silence.EMERGENCY_ORDER
                continue
            if trip.coverage < MIN_COVERAGE:
                yield Silence.INSUFFICIENT_DATA
                continue
            yield clue(
                known, "B-04", key=f"{trip.start_at:%Y%m%d%H%M}", start=trip.start_at, end=trip.end_at, severity=Severity.RED,
                saw={"metres": round(metres)}, confidence=trip.coverage, coverage=trip.coverage, trip_ids=[trip.id],
                distance_m=trip.best_m, farthest_m=round(metres), end_place=trip.end_place,
            )  # fmt: skip


def not_sealed_in_time(known: Known) -> Answers:
    """B-05: the notice's first day has begun, the grace is over, and the vehicle is neither sealed nor on the duty list."""
    for seal in known.seals:
        due = clock.start_of(seal.start_on)
        limit = due + timedelta(minutes=known.value("seal.grace_min", due))
        if seal.exempt_from is not None or seal.state == "CANCELLED" or known.now < limit or not known.holds(due):
            continue
        if seal.sealed_at is None or seal.sealed_at > limit:
            yield clue(
                known, "B-05", key=str(seal.id), start=due, end=limit, severity=Severity.ORANGE,
                saw={"due": hm(due), "done": hm(seal.sealed_at) or "–"}, at=seal.sealed_at,
            )  # fmt: skip


def commuting(known: Known) -> Answers:
    """B-06: on most workdays the first or last drive in commuting hours begins or ends at one place.

    The place is neither the designated one, nor one where an approved stop lies, nor a place of work. Two sides of one
    day count once.
    """
    yield from latest(_commuting(known))


def _commuting(known: Known) -> Answers:
    ends = sorted(_commuter_ends(known), key=lambda stay: stay.start_at)
    if not ends:
        return
    radius = known.value("B-06.radius_m", known.end - timedelta(days=1))
    for group in clusters(ends, radius):
        days = sorted({clock.local_date(stay.start_at) for stay in group})
        if not known.start <= clock.start_of(days[-1]) < known.end:
            continue
        for on in days:
            at = clock.start_of(on, datetime.min.time()) + timedelta(hours=12)
            if not known.holds(at):
                continue
            since = on - timedelta(days=round(known.value("pattern.days", at)))
            driven = sorted(
                {
                    clock.local_date(trip.start_at)
                    for trip in known.trips
                    if since < clock.local_date(trip.start_at) <= on
                }
            )
            workdays = [day for day in driven if day in known.days and known.days[day].kind is DayKind.WORKDAY]
            own = [day for day in days if since < day <= on]
            if len(own) < known.value("B-06.min_days", at) or len(own) < known.value("B-06.share", at) * len(workdays):
                continue
            yield _commuter(known, group, own, workdays)


def _commuter(known: Known, group: Sequence[Stay], own: Sequence[date], workdays: Sequence[date]) -> Clue:
    stays = [stay for stay in group if own[0] <= clock.local_date(stay.start_at) <= own[-1]]
    last = stays[-1]
    home = surest(last, ["residential"])
    against = [{"code": "place_of_work", "place": poi.name} for poi in last.pois if poi.kind in SERVICE_KINDS][:1]
    lat = sum(stay.lat for stay in group) / len(group)
    lon = sum(stay.lon for stay in group) / len(group)
    return clue(
        known, "B-06", key=f"{month_of(last.start_at)}|{lat:.3f},{lon:.3f}", start=last.start_at, end=last.end_at, severity=Severity.RED,
        saw={"days": len(workdays), "count": len(own), "place": home.name if home else place_name(last)},
        confidence=min(1.0, 0.6 + 0.4 * len(own) / max(1, len(workdays))) if not against else 0.45,
        against=against, since_at=clock.start_of(own[0]), end_place=place_name(last),
    )  # fmt: skip


def _commuter_ends(known: Known) -> list[Stay]:
    """Return where the car stood before the first and after the last commuting drive of each workday, and stops on the way."""
    found: list[Stay] = []
    by_day: dict[date, list[Trip]] = {}
    for trip in known.trips:
        by_day.setdefault(clock.local_date(trip.start_at), []).append(trip)
    approved = [stop for order in known.orders for stop in order.stops]
    for on, trips in by_day.items():
        if on not in known.days or known.days[on].kind is not DayKind.WORKDAY:
            continue
        at = clock.start_of(on)
        morning = known.value("B-06.morning_from_h", at), known.value("B-06.morning_to_h", at)
        evening = known.value("B-06.evening_from_h", at), known.value("B-06.evening_to_h", at)
        drives = [trip for trip in trips if in_bands(trip.start_at, morning, evening)]
        for stay in [*known.stays, *known.pauses]:
            if clock.local_date(stay.end_at) != on and clock.local_date(stay.start_at) != on:
                continue
            beside = any(
                abs(minutes(stay.end_at, trip.start_at)) < 1 or abs(minutes(trip.end_at, stay.start_at)) < 1
                or trip.start_at <= stay.start_at < trip.end_at for trip in drives
            )  # fmt: skip
            at_home = stay.home_m is None or stay.home_m <= 300
            if beside and not at_home and not near_stop(approved, stay.lat, stay.lon):
                moment = stay.start_at if clock.local_date(stay.start_at) == on else stay.end_at
                found.append(
                    Stay(start_at=max(moment, clock.start_of(on)), end_at=max(stay.end_at, moment), lat=stay.lat, lon=stay.lon,
                         pois=stay.pois, trip_id=stay.trip_id, home_m=stay.home_m)
                )  # fmt: skip
    return found


JUDGES = {"B-03": off_hours, "B-04": moved_while_sealed, "B-05": not_sealed_in_time, "B-06": commuting}
