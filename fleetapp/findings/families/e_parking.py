"""Family E: custody, E-03 and E-05. E-01 and E-02 are in ``judge``."""

from datetime import timedelta

from fleetapp.findings.families.tools import Answers, clue, hm, km, minutes, of_others
from fleetapp.findings.known import Known
from fleetapp.findings.rules import Severity, Silence


def return_not_registered(known: Known) -> Answers:
    """E-03: back at the designated place for ``grace_min`` and the slip is still open."""
    for order in known.orders:
        if order.checked_out_at is None:
            continue
        back = [
            trip for trip in known.trips_of(order.order_id) if (away := known.away.get(trip.id)) and away.to_m <= 300
        ]
        last = back[-1] if back else None
        if last is None or not known.holds(last.end_at) or last.end_at < order.end_at - timedelta(hours=2):
            continue
        if any(trip.start_at > last.end_at and order.order_id in trip.order_ids for trip in known.trips):
            continue
        open_min = minutes(last.end_at, order.returned_at or known.now)
        if open_min < known.value("E-03.grace_min", last.end_at) or last.end_at < order.checked_out_at:
            continue
        yield clue(
            known, "E-03", key=str(order.order_id), start=last.end_at, end=order.returned_at or known.now, severity=Severity.YELLOW,
            saw={"at": hm(last.end_at), "slip": order.slip, "minutes": round(open_min)}, order=order, trip_ids=[last.id],
            confidence=last.coverage, coverage=last.coverage, back_at=last.end_at,
        )  # fmt: skip


def parking_elsewhere(known: Known) -> Answers:
    """E-05: a car park has the plate at a place and time where the track is not; without a track the record stands alone."""
    for record, away_m in of_others(known, "parking", "E-05"):
        if away_m is None:
            yield Silence.INSUFFICIENT_DATA
            continue
        if away_m <= known.value("E-05.max_m", record.at):
            continue
        yield clue(
            known, "E-05", key=str(record.id), start=record.at, end=record.at, severity=Severity.ORANGE, confidence=0.8,
            saw={"at": hm(record.at), "place": record.place, "km": km(away_m)}, at=record.at, end_place=record.place,
            order=known.order_at(record.at), against=[{"code": "misread_possible"}],
        )  # fmt: skip


JUDGES = {"E-03": return_not_registered, "E-05": parking_elsewhere}
