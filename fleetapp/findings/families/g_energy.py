"""Family G: fuel and charging against tank, track and card, G-01 to G-06; counts over time are in ``g_habits``."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from fleetapp.energy import rules as energy
from fleetapp.energy.rules import EntryKind
from fleetapp.findings.families.tools import Answers, clue, distance_m, hm, km, minutes
from fleetapp.findings.known import Fill, Known
from fleetapp.findings.rules import Clue, Severity, Silence
from fleetapp.kit import clock

UNITS = {"fuel": "L", "charge": "kWh"}


def _fills(known: Known, kind: str = "fuel") -> list[Fill]:
    return [fill for fill in known.fills if fill.kind == kind and known.holds(fill.at)]


def intervals_of(known: Known, kind: str) -> list[energy.Interval]:
    """Return the full-to-full intervals of a vehicle's fillings of one kind."""
    battery = None if known.car.battery_kwh is None else Decimal(str(known.car.battery_kwh))
    return energy.intervals(
        energy.Filling(
            fill.at, Decimal(str(fill.quantity)), fill.odometer_m,
            energy.level(full=fill.full, soc_percent=fill.soc_percent, battery_kwh=battery), fill.breaks,
        )
        for fill in known.fills if fill.kind == kind
    )  # fmt: skip


def consumption(known: Known) -> Answers:
    """G-01: an interval far above or below the vehicle's own baseline; orange when high again within ``repeat_days``.

    The baseline is the median of the intervals that ended before, as far back as ``baseline_days``; fewer than three are none.
    """
    for kind in (EntryKind.FUEL, EntryKind.CHARGE):
        spans = intervals_of(known, kind)
        high: list[energy.Interval] = []
        for number, span in enumerate(spans):
            since = span.end_at - timedelta(days=known.value("G-01.baseline_days", span.end_at))
            base = energy.baseline([one.per_100km for one in spans[:number] if one.end_at >= since])
            if base is None:
                continue
            excess = "energy.high_excess_l" if kind == EntryKind.FUEL else "energy.high_excess_kwh"
            limits = energy.Limits(*(Decimal(str(known.value(code, span.end_at)))
                                     for code in ("energy.high_factor", "energy.low_factor", excess)))  # fmt: skip
            found = energy.outlier(span.per_100km, base, limits)
            repeat = timedelta(days=known.value("G-01.repeat_days", span.end_at))
            again = any(span.end_at - one.end_at <= repeat for one in high)
            if found is energy.Outlier.HIGH:
                high.append(span)
            if found is None or not known.holds(span.end_at):
                continue
            yield clue(
                known, "G-01", key=f"{kind.value}|{span.end_at:%Y%m%d%H%M}", start=span.start_at, end=span.end_at,
                severity=Severity.ORANGE if found is energy.Outlier.HIGH and again else Severity.YELLOW,
                saw={"value": f"{span.per_100km:.1f}", "unit": UNITS[kind.value], "baseline": f"{base:.1f}"},
                distance_m=span.distance_m, confidence=0.9, against=[{"code": "filling_missing_possible"}],
            )  # fmt: skip


def overfill(known: Known) -> Answers:
    """G-02: one filling exceeds the tank by more than the factor."""
    for fill in _fills(known):
        tank = known.car.tank_l
        if tank is not None and fill.quantity > tank * known.value("energy.tank_factor", fill.at):
            yield _fill_clue(
                known, "G-02", fill, Severity.ORANGE, {"litres": f"{fill.quantity:.1f}", "tank": f"{tank:.0f}"}
            )


def _fill_clue(known: Known, rule: str, fill: Fill, severity: Severity, saw: dict[str, Any], **more: Any) -> Clue:
    return clue(
        known, rule, key=str(fill.id), start=fill.at, end=fill.at, severity=severity, saw=saw, at=fill.at, end_place=fill.station,
        order=known.order_at(fill.at, grace=timedelta(minutes=30)), **more,
    )  # fmt: skip


def repeated(known: Known) -> Answers:
    """G-03: filled again within ``window_h`` or the same day although what was driven used far less; red above the tank."""
    fuel = sorted((fill for fill in known.fills if fill.kind == "fuel"), key=lambda fill: fill.at)
    for first, second in pairwise(fuel):
        if not known.holds(second.at):
            continue
        hours = minutes(first.at, second.at) / 60
        same_day = clock.local_date(first.at) == clock.local_date(second.at)
        if hours > known.value("G-03.window_h", second.at) and not same_day:
            continue
        metres = _driven_m(known, first, second)
        base = energy.mean_per_100km(intervals_of(known, "fuel"))
        per_100km = float(base) if base is not None else known.value("G-03.l_100km", second.at)
        used = metres / 100_000 * per_100km
        if used >= first.quantity * known.value("G-03.energy_ratio", second.at):
            continue
        tank = known.car.tank_l
        red = tank is not None and first.quantity + second.quantity - used > tank
        yield _fill_clue(
            known, "G-03", second, Severity.RED if red else Severity.ORANGE,
            {"hours": f"{hours:.1f}", "first": f"{first.quantity:.1f}", "second": f"{second.quantity:.1f}", "km": km(metres)},
            distance_m=metres, confidence=0.9, against=[{"code": "filling_interrupted_possible"}],
        )  # fmt: skip


