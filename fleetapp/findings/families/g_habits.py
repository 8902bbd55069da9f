"""Family G over time: holidays, small and large fillings, cards, charging, G-07 to G-11."""

from collections.abc import Mapping
from datetime import timedelta

from fleetapp.findings.families.tools import Answers, clue, exempt, month_of
from fleetapp.findings.known import Fill, Known
from fleetapp.findings.rules import Severity, Silence
from fleetapp.kit import clock
from fleetapp.vehicles.rules import Energy
from fleetapp.workdays.rules import DayKind


def holiday_fills(known: Known) -> Answers:
    """G-07: filled on a statutory holiday without duty or an order; consecutive days are told."""
    holidays = {
        clock.local_date(fill.at) for fill in known.fills
        if fill.kind == "fuel" and (day := known.days.get(clock.local_date(fill.at))) and day.kind is DayKind.HOLIDAY and day.known
    }  # fmt: skip
    for fill in known.fills:
        on = clock.local_date(fill.at)
        if on not in holidays or not known.holds(fill.at) or fill.kind != "fuel":
            continue
        if known.on_duty_list(fill.at):
            yield Silence.ORDER_IN_FORCE
            continue
        order = known.order_at(fill.at, grace=timedelta(minutes=30))
        if order is not None:
            yield exempt(order) or Silence.ORDER_IN_FORCE
            continue
        first = last = on
        while first - timedelta(days=1) in holidays:
            first -= timedelta(days=1)
        while last + timedelta(days=1) in holidays:
            last += timedelta(days=1)
        yield clue(
            known, "G-07", key=on.isoformat(), start=fill.at, end=fill.at, severity=Severity.ORANGE, at=fill.at, end_place=fill.station,
            saw={"on": on.isoformat(), "litres": f"{fill.quantity:.1f}", "count": (last - first).days + 1},
            against=[{"code": "duty_list_possible"}],
        )  # fmt: skip


def unusual_counts(known: Known) -> Answers:
    """G-08: more small or large fillings in a month than the 95th percentile of the unit's vehicles."""
    last = max((fill.at for fill in known.fills if known.holds(fill.at)), default=None)
    if last is None:
        return
    month = month_of(last)
    own = [fill for fill in known.fills if fill.kind == "fuel" and month_of(fill.at) == month]
    sides: tuple[tuple[str, str, list[Fill], Mapping[str, float]], ...] = (
        (
            "小额",
            "small",
            [one for one in own if one.amount <= known.value("G-08.small_cny", last)],
            known.peers.small_fills,
        ),
        (
            "大额",
            "large",
            [one for one in own if one.amount >= known.value("G-08.large_cny", last)],
            known.peers.large_fills,
        ),
    )
    for zh, en, found, limits in sides:
        limit = limits.get(month)
        if limit is None or len(found) < known.value("G-08.min_count", last) or len(found) <= limit:
            continue
        yield clue(
            known, "G-08", key=f"{month}|{en}", start=found[-1].at, end=found[-1].at, severity=Severity.YELLOW,
            saw={"size_zh": zh, "size_en": en, "count": len(found), "limit": f"{limit:g}"}, since_at=found[0].at,
        )  # fmt: skip


def card_of_another(known: Known) -> Answers:
    """G-09: the card was bound to another vehicle on the day."""
    for fill in known.fills:
        if fill.card and fill.card_vehicle_id not in {None, known.car.id} and known.holds(fill.at):
            yield clue(
                known, "G-09", key=str(fill.id), start=fill.at, end=fill.at, severity=Severity.ORANGE, saw={"card": f"…{fill.card[-4:]}"},
                at=fill.at, end_place=fill.station, order=known.order_at(fill.at),
            )  # fmt: skip


def never_charged(known: Known) -> Answers:
    """G-10: a plug-in hybrid took fuel and no charge for ``days``, or drove too small a share on electricity."""
    if known.car.energy != Energy.PHEV:
        return
    last = max((fill.at for fill in known.fills if known.holds(fill.at)), default=None)
    if last is None:
        return
    days = known.value("G-10.days", last)
    recent = [fill for fill in known.fills if last - timedelta(days=days) < fill.at <= last]
    litres, kwh = (sum(fill.quantity for fill in recent if fill.kind == kind) for kind in ("fuel", "charge"))
    if (last - min(fill.at for fill in known.fills)).days < days - 15 or not litres:
        return  # not known for long enough
    fuel_km = litres / known.value("energy.phev_l_100km", last)
    electric_km = kwh / known.value("energy.phev_kwh_100km", last)
    if kwh and electric_km / (electric_km + fuel_km) >= known.value("energy.phev_min_share", last):
        return
    yield clue(
        known, "G-10", key=month_of(last), start=last, end=last, severity=Severity.YELLOW,
        saw={"days": round(days), "litres": f"{litres:.0f}", "kwh": f"{kwh:.0f}"}, since_at=last - timedelta(days=days),
    )  # fmt: skip


def overcharge(known: Known) -> Answers:
    """G-11: one charge exceeds the battery by more than the factor."""
    battery = known.car.battery_kwh
    for fill in known.fills:
        if fill.kind != "charge" or battery is None or not known.holds(fill.at):
            continue
        if fill.quantity > battery * known.value("energy.battery_factor", fill.at):
            yield clue(
                known, "G-11", key=str(fill.id), start=fill.at, end=fill.at, severity=Severity.YELLOW, at=fill.at, end_place=fill.station,
                saw={"kwh": f"{fill.quantity:.1f}", "battery": f"{battery:.0f}"}, order=known.order_at(fill.at),
            )  # fmt: skip


JUDGES = {
    "G-07": holiday_fills, "G-08": unusual_counts, "G-09": card_of_another, "G-10": never_charged, "G-11": overcharge,
}  # fmt: skip
