"""Family I: repairs and tolls against contracts, parts and tracks, I-01 to I-05."""

from datetime import timedelta

from fleetapp.findings.families.tools import Answers, clue, hm, km, of_others
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
    """I-04: the repairs of twelve months exceed a share of the vehicle's residual value; told once a year, when they come to it."""
    car = known.car
    if car.price is None or car.registered_on is None:
        return
    told: set[int] = set()
    for work in sorted(known.works, key=lambda one: one.out_at or known.end):
        if work.out_at is None or not known.holds(work.out_at) or clock.local_date(work.out_at).year in told:
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
            told.add(clock.local_date(work.out_at).year)
            yield clue(
                known, "I-04", key=f"{clock.local_date(work.out_at).year}", start=work.out_at, end=work.out_at, severity=Severity.ORANGE,
                saw={"cost": f"{cost:,.0f}", "value": f"{residual:,.0f}", "percent": round(share * 100)}, at=work.out_at,
            )  # fmt: skip


def over_norm(known: Known) -> Answers:
    """I-08: what the vehicle cost this year reaches the share of its yearly norm; orange above the norm."""
    spent = known.life.running_cny if known.life is not None else None
    at = min(known.end, known.now) - timedelta(seconds=1)
    norm = known.value("costs.norm_year_cny", at)
    if spent is None or spent < known.value("I-08.share", at) * norm:
        return
    year = clock.local_date(at).year
    yield clue(
        known, "I-08", key=str(year), start=clock.start_of(clock.local_date(at)), end=at,
        severity=Severity.ORANGE if spent > norm else Severity.YELLOW,
        saw={"year": year, "cost": f"{spent:,.0f}", "limit": f"{norm:,.0f}", "percent": round(spent / norm * 100)},
    )  # fmt: skip


def rented_though_idle(known: Known) -> Answers:
    """I-09: a vehicle was rented for want of one while this one, with the seats, had nothing planned and stood.

    Of several idle ones the first tells. One that is away, sealed or in the shop could not have served.
    """
    for rental in known.peers.rentals:
        start, end = rental.start_at, rental.end_at
        if (
            rental.idle[:1] != (known.car.id,)
            or not known.holds(start)
            or end > known.now
            or known.car.state != "IN_SERVICE"
        ):
            continue
        if (
            any(trip.start_at < end and trip.end_at > start for trip in known.trips)
            or known.in_shop(start)
            or known.in_shop(end)
        ):
            continue
        if any(
            seal.sealed_at and seal.sealed_at < end and start < (seal.unsealed_at or known.now) for seal in known.seals
        ):
            continue
        coverage = min(known.covered.get(clock.local_date(moment), 0.0) for moment in (start, end))
        if coverage < known.value("A-06.min_coverage", start):
            yield Silence.INSUFFICIENT_DATA
            continue
        yield clue(
            known, "I-09", key=str(rental.id), start=start, end=end, severity=Severity.YELLOW, confidence=coverage, coverage=coverage,
            saw={"number": rental.number, "start": hm(start), "until": hm(end), "price": f"{rental.price:,.0f}", "count": rental.passengers,
                 "seats": known.car.seats},
        )  # fmt: skip


def toll_elsewhere(known: Known) -> Answers:
    """I-05: a toll record off the track in place and time."""
    for record, away_m in of_others(known, "toll", "I-05"):
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
    "I-08": over_norm, "I-09": rented_though_idle,
}  # fmt: skip