def _driven_m(known: Known, first: Fill, second: Fill) -> float:
    """Return the metres between two fillings: by both odometers where they are there, else by the trips between."""
    if first.odometer_m is not None and second.odometer_m is not None and second.odometer_m >= first.odometer_m:
        return float(second.odometer_m - first.odometer_m)
    return sum(trip.best_m for trip in known.trips if trip.end_at > first.at and trip.start_at < second.at)


def without_use(known: Known) -> Answers:
    """G-04: fuel on a day without any trip (well covered), or while sealed."""
    for fill in _fills(known):
        on = clock.local_date(fill.at)
        if any(clock.local_date(trip.start_at) <= on <= clock.local_date(trip.end_at) for trip in known.trips):
            continue
        coverage = known.covered.get(on, 0.0)
        if coverage < known.value("A-06.min_coverage", fill.at):
            yield Silence.INSUFFICIENT_DATA
            continue
        sealed = any(
            seal.sealed_at and seal.sealed_at <= fill.at < (seal.unsealed_at or known.now) for seal in known.seals
        )
        yield _fill_clue(
            known, "G-04", fill, Severity.ORANGE, {"at": hm(fill.at), "litres": f"{fill.quantity:.1f}"}, coverage=coverage,
            confidence=coverage, supporting=[{"code": "sealed"}] if sealed else [],
        )  # fmt: skip


def elsewhere(known: Known) -> Answers:
    """G-05: around the filling the vehicle was farther from the station than ``max_m``."""
    for fill in known.fills:
        if fill.lat is None or fill.lon is None or not known.holds(fill.at):
            continue
        if known.covered.get(clock.local_date(fill.at), 0.0) < known.value("G-05.min_coverage", fill.at):
            yield Silence.INSUFFICIENT_DATA
            continue
        near = _near(known, fill)
        if near is None:
            yield Silence.INSUFFICIENT_DATA
        elif near > known.value("G-05.max_m", fill.at):
            yield _fill_clue(
                known, "G-05", fill, Severity.RED, {"at": hm(fill.at), "place": fill.station or "", "km": km(near)}, confidence=0.9,
                against=[{"code": "time_of_receipt_possible"}],
            )  # fmt: skip


def _near(known: Known, fill: Fill) -> float | None:
    """Return how near the vehicle came to the station around the filling, metres; where it stood counts as well."""
    if fill.lat is None or fill.lon is None:
        return None
    within = known.value("G-05.within_min", fill.at)
    spots: Sequence[tuple[float, float]] = [
        *((one.lat, one.lon) for one in known.positions if abs(minutes(one.at, fill.at)) <= within),
        *((stay.lat, stay.lon) for stay in known.stays
          if minutes(fill.at, stay.end_at) >= -within and minutes(stay.start_at, fill.at) >= -within),
    ]  # fmt: skip
    return min((distance_m(lat, lon, fill.lat, fill.lon) for lat, lon in spots), default=None)


FUELS = {
    "diesel": ("柴油",),
    "petrol": ("汽油", "92", "95", "98"),
    "hev": ("汽油", "92", "95", "98"),
    "phev": ("汽油", "92", "95", "98"),
}


def wrong_product(known: Known) -> Answers:
    """G-06: the product names another grade or another kind of fuel, or no fuel at all."""
    for fill in _fills(known):
        product, grade = fill.product or "", known.car.fuel_grade or ""
        if not product:
            continue
        kinds = FUELS.get(known.car.energy, ())
        other_fuel = bool(kinds) and not any(word in product for word in kinds)
        digits = [number for number in ("92", "95", "98") if number in product]
        other_grade = bool(digits) and bool(grade) and not any(number in grade for number in digits)
        if other_fuel or other_grade:
            yield _fill_clue(
                known, "G-06", fill, Severity.ORANGE, {"product": product, "grade": grade or "/".join(kinds[:1])},
                confidence=1.0 if other_fuel else 0.8,
            )  # fmt: skip


JUDGES = {
    "G-01": consumption, "G-02": overfill, "G-03": repeated, "G-04": without_use, "G-05": elsewhere, "G-06": wrong_product,
}  # fmt: skip
