"""Family F: whether the terminal can be believed, F-01 to F-06."""

from datetime import timedelta

from fleetapp.findings.families.tools import Answers, clue, hm, km, latest, minutes, month_of, trailing
from fleetapp.findings.known import Known
from fleetapp.findings.rules import Severity, Silence
from fleetapp.kit import clock
from fleetapp.workdays.rules import DayKind

LAST_MINUTE_M = 2_000.0
"""Driven unseen so little, a vehicle went down the ramp of a garage and stood there."""


def offline(known: Known) -> Answers:
    """F-01: no data for the short limit during an order under way, for the long one otherwise.

    Orange during an order, on a holiday, or when very long. A vehicle in the shop may be silent.
    """
    for blank in known.blanks:
        end = min(blank.end_at, known.now)
        if not known.holds(blank.start_at):
            continue
        length_min = minutes(blank.start_at, end)
        during = next(
            (order for order in known.orders
             if order.checked_out_at and order.checked_out_at <= blank.start_at and end <= (order.returned_at or order.end_at)), None,
        )  # fmt: skip
        # Found again where it fell silent with the odometer unmoved, it stood: a basement, a sleeping terminal.
        stood = (blank.chord_m <= 300 and (blank.advanced_m or 0.0) <= 1000) or (
            blank.advanced_m is not None and 0 <= blank.advanced_m <= LAST_MINUTE_M
        )
        limit_min = known.value("F-01.idle_h", blank.start_at) * 60
        if during is not None and not stood:
            limit_min = known.value("F-01.active_min", blank.start_at)
        if length_min <= limit_min:
            continue
        if known.in_shop(blank.start_at) is not None:
            yield Silence.IN_SHOP
            continue
        holiday = known.day(blank.start_at).kind is DayKind.HOLIDAY
        grave = (
            (during is not None and not stood)
            or holiday
            or length_min > known.value("F-01.orange_h", blank.start_at) * 60
        )
        yield clue(
            known, "F-01", key=f"{blank.start_at:%Y%m%d%H%M}", start=blank.start_at, end=end, order=during,
            severity=Severity.ORANGE if grave else Severity.YELLOW, saw={"since": hm(blank.start_at), "hours": f"{length_min / 60:.1f}"},
            since_at=blank.start_at, against=[{"code": "found_where_lost"}] if stood else [],
        )  # fmt: skip


def shielding(known: Known) -> Answers:
    """F-02: data end while moving and come back far away or with the odometer advanced, repeatedly within thirty days."""
    yield from latest(_shielding(known))


def _shielding(known: Known) -> Answers:
    days = known.value("pattern.days", known.end - timedelta(days=1))
    lost = [
        blank for blank in known.blanks
        if minutes(blank.start_at, blank.end_at) >= known.value("F-02.min_min", blank.start_at)
        and max(blank.chord_m, blank.advanced_m or 0.0) >= known.value("F-02.min_km", blank.start_at) * 1000
        and known.in_shop(blank.start_at) is None
    ]  # fmt: skip
    for blank, recent in trailing(lost, lambda one: one.start_at, days):
        if not known.holds(blank.start_at) or len(recent) < known.value("F-02.min_count", blank.start_at):
            continue
        least = known.value("F-02.min_count", blank.start_at)
        sure = len([one for one in recent if known.order_at(one.start_at) is None]) >= least
        if sure and known.order_at(blank.start_at) is not None:
            continue  # A tunnel on an approved way is not what the others were.
        metres = max(blank.chord_m, blank.advanced_m or 0.0)
        yield clue(
            known, "F-02", key=month_of(blank.start_at) + ("" if sure else "|unsure"), start=blank.start_at, end=blank.end_at, severity=Severity.RED,
            # One loss inside an order may be a dead zone of the network; without orders it is not likely.
            confidence=0.9 if sure else 0.45, order=known.order_at(blank.start_at),
            saw={"count": len(recent), "minutes": round(minutes(blank.start_at, blank.end_at)), "km": km(metres)},
            since_at=recent[0].start_at, distance_m=metres, against=[{"code": "dead_zone_possible"}],
        )  # fmt: skip


def _signals(known: Known, kind: str, rule: str, least_min: float) -> Answers:
    for signal in known.signals:
        length_min = minutes(signal.start_at, signal.end_at)
        if signal.kind != kind or not known.holds(signal.start_at) or length_min < least_min:
            continue
        if known.in_shop(signal.start_at) is not None:
            yield Silence.IN_SHOP
            continue
        yield clue(
            known, rule, key=f"{signal.start_at:%Y%m%d%H%M}", start=signal.start_at, end=signal.end_at, severity=Severity.ORANGE,
            saw={"minutes": round(length_min)}, order=known.order_at(signal.start_at), since_at=signal.start_at,
        )  # fmt: skip


def power_cut(known: Known) -> Answers:
    """F-03: the terminal reports low or no main power for ``min_min``, not in the shop."""
    yield from _signals(known, "power", "F-03", known.value("F-03.min_min", known.start))


def antenna(known: Known) -> Answers:
    """F-04: antenna open or shorted, or messages without a fix, for ``min_min``, not in the shop."""
    yield from _signals(known, "antenna", "F-04", known.value("F-04.min_min", known.start))


def frozen_position(known: Known) -> Answers:
    """F-05: the odometer advances while the position stays where it is, or the terminal reports another datum."""
    odd = sorted(on for on in known.other_datum if known.holds(clock.start_of(on)))
    if odd:
        start, end = clock.start_of(odd[0]), clock.start_of(odd[-1] + timedelta(days=1))
        yield clue(
            known, "F-05", key=f"datum|{month_of(start)}", start=start, end=end, severity=Severity.YELLOW,
            saw={"minutes": round(minutes(start, end)), "km": "0.5"}, supporting=[{"code": "other_datum", "days": len(odd)}],
        )  # fmt: skip
    for signal in known.signals:
        if signal.kind != "frozen" or not known.holds(signal.start_at):
            continue
        if signal.value < known.value("F-05.min_km", signal.start_at) * 1000:
            continue
        yield clue(
            known, "F-05", key=f"{signal.start_at:%Y%m%d%H%M}", start=signal.start_at, end=signal.end_at, severity=Severity.ORANGE,
            saw={"minutes": round(minutes(signal.start_at, signal.end_at)), "km": km(signal.value)}, distance_m=signal.value,
        )  # fmt: skip


def other_vehicle(known: Known) -> Answers:
    """F-06: the terminal's odometer jumps while the vehicle stands: it may sit in another vehicle now."""
    for signal in known.signals:
        if signal.kind != "jump" or not known.holds(signal.start_at):
            continue
        if abs(signal.value) < known.value("F-06.jump_km", signal.start_at) * 1000:
            continue
        yield clue(
            known, "F-06", key=f"{signal.start_at:%Y%m%d%H%M}", start=signal.start_at, end=signal.end_at, severity=Severity.ORANGE,
            saw={"at": hm(signal.start_at), "km": km(signal.value)}, at=signal.start_at,
        )  # fmt: skip


JUDGES = {
    "F-01": offline, "F-02": shielding, "F-03": power_cut, "F-04": antenna, "F-05": frozen_position, "F-06": other_vehicle,
}  # fmt: skip
