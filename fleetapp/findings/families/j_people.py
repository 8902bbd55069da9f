"""Family J: drivers and the people driven, J-02 to J-06, J-08 and J-09."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from fleetapp.drivers import rules as drivers
from fleetapp.drivers.rules import Licence
from fleetapp.findings.families.tools import Answers, clue, exempt, hm, minutes, of_others
from fleetapp.findings.known import Known, Trip
from fleetapp.findings.rules import MIN_COVERAGE, Severity, Silence
from fleetapp.kit import clock
from fleetapp.vehicles.rules import Body


def inflated_hours(known: Known) -> Answers:
    """J-02: the registered return is later than the end of the track by more than ``max_min``."""
    for order in known.orders:
        out_at, back_at = order.checked_out_at, order.returned_at
        if out_at is None or back_at is None or not known.holds(back_at):
            continue
        trips = [trip for trip in known.trips if trip.start_at < back_at and trip.end_at > out_at]
        if not trips:
            continue
        last = trips[-1]
        away = known.away.get(last.id)
        # Still at the destination when the return was registered, the driver waited: that is work.
        if away is not None and away.to_m > 300:
            continue
        over_min = minutes(last.end_at, back_at)
        if over_min <= known.value("J-02.max_min", back_at):
            continue
        if silence := exempt(order):
            yield silence
            continue
        coverage = known.covered.get(clock.local_date(back_at), last.coverage)
        if coverage < known.value("J-02.min_coverage", back_at) or any(
            gap["end"] > last.end_at.isoformat() for gap in last.gaps
        ):
            yield Silence.INSUFFICIENT_DATA
            continue
        yield clue(
            known, "J-02", key=str(order.order_id), start=last.end_at, end=back_at, severity=Severity.ORANGE, order=order,
            saw={"slip_at": hm(back_at), "at": hm(last.end_at), "minutes": round(over_min)}, coverage=coverage, confidence=coverage,
            trip_ids=[trip.id for trip in trips], back_at=last.end_at, end_place=last.end_place,
            against=[{"code": "forgotten_possible"}],
        )  # fmt: skip


def other_driver(known: Known) -> Answers:
    """J-03: the driver who checked out is not the assigned one."""
    for paper in known.papers:
        if paper.checked_out_by in {None, paper.driver_user_id} or not known.holds(paper.start_at):
            continue
        yield clue(
            known, "J-03", key=str(paper.order_id), start=paper.start_at, end=paper.end_at, severity=Severity.ORANGE,
            saw={"slip": paper.slip}, order=known.order(paper.order_id), order_id=paper.order_id,
        )  # fmt: skip


FAULTS = {"expired": ("已过有效期", "had expired"), "class": ("准驾车型不符", "did not allow the vehicle")}


def invalid_licence(known: Known) -> Answers:
    """J-04: on the day of the order the licence had expired or did not allow a vehicle of that size."""
    for paper in known.papers:
        if paper.licence is None or not paper.driven or not known.holds(paper.start_at):
            continue
        on = clock.local_date(paper.start_at)
        fault = None
        if not drivers.may_drive(Licence(paper.licence), known.car.seats):
            fault = "class"
        elif (
            paper.licence_valid_to is not None
            and drivers.validity(paper.licence_valid_to, on) is drivers.Validity.EXPIRED
        ):
            fault = "expired"
        if fault is not None:
            yield clue(
                known, "J-04", key=str(paper.order_id), start=paper.start_at, end=paper.end_at, severity=Severity.RED,
                saw={"slip": paper.slip, "fault_zh": FAULTS[fault][0], "fault_en": FAULTS[fault][1]},
                order=known.order(paper.order_id), order_id=paper.order_id,
            )  # fmt: skip


def fatigue(known: Known) -> Answers:
    """J-05: drove on for longer than ``max_h`` without a rest of ``rest_min``; red from ``red_h``.

    《道路交通安全法实施条例》第六十二条第七项. Orders with two drivers are not known to the system: the clue says so.
    """
    for run in _runs(known):
        start, end = run[0][0], run[-1][1]
        if not known.holds(start):
            continue
        hours = minutes(start, end) / 60
        if hours <= known.value("J-05.max_h", start):
            continue
        trips = [trip for trip in known.trips if trip.start_at < end and trip.end_at > start]
        coverage = min(trip.coverage for trip in trips)
        if coverage < MIN_COVERAGE or any(trip.gaps for trip in trips[1:-1]):
            yield Silence.INSUFFICIENT_DATA
            continue
        yield clue(
            known, "J-05", key=f"{start:%Y%m%d%H%M}", start=start, end=end, coverage=coverage, confidence=coverage,
            severity=Severity.RED if hours > known.value("J-05.red_h", start) else Severity.ORANGE,
            saw={"hours": f"{hours:.1f}", "rest": f"{known.value('J-05.rest_min', start):g}"}, order=known.order_at(start),
            trip_ids=[trip.id for trip in trips], distance_m=sum(trip.best_m for trip in trips), against=[{"code": "two_drivers_possible"}],
        )  # fmt: skip


def _runs(known: Known) -> Iterator[list[tuple[datetime, datetime]]]:
    """Return stretches of driving that no rest of ``rest_min`` interrupts."""
    driving = [span for trip in known.trips for span in _driving(trip)]
    run: list[tuple[datetime, datetime]] = []
    for span in sorted(driving):
        if run and minutes(run[-1][1], span[0]) >= known.value("J-05.rest_min", span[0]):
            yield run
            run = []
        run.append(span)
    if run:
        yield run


def _driving(trip: Trip) -> list[tuple[datetime, datetime]]:
    """Return a trip without its stays."""
    spans, at = [], trip.start_at
    for stop in sorted(trip.stops, key=lambda one: one["start"]):
        start, end = datetime.fromisoformat(stop["start"]), datetime.fromisoformat(stop["end"])
        if start > at:
            spans.append((at, start))
        at = max(at, end)
    return [*spans, (at, trip.end_at)] if trip.end_at > at else spans


LARGE = frozenset([Body.MINIBUS, Body.COACH])


def speeding(known: Known) -> Answers:
    """J-06: above the limit of the vehicle's class by ``ratio`` for ``min_s``; orange and red when far above.

    ``speed`` signals are stretches above 100 km/h with the speed kept throughout; no road limits are known.
    """
    for signal in known.signals:
        if signal.kind != "speed" or not known.holds(signal.start_at):
            continue
        at = signal.start_at
        limit = known.value("J-06.bus_kmh" if known.car.body in LARGE else "J-06.car_kmh", at)
        seconds = (signal.end_at - signal.start_at).total_seconds()
        if signal.value <= limit * known.value("J-06.ratio", at) or seconds < known.value("J-06.min_s", at):
            continue
        order = known.order_at(at)
        if silence := exempt(order):
            yield silence
            continue
        red, orange = (
            signal.value >= limit * known.value("J-06.red_ratio", at),
            signal.value >= limit * known.value("J-06.orange_ratio", at),
        )
        yield clue(
            known, "J-06", key=f"{at:%Y%m%d%H%M}", start=at, end=signal.end_at, order=order, confidence=0.9,
            severity=Severity.RED if red else Severity.ORANGE if orange else Severity.YELLOW,
            saw={"kmh": round(signal.value), "seconds": round(seconds), "limit": f"{limit:g}"},
        )  # fmt: skip


def unhandled_violation(known: Known) -> Answers:
    """J-08: a violation open for ``max_days``; orange when no order was in force at its time."""
    for ticket in known.tickets:
        days = round(known.value("J-08.max_days", ticket.at))
        due = ticket.at + timedelta(days=days)
        late = known.holds(due) and due <= known.now and (ticket.closed_at is None or ticket.closed_at > due)
        unordered = known.holds(ticket.at) and known.order_at(ticket.at, grace=timedelta(hours=1)) is None
        if not (late or unordered):
            continue
        open_days = ((ticket.closed_at or known.now) - ticket.at).days
        yield clue(
            known, "J-08", key=str(ticket.id), start=ticket.at if unordered else due, end=known.now, at=ticket.at,
            severity=Severity.ORANGE if unordered else Severity.YELLOW, saw={"at": hm(ticket.at), "place": ticket.place, "days": open_days},
            supporting=[{"code": "no_order"}] if unordered else [], end_place=ticket.place,
        )  # fmt: skip


def complaint(known: Known) -> Answers:
    """J-09: somebody complained of the plate at a place that the vehicle was near at the time; an order then speaks against.

    A complaint that the track does not bear out, about a misread plate or a wrong day, raises nothing.
    """
    for record, away_m in of_others(known, "complaint", "J-09"):
        if away_m is None:
            yield Silence.INSUFFICIENT_DATA
            continue
        if away_m > known.value("J-09.max_m", record.at):
            continue
        order = known.order_at(record.at)
        yield clue(
            known, "J-09", key=str(record.id), start=record.at, end=record.at, severity=Severity.ORANGE, confidence=0.9, order=order,
            saw={"at": hm(record.at), "place": record.place, "metres": round(away_m)}, at=record.at, end_place=record.place,
            against=[{"code": "order_exists", "slip": order.slip}] if order is not None else [],
        )  # fmt: skip


JUDGES = {
    "J-02": inflated_hours, "J-03": other_driver, "J-04": invalid_licence, "J-05": fatigue, "J-06": speeding, "J-08": unhandled_violation,
    "J-09": complaint,
}  # fmt: skip
