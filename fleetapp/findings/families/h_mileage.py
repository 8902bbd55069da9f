"""Family H: odometer against GPS, against itself and between slips, H-01 to H-03."""

from itertools import pairwise

from fleetapp.findings.families.tools import Answers, clue, hm, km
from fleetapp.findings.known import Known
from fleetapp.findings.rules import Severity, Silence


def odometer_and_gps(known: Known) -> Answers:
    """H-01: the distance by registered readings and by GPS differ by more than share and kilometres."""
    for order in known.orders:
        if (
            order.checked_out_m is None
            or order.returned_m is None
            or order.returned_at is None
            or order.checked_out_at is None
        ):
            continue
        if not known.holds(order.returned_at):
            continue
        between = [
            trip for trip in known.trips if trip.end_at > order.checked_out_at and trip.start_at < order.returned_at
        ]
        if not between:
            continue
        odo_m, gps_m = order.returned_m - order.checked_out_m, sum(trip.gps_m for trip in between)
        difference = abs(odo_m - gps_m)
        least_m = known.value("H-01.trip_km", order.returned_at) * 1000
        if difference <= least_m or difference <= known.value("H-01.trip_share", order.returned_at) * max(gps_m, 1.0):
            continue
        coverage = min(trip.coverage for trip in between)
        if coverage < known.value("H-01.min_coverage", order.returned_at) or any(trip.gaps for trip in between):
            yield Silence.INSUFFICIENT_DATA
            continue
        yield clue(
            known, "H-01", key=str(order.order_id), start=order.checked_out_at, end=order.returned_at, order=order, coverage=coverage,
            severity=Severity.YELLOW, confidence=coverage, trip_ids=[trip.id for trip in between], distance_m=gps_m,
            saw={"slip": order.slip, "odo_km": km(odo_m), "km": km(gps_m)}, against=[{"code": "typing_possible"}],
        )  # fmt: skip


def rollback(known: Known) -> Answers:
    """H-02: a reading below the one before on the same meter."""
    readings = sorted(known.readings, key=lambda one: one.at)
    for before, after in pairwise(readings):
        if before.meter == after.meter and after.reading_m < before.reading_m and known.holds(after.at):
            yield clue(
                known, "H-02", key=f"{after.at:%Y%m%d%H%M%S}", start=after.at, end=after.at, severity=Severity.RED, at=after.at,
                saw={"at": hm(after.at), "km": km(after.reading_m), "before_km": km(before.reading_m)}, order=known.order_at(after.at),
                against=[{"code": "typing_possible"}],
            )  # fmt: skip


GPS_SHARE = 0.03
"""So much may GPS and odometer differ over the trips that are known, before kilometres are missing."""


def between_slips(known: Known) -> Answers:
    """H-03: kilometres between the return of one slip and the departure of the next that no known trip explains."""
    with_readings = [
        order for order in known.orders if order.checked_out_m is not None and order.returned_m is not None
    ]
    for one, following in pairwise(sorted(with_readings, key=lambda order: order.start_at)):
        if following.checked_out_at is None or one.returned_at is None or not known.holds(following.checked_out_at):
            continue
        missing_m = (following.checked_out_m or 0) - (one.returned_m or 0)
        between = [
            trip for trip in known.trips
            if trip.end_at > one.returned_at and trip.start_at < following.checked_out_at
        ]  # fmt: skip
        known_m = sum(trip.best_m for trip in between)
        # What a known trip drove is A-01's; here is what no trip shows.
        least_m = known.value("H-03.min_km", following.checked_out_at) * 1000 + GPS_SHARE * known_m
        if missing_m - known_m <= least_m:
            continue
        yield clue(
            known, "H-03", key=str(following.order_id), start=one.returned_at, end=following.checked_out_at, severity=Severity.ORANGE,
            saw={"slip": one.slip, "km": km(missing_m), "known_km": km(known_m)}, distance_m=float(missing_m), order=one,
            confidence=0.9, against=[{"code": "typing_possible"}], trip_ids=[trip.id for trip in between],
        )  # fmt: skip


JUDGES = {"H-01": odometer_and_gps, "H-02": rollback, "H-03": between_slips}
