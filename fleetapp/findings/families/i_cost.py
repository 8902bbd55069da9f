"""Family I: repairs and tolls against contracts, parts and tracks, I-01 to I-05."""

from datetime import timedelta

from fleetapp.findings.families.e_parking import compared
from fleetapp.findings.families.tools import Answers, clue, hm, km
from fleetapp.findings.known import Known
from fleetapp.findings.rules import MIN_COVERAGE, Severity, Silence
from fleetapp.kit import clock


def not_designated(known: Known) -> Answers:
    """I-01: the supplier's contract was not in force when the vehicle went in."""
    for work in known.works:
        if work.in_at is not None and known.holds(work.in_at) and not work.contracted:
            yield clue(
                known, "I-01", key=str(work.id), start=work.in_at, end=work.in_at, severity=Severity.ORANGE, at=work.in_at,
                saw={"number": work.number, "supplier": work.supplier},
            )  # fmt: skip


def driving_in_repair(known: Known) -> Answers:
    """I-02: a trip while the work order has the vehicle in the shop."""
    for work in known.works:
        for trip in known.trips:
            if work.in_at is None or not known.holds(trip.start_at):
                continue
            if not (work.in_at <= trip.start_at and trip.end_at <= (work.out_at or known.now)):
                continue
            if trip.best_m <= known.value("I-02.min_km", trip.start_at) * 1000:
                continue
            if trip.coverage < MIN_COVERAGE:
                yield Silence.INSUFFICIENT_DATA
                continue
            yield clue(
                known, "I-02", key=f"{trip.start_at:%Y%m%d%H%M}", start=trip.start_at, end=trip.end_at, severity=Severity.RED,
                saw={"number": work.number, "km": km(trip.best_m)}, confidence=trip.coverage, coverage=trip.coverage, trip_ids=[trip.id],
                distance_m=trip.best_m, end_place=trip.end_place, order=known.order_at(trip.start_at),
                against=[{"code": "test_drive_possible"}],
            )  # fmt: skip


def repeated_repair(known: Known) -> Answers:
    """I-03: the same part replaced again within ``upkeep.repeat_days``."""
    works = sorted((work for work in known.works if work.in_at is not None), key=lambda work: work.in_at or known.start)
    for number, work in enumerate(works):
        if work.in_at is None or not known.holds(work.in_at):
            continue
        for part in work.parts:
            before = next((one for one in reversed(works[:number]) if part in one.parts), None)
            if before is None or before.in_at is None:
                continue
            days = (work.in_at - before.in_at).days
            if days <= known.value("upkeep.repeat_days", work.in_at):
                yield clue(
                    known, "I-03", key=f"{work.id}|{part}", start=work.in_at, end=work.in_at, severity=Severity.YELLOW,
                    saw={"part": part, "days": days}, since_at=before.in_at,
                )  # fmt: skip


def costly(known: Known) -> Answers:
    """I-04: the repairs of twelve months exceed a share of the vehicle's residual value."""
    car = known.car
    if car.price is None or car.registered_on is None:
        return
    for work in known.works:
        if work.out_at is None or not known.holds(work.out_at):
            continue
        cost = sum(
            one.cost
            for one in known.works
            if one.out_at and work.out_at - timedelta(days=365) < one.out_at <= work.out_at
        )
        age = (clock.local_date(work.out_at) - car.registered_on).days / 365.25
        residual = car.price * max(0.05, 1 - age / known.value("costs.depreciation_years", work.out_at))
        share = known.value("I-04.residual_share", work.out_at)
        if cost > share * residual:
            yield clue(
                known, "I-04", key=f"{clock.local_date(work.out_at).year}", start=work.out_at, end=work.out_at, severity=Severity.ORANGE,
                saw={"cost": f"{cost:,.0f}", "value": f"{residual:,.0f}", "percent": round(share * 100)}, at=work.out_at,
            )  # fmt: skip


def toll_elsewhere(known: Known) -> Answers:
    """I-05: a toll record off the track in place and time."""
    for record in known.externals:
        if record.kind != "toll" or not known.holds(record.at):
            continue
        away_m = compared(known, record, known.value("I-05.within_min", record.at))
        if away_m is None:
            yield Silence.INSUFFICIENT_DATA
            continue
        if away_m > known.value("I-05.max_km", record.at) * 1000:
            yield clue(
                known, "I-05", key=str(record.id), start=record.at, end=record.at, severity=Severity.RED, confidence=0.8,
                saw={"at": hm(record.at), "place": record.place, "km": km(away_m)}, at=record.at, end_place=record.place,
                order=known.order_at(record.at), against=[{"code": "misread_possible"}],
            )  # fmt: skip


JUDGES = {
    "I-01": not_designated, "I-02": driving_in_repair, "I-03": repeated_repair, "I-04": costly, "I-05": toll_elsewhere,
}  # fmt: skip
