"""One pure function per rule: what is known goes in, a clue, a reason for silence, or None comes out.

Thresholds are policy figures (``config/policy.toml``); definitions follow the rule catalogue, families A, B and E.
"Clue" means 疑似: every one carries what speaks for it and what speaks against it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from fleetapp.findings.inputs import DayUse, OrderFacts, OrderUse, Outing, Overnight, WeakPart
from fleetapp.findings.rules import (
    AT_PLACE_M,
    MIN_COVERAGE,
    Clue,
    Figures,
    Line,
    Severity,
    Silence,
    assembled,
    is_rest,
    margin_confidence,
    touches_night,
)
from fleetapp.kit import clock
from fleetapp.orders.rules import OrderKind
from fleetapp.workdays.rules import Day, DayKind

Judgement = Clue | Silence | None

HOME_REACH_M = 300.0
"""A vehicle last seen this near its designated place may stand in its basement (segmentation's reach of a basement)."""
SILENT_MIN, BLIND_MIN = 30.0, 120.0
"""Where a parked vehicle is at a moment is sure with a fix this near in time, and not judged beyond the second."""
NEAREST_ORDER = timedelta(hours=4)
"""The driver of an order this near in time is asked about an unmatched trip; else the unit's administrator is."""

EXEMPT_KINDS = {OrderKind.EMERGENCY: Silence.EMERGENCY_ORDER, OrderKind.SERVICE: Silence.SERVICE_ORDER}


def trip_without_order(outing: Outing, figures: Figures) -> Judgement:
    """A-01: moved more than ``min_km``, or out of the designated place's buffer, with no order that fits.

    Orange; red on a rest day or holiday, at night, or beyond ``red_km``. Short excursions around the designated place
    are E-01's.
    """
    buffer_m = figures["A-01.leave_buffer_m"].value
    is_far = outing.distance_m > figures["A-01.min_km"].value * 1000
    if not (is_far or _left_place(outing, buffer_m)) or _stayed_near(outing, buffer_m, figures):
        return None
    if outing.coverage < MIN_COVERAGE:
        return Silence.INSUFFICIENT_DATA
    beyond = outing.distance_m > figures["A-01.red_km"].value * 1000
    grave = beyond or _at_night(outing, figures) or is_rest(outing.day)
    supporting = [_line("no_order"), _line("distance", km=_km(outing.distance_m)), *_outing_for(outing, figures)]
    if beyond:
        supporting.append(_line("beyond", km=_number(figures["A-01.red_km"].value)))
    return _outing_clue("A-01", outing, figures, Severity.RED if grave else Severity.ORANGE, supporting)


def left_designated_place(outing: Outing, figures: Figures) -> Judgement:
    """E-01: left the designated place by more than the buffer without an order within ``grace_min``, but stayed near.

    An early warning: beyond ``near_km`` it becomes A-01. Yellow; orange at night, on a rest day or holiday.
    """
    buffer_m = figures["E-01.buffer_m"].value
    if not _left_place(outing, buffer_m) or not _stayed_near(outing, buffer_m, figures):
        return None
    grace = timedelta(minutes=figures["E-01.grace_min"].value)
    order = outing.nearest
    if order is not None and order.start_at - grace <= outing.start_at < order.end_at + grace:
        return Silence.ORDER_IN_FORCE
    if outing.coverage < MIN_COVERAGE:
        return Silence.INSUFFICIENT_DATA
    grave = _at_night(outing, figures) or is_rest(outing.day)
    supporting = [
        _line("no_order_near", minutes=_number(figures["E-01.grace_min"].value)),
        *_outing_for(outing, figures),
    ]
    return _outing_clue("E-01", outing, figures, Severity.ORANGE if grave else Severity.YELLOW, supporting)


def weak_match(part: WeakPart) -> Judgement:
    """A-02: the best order fits only partly, or two orders fit alike. Always yellow: a person confirms the order."""
    if part.kind not in {"weak", "ambiguous"}:
        return None
    if exempt := EXEMPT_KINDS.get(OrderKind(part.order.kind)):
        return exempt
    if part.coverage < MIN_COVERAGE:
        return Silence.INSUFFICIENT_DATA
    supporting = [_line(f"low_{name}", value=f"{value:.2f}") for name, value in part.parts.items() if value < 0.5]
    if part.kind == "ambiguous" and part.rival_slip:
        supporting.append(_line("rival", slip=part.rival_slip, margin=f"{part.margin:.2f}"))
    against = [
        _line("order_exists", slip=part.order.slip),
        *_line_if(part.parts.get("time", 0) >= 0.5, "inside_window"),
    ]
    return _clue(
        "A-02", key=f"{part.start_at:%Y%m%d%H%M}|{part.order.order_id}", vehicle_id=part.vehicle_id,
        start=part.start_at, end=part.end_at, severity=Severity.YELLOW, confidence=part.coverage,
        supporting=supporting, against=against, coverage=part.coverage, order=part.order, trip_ids=(part.trip_id,),
        distance_m=part.distance_m, best_score=part.score, margin=part.margin, match_kind=part.kind,
    )  # fmt: skip


def outside_approved_time(use: OrderUse, figures: Figures) -> Judgement:
    """A-03: left earlier than ``early_min`` before, or came back ``late_min`` or more after the approved window.

    Yellow; orange from ``orange_min`` late, or when the return is on a later local day than the approved end.
    """
    order = use.order
    early_min = (order.start_at - use.out_at).total_seconds() / 60
    late_min = (use.back_at - order.end_at).total_seconds() / 60
    is_early = early_min > figures["A-03.early_min"].value
    is_late = late_min >= figures["A-03.late_min"].value
    if not (is_early or is_late):
        return None
    if exempt := EXEMPT_KINDS.get(OrderKind(order.kind)):
        return exempt
    if use.coverage < MIN_COVERAGE:
        return Silence.INSUFFICIENT_DATA
    past_midnight = is_late and clock.local_date(use.back_at) > clock.local_date(order.end_at)
    grave = (is_late and late_min >= figures["A-03.orange_min"].value) or past_midnight
    supporting = [
        *_line_if(is_early, "early", minutes=round(early_min), at=_hm(use.out_at)),
        *_line_if(is_late, "late", minutes=round(late_min), at=_hm(use.back_at)),
        *_line_if(past_midnight, "past_midnight"),
    ]
    against = [
        _line("order_exists", slip=order.slip),
        *_line_if(order.returned_at is not None, "checked_in", at=_hm(order.returned_at)),
        *_line_if(not grave, "same_day"),
        _line("extension_possible"),
    ]
    return _clue(
        "A-03", key=str(order.order_id), vehicle_id=use.vehicle_id, start=use.out_at if is_early else order.end_at,
        end=use.back_at if is_late else order.start_at, severity=Severity.ORANGE if grave else Severity.YELLOW,
        confidence=min(use.coverage, margin_confidence(use.margin)), supporting=supporting, against=against,
        coverage=use.coverage, figures=figures, order=order, trip_ids=use.trip_ids, distance_m=use.distance_m,
        out_at=use.out_at, back_at=use.back_at, early_min=round(early_min) if is_early else None,
        late_min=round(late_min) if is_late else None, end_place=use.end_place, ongoing=use.ongoing or None,
    )  # fmt: skip


def holiday_use(use: DayUse, figures: Figures) -> Judgement:
    """B-01: ``min_km`` or more on a statutory holiday. Red without an order, orange with an ordinary one."""
    if use.day.kind is not DayKind.HOLIDAY or not use.day.known:
        return None
    if use.order is not None and _ran_over_midnight(use):
        return Silence.ORDER_IN_FORCE
    return _day_use("B-01", use, figures, Severity.RED if use.order is None else Severity.ORANGE)


SMALL_HOURS = timedelta(hours=4)


def _ran_over_midnight(use: DayUse) -> bool:
    """Tell whether a duty of the day before came home in the first hours of a day."""
    began_before = use.order is not None and clock.local_date(use.order.start_at) < use.day.on
    return began_before and use.end_at - clock.start_of(use.day.on) <= SMALL_HOURS


def rest_day_use(use: DayUse, figures: Figures) -> Judgement:
    """B-02: ``min_km`` or more on a rest day without an order. Orange; yellow while the year's notice is not loaded.

    A make-up workday (调休) is a workday. An approved order makes the use ordinary: nothing is raised.
    """
    if use.day.kind is not DayKind.REST:
        return None
    if use.order is not None:
        return EXEMPT_KINDS.get(OrderKind(use.order.kind), Silence.ORDER_IN_FORCE)
    return _day_use("B-02", use, figures, Severity.ORANGE if use.day.known else Severity.YELLOW)


def not_back_overnight(night: Overnight, figures: Figures) -> Judgement:
    """E-02: at ``at_h`` away from the designated place, and no order in force or over less than ``grace_min`` ago."""
    if night.away_m <= HOME_REACH_M:
        return None
    grace = timedelta(minutes=figures["E-02.grace_min"].value)
    if any(order.start_at <= night.at < order.end_at + grace for order in night.orders):
        return Silence.ORDER_IN_FORCE
    before = [order for order in night.orders if order.start_at <= night.at]
    last = max(before, key=lambda order: order.end_at, default=None)
    if last is not None and last.kind == OrderKind.EMERGENCY and last.returned_at is None:
        return Silence.EMERGENCY_ORDER
    if night.silent_min > BLIND_MIN:
        return Silence.INSUFFICIENT_DATA
    sure = night.silent_min <= SILENT_MIN
    supporting = [
        _line("away_at", at=_hm(night.at), metres=round(night.away_m)),
        _line("no_order_overnight"),
        *_line_if(
            last is not None, "order_over", slip=last.slip if last else "", at=_hm(last.end_at if last else None)
        ),
    ]
    against = [
        *_line_if(not sure, "position_inferred", minutes=round(night.silent_min)),
        *_line_if(night.until_at is not None, "next_trip", at=_hm(night.until_at)),
        *_calendar_against(night.day),
        _line("overnight_leave_possible"),
    ]
    return _clue(
        "E-02", key=night.on.isoformat(), vehicle_id=night.vehicle_id, start=night.at,
        end=night.until_at or night.at + timedelta(hours=8), severity=Severity.ORANGE,
        confidence=1.0 if sure else 0.6, supporting=supporting, against=against, figures=figures,
        order=last if last is not None and night.at - last.end_at < timedelta(days=1) else None,
        trip_ids=(night.trip_id,), away_m=round(night.away_m), at=night.at, since_at=night.since_at,
        end_place=night.place, silent_min=round(night.silent_min), day=night.day,
    )  # fmt: skip


# ---- shared by the rules --------------------------------------------------------------------------------------------


def _left_place(outing: Outing, buffer_m: float) -> bool:
    if outing.from_m is None or outing.farthest_m is None:
        return False
    return outing.from_m <= max(buffer_m, AT_PLACE_M) and outing.farthest_m > buffer_m


def _stayed_near(outing: Outing, buffer_m: float, figures: Figures) -> bool:
    near_m = figures["E-01.near_km"].value * 1000
    return _left_place(outing, buffer_m) and outing.farthest_m is not None and outing.farthest_m <= near_m


def _at_night(outing: Outing, figures: Figures) -> bool:
    from_h, to_h = figures["A-01.night_start_h"].value, figures["A-01.night_end_h"].value
    return touches_night(outing.start_at, outing.end_at, from_h=from_h, to_h=to_h)


def _outing_for(outing: Outing, figures: Figures) -> list[Line]:
    from_h, to_h = figures["A-01.night_start_h"].value, figures["A-01.night_end_h"].value
    left = _left_place(outing, figures["A-01.leave_buffer_m"].value)
    return [
        *_line_if(left, "left_place", metres=round(outing.farthest_m or 0.0)),
        *_line_if(_at_night(outing, figures), "night", start=f"{from_h:.0f}:00", end=f"{to_h:.0f}:00"),
        *_day_off(outing.day),
        *_line_if(outing.vehicle_state == "SEALED", "sealed"),
    ]


def _outing_clue(rule: str, outing: Outing, figures: Figures, severity: Severity, supporting: list[Line]) -> Clue:
    buffer_m = figures["A-01.leave_buffer_m"].value
    weak = figures["match.weak"].value
    back = outing.to_m is not None and outing.to_m <= max(buffer_m, HOME_REACH_M)
    workday = outing.day.kind is DayKind.WORKDAY and not _at_night(outing, figures)
    nearest = outing.nearest
    against = [
        *_line_if(outing.best_slip is not None, "candidate", slip=outing.best_slip, score=f"{outing.best_score:.2f}",
                  weak=f"{weak:.2f}"),
        *_line_if(nearest is not None, "order_same_day", slip=nearest.slip if nearest else ""),
        *_line_if(back, "came_back"),
        *_line_if(workday, "work_hours"),
        *_line_if(outing.vehicle_state == "MAINTENANCE", "maintenance"),
        *_line_if(outing.coverage < 0.9, "coverage", percent=round(outing.coverage * 100)),
        *_line_if(outing.has_gap, "gap"),
        *_calendar_against(outing.day),
        _line("supplementary_possible"),
    ]  # fmt: skip
    near = nearest is not None and _minutes_apart(outing, nearest) <= NEAREST_ORDER.total_seconds() / 60
    clue_margin = weak - outing.best_score if outing.best_slip is not None else 1.0
    return _clue(
        rule, key=f"{outing.start_at:%Y%m%d%H%M}", vehicle_id=outing.vehicle_id, start=outing.start_at,
        end=outing.end_at, severity=severity, confidence=min(outing.coverage, margin_confidence(clue_margin)),
        supporting=supporting, against=against, coverage=outing.coverage, figures=figures,
        concerned_id=nearest.driver_user_id if near and nearest else None, trip_ids=outing.trip_ids,
        distance_m=outing.distance_m, farthest_m=_rounded(outing.farthest_m), from_m=_rounded(outing.from_m),
        best_score=outing.best_score if outing.best_slip else None, start_place=outing.start_place,
        end_place=outing.end_place, day=outing.day, ongoing=outing.ongoing or None,
    )  # fmt: skip


def _minutes_apart(outing: Outing, order: OrderFacts) -> float:
    """Minutes between a movement and an order's window; negative when they overlap."""
    return max((order.start_at - outing.end_at).total_seconds(), (outing.start_at - order.end_at).total_seconds()) / 60


def _day_use(rule: str, use: DayUse, figures: Figures, severity: Severity) -> Judgement:
    if use.distance_m < figures["B-01.min_km"].value * 1000:
        return None
    if use.order is not None and (exempt := EXEMPT_KINDS.get(OrderKind(use.order.kind))):
        return exempt
    if use.coverage < MIN_COVERAGE:
        return Silence.INSUFFICIENT_DATA
    supporting = [
        *(_day_off(use.day) or [_line("weekend", on=use.day.on.isoformat())]),
        _line("distance", km=_km(use.distance_m)),
        _line("no_order") if use.order is None else _line("no_duty_leave"),
    ]  # fmt: skip
    against = [
        *_line_if(use.order is not None, "order_exists", slip=use.order.slip if use.order else ""),
        *_line_if(use.coverage < 0.9, "coverage", percent=round(use.coverage * 100)),
        *_calendar_against(use.day),
        _line("duty_list_possible"),
    ]
    nearest = use.nearest
    key = f"{use.day.on.isoformat()}|{use.order.order_id if use.order else 0}"
    return _clue(
        rule, key=key, vehicle_id=use.vehicle_id, start=use.start_at, end=use.end_at, severity=severity,
        confidence=use.coverage, supporting=supporting, against=against, coverage=use.coverage, figures=figures,
        order=use.order, trip_ids=use.trip_ids, distance_m=use.distance_m, day=use.day,
        concerned_id=nearest.driver_user_id if nearest else None,
    )  # fmt: skip


def _day_off(day: Day) -> list[Line]:
    """Return the line that says a day is surely none of work."""
    if not is_rest(day):
        return []
    holiday = day.kind is DayKind.HOLIDAY
    return [
        _line("holiday", on=day.on.isoformat(), name=day.name) if holiday else _line("rest_day", on=day.on.isoformat())
    ]


def _calendar_against(day: Day) -> list[Line]:
    """Return what the calendar says for the vehicle: a make-up workday, or that the year's notice is not known."""
    if not day.known:
        return [_line("calendar_unknown", year=day.on.year)]
    if day.kind is DayKind.WORKDAY and day.name:
        return [_line("makeup_workday", on=day.on.isoformat(), name=day.name)]
    return []


def _clue(
    rule: str, *, key: str, vehicle_id: int, start: datetime, end: datetime, severity: Severity, confidence: float,
    supporting: Sequence[Line], against: Sequence[Line], coverage: float | None = None,
    figures: Figures | None = None, order: OrderFacts | None = None, trip_ids: tuple[int, ...] = (),
    concerned_id: int | None = None, day: Day | None = None, **facts: Any,
) -> Clue:  # fmt: skip
    """Put a clue together; both kinds of evidence are never empty."""
    if day is not None:
        facts["day"] = {"on": day.on.isoformat(), "kind": day.kind.value, "name": day.name, "known": day.known}
    return assembled(
        rule, vehicle_id=vehicle_id, key=key, start=start, end=end, severity=severity, confidence=confidence, facts=facts,
        figures=figures, supporting=supporting, against=against, coverage=coverage, trip_ids=trip_ids, trips=len(trip_ids),
        order=order, order_id=None, concerned_id=concerned_id,
    )  # fmt: skip


def _line(code: str, **params: Any) -> Line:
    return {"code": code, **params}


def _line_if(condition: bool, code: str, **params: Any) -> list[Line]:
    return [_line(code, **params)] if condition else []


def _rounded(metres: float | None) -> int | None:
    return None if metres is None else round(metres)


def _km(metres: float) -> str:
    return f"{metres / 1000:.1f}"


def _number(value: float) -> str:
    return f"{value:g}"


def _hm(at: datetime | None) -> str:
    return "" if at is None else f"{clock.local(at):%m-%d %H:%M}"
