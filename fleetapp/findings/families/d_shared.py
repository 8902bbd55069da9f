"""Family D, where other vehicles or people come in: gatherings (D-07) and lending (D-08)."""

from datetime import date, timedelta

from fleetapp.findings.families.tools import (
    Answers,
    approved_at,
    clue,
    distance_m,
    exempt,
    km,
    others,
    place_name,
    surest,
)
from fleetapp.findings.known import Known
from fleetapp.findings.rules import MIN_COVERAGE, Severity, Silence, is_rest
from fleetapp.kit import clock

GATHERINGS = ("hotel", "funeral")


def gathering(known: Known) -> Answers:
    """D-07: on a day off several vehicles stand at one hotel or funeral home at the same time, at no approved stop.

    ``peers.gatherings`` has (place, from, to, vehicles) of such times over all units.
    """
    for stay in known.stays:
        place = surest(stay, GATHERINGS)
        if (
            place is None
            or not known.holds(stay.start_at)
            or not is_rest(known.day(stay.start_at))
            or approved_at(known, stay)
        ):
            continue
        most = max(
            (cars for name, start, end, cars in known.peers.gatherings
             if name == place.name and start < stay.end_at and stay.start_at < end), default=0,
        )  # fmt: skip
        if most < known.value("D-07.min_cars", stay.start_at):
            continue
        order = known.order_at(stay.start_at)
        if silence := exempt(order):
            yield silence
            continue
        yield clue(
            known, "D-07", key=f"{clock.local_date(stay.start_at)}|{place.name}", start=stay.start_at, end=stay.end_at,
            severity=Severity.RED, confidence=place.confidence, saw={"count": most, "place": place.name}, order=order,
            trip_ids=[stay.trip_id] if stay.trip_id else [], at=stay.start_at, against=others(stay, place),
        )  # fmt: skip


def lending(known: Known) -> Answers:
    """D-08: no order and no driver on record, at a far place near which the vehicle was on fewer than ``familiar_days`` days of thirty.

    One duty long ago makes no area familiar, nor does an earlier lending. A loan between units explains the trip while it lasts no
    longer than K-07 allows.
    """
    for trip in known.trips:
        if trip.order_ids or not known.holds(trip.start_at) or not trip.path[0]:
            continue
        if known.order_at(trip.start_at) is not None or any(
            part.score_driver not in {None, 0.0} for part in trip.matches
        ):
            continue
        lat, lon = trip.path[0][-1], trip.path[1][-1]
        since = trip.start_at - timedelta(days=known.value("pattern.days", trip.start_at))
        visited = [stay for stay in known.stays if since <= stay.start_at < trip.start_at]
        # A vehicle known for a few days only has no familiar places yet.
        if len({clock.local_date(stay.start_at) for stay in visited}) < LEAST_DAYS:
            continue
        far_m = known.value("D-08.far_km", trip.start_at) * 1000
        near = [stay for stay in visited if distance_m(lat, lon, stay.lat, stay.lon) <= far_m]
        days_near = len({clock.local_date(stay.start_at) for stay in near})
        home_m = known.away[trip.id].to_m if trip.id in known.away else None
        if days_near >= known.value("D-08.familiar_days", trip.start_at) or (home_m is not None and home_m <= far_m):
            continue
        after = next((stay for stay in known.stays if 0 <= (stay.start_at - trip.end_at).total_seconds() < 600), None)
        if _on_loan(known, clock.local_date(trip.start_at)):
            yield Silence.ORDER_IN_FORCE
            continue
        if trip.coverage < MIN_COVERAGE:
            yield Silence.INSUFFICIENT_DATA
            continue
        # A familiar way, a short errand or an hour of work speak for an unregistered order rather than for lending.
        if is_rest(known.day(trip.start_at)) or not 8.0 <= clock.local(trip.start_at).hour < 18.0:
            yield clue(
                known, "D-08", key=f"{trip.start_at:%Y%m%d%H%M}", start=trip.start_at, end=trip.end_at, severity=Severity.RED,
                confidence=trip.coverage, coverage=trip.coverage, trip_ids=[trip.id], distance_m=trip.best_m,
                saw={"km": km(far_m), "place": place_name(after) if after else trip.end_place or f"{lat:.4f}, {lon:.4f}"},
                supporting=[{"code": "days_near", "km": km(far_m), "count": days_near}],
            )  # fmt: skip


def _on_loan(known: Known, on: date) -> bool:
    """Tell whether a loan between units stands on a local day; one that is longer than K-07 allows is no excuse."""
    since = known.life.borrowed_since if known.life is not None else None
    return since is not None and 0 <= (on - since).days <= known.value("K-07.max_days", clock.start_of(on))


LEAST_DAYS = 5
"""Days with a stay that a vehicle needs before a place can be called unfamiliar."""

JUDGES = {"D-07": gathering, "D-08": lending}
