"""The evidence file of one clue as PDF: an HTML template, our own drawings, nothing fetched from anywhere."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO

from flask import render_template
from markupsafe import Markup

from fleetapp.findings.rules import CATALOGUE, FACTS
from fleetapp.places.roads import as_geojson
from fleetapp.reports.case import Case
from fleetapp.reports.drawing import SPEED_STEPS, Bar, LonLat, Mark, Point, strip_svg, track_svg
from fleetapp.tracking.bridge import Fix
from fleetapp.web import pdf
from fleetapp.web.display import km, moment, percent
from fleetapp.web.texts import catalogue, language, t, t_or

GAP_S = 600
PARTS = ("time", "dest", "orig", "driver", "events")
MOVING_COLOUR, STAY_COLOUR, ORDER_COLOUR, CLUE_COLOUR, DUTY_COLOUR = (
    "#206bc4",
    "#f59f00",
    "#4263eb",
    "#d63939",
    "#0ca678",
)
NUMBER_UNITS = {"m": "m", "min": "min", "count": "", "score": ""}


def write_case(case: Case, file: BinaryIO) -> None:
    """Write the evidence file of a case as PDF in the page's language."""
    pdf.write(render_template("reports/case.html", **facts(case)), file)


def facts(case: Case) -> dict[str, Any]:
    """Return what the template shows."""
    finding = case.finding
    rule = CATALOGUE.get(finding.rule)
    points = track_points(case.fixes)
    return {
        "case": case, "finding": finding, "part": case.part, "order": case.order,
        "rule_name": getattr(rule, f"name_{language()}") if rule else finding.rule,
        "facts": [(t_or(f"findings.fact.{name}", name), fact_words(name, finding.facts[name])) for name in known(finding.facts)],
        "params": [(code, *param_words(value)) for code, value in sorted(finding.params.get("figures", {}).items())],
        "evidence_for": [evidence_words(line) for line in finding.evidence_for],
        "evidence_against": [evidence_words(line) for line in finding.evidence_against],
        "score_parts": [(t(f"reports.col.score_{part}"), getattr(case.part, f"score_{part}")) for part in PARTS] if case.part else [],
        "map": Markup(case_map(case, points)), "strip": Markup(case_strip(case, points)),  # noqa: S704 -- drawn and escaped by us
        "shown": len(points), "steps": speed_legend(), "stays": stays(case),
    }  # fmt: skip


def known(values: Mapping[str, Any]) -> list[str]:
    """Return the names of facts: catalogued ones in their order, then the rest; empty ones are left out."""
    listed = [name for name in FACTS if name in values]
    rest = sorted(values.keys() - {*listed, "trip_ids"})  # numbers of rows tell a reader nothing
    return [name for name in [*listed, *rest] if values[name] not in (None, "", [], {})]


def fact_words(name: str, value: Any) -> str:
    """Return a fact's value as a person reads it."""
    kind = FACTS.get(name)
    if kind == "km":
        return f"{km(value)} km"
    if kind == "moment":
        return moment(datetime.fromisoformat(value))
    if kind == "share":
        return percent(value)
    if kind == "kind":
        return t_or(f"reports.kind.{value}", str(value))
    if kind == "flag":
        return t("web.yes" if value else "web.no")
    if kind == "day":
        unknown = "" if value["known"] else f" · {t('reports.calendar_unknown', years=value['on'][:4])}"
        return (
            " ".join([value["on"], t_or(f"orders.day.{value['kind']}", value["kind"]), value["name"]]).strip() + unknown
        )
    if kind in NUMBER_UNITS and isinstance(value, int | float):
        return f"{value:g} {NUMBER_UNITS[kind]}".strip()
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, list):
        return "、".join(t_or(f"findings.exempt.{item}", str(item)) for item in value)
    return str(value)


def param_words(value: Any) -> tuple[str, str]:
    """Return a parameter's value with its unit, and where it comes from."""
    if not isinstance(value, Mapping):
        return str(value), ""
    source = " ".join(str(value[name]) for name in ("source", "article") if value.get(name))
    return f"{value.get('value')} {value.get('unit') or ''}".strip(), source


def evidence_words(line: Mapping[str, Any]) -> str:
    """Return a line of evidence in words; one without words shows its code and values."""
    values = {name: value for name, value in line.items() if name != "code"}
    key = f"findings.ev.{line['code']}"
    if key in catalogue():
        return t(key, **values)
    return f"{line['code']} " + ", ".join(f"{name} = {value}" for name, value in values.items())


def track_points(fixes: Sequence[Fix]) -> list[Point]:
    """Return what can be drawn: fixes with a position, a pause of over ten minutes marked as a gap."""
    points: list[Point] = []
    before: Fix | None = None
    for fix in fixes:
        if fix.fixed and abs(fix.lat) <= 90 and abs(fix.lon) <= 180 and (fix.lat, fix.lon) != (0, 0):
            gap = before is not None and (fix.at - before.at).total_seconds() > GAP_S
            points.append(Point(fix.lon, fix.lat, fix.speed_kmh, gap))
            before = fix
    return points


def stays(case: Case) -> list[dict[str, Any]]:
    """Return the stays of the trip, numbered as on the map."""
    return [
        {"number": number, "lon": stop["lon"], "lat": stop["lat"], "start": datetime.fromisoformat(stop["start"]),
         "end": datetime.fromisoformat(stop["end"])}
        for number, stop in enumerate((stop for trip in case.trips for stop in trip.stops), start=1)
    ]  # fmt: skip


def case_map(case: Case, points: Sequence[Point]) -> str:
    """Return the map of the case."""
    marks: list[Mark] = []
    if points:
        marks += [
            Mark(points[0].lon, points[0].lat, "start", t("reports.case.start_mark")),
            Mark(points[-1].lon, points[-1].lat, "end", t("reports.case.end_mark")),
        ]
    marks += [Mark(stay["lon"], stay["lat"], "stay", str(stay["number"])) for stay in stays(case)]
    stops = case.order.stops if case.order else []
    marks += [Mark(stop.lon, stop.lat, "stop", chr(65 + number), stop.name) for number, stop in enumerate(stops)]
    ring: tuple[LonLat, ...] = case.parking
    return track_svg(points, marks=marks, parking=ring, roads=as_geojson(), title=t("reports.case.map"))


def case_strip(case: Case, points: Sequence[Point]) -> str:
    """Return the time strip of the case: clue, approved window, duty, trip, stays, positions."""
    rows: list[tuple[str, list[Bar]]] = [
        (t("reports.case.clue"), [Bar(case.finding.start_at, case.finding.end_at, CLUE_COLOUR, case.finding.number)])
    ]
    if case.order:
        rows.append(
            (t("reports.case.window"), [Bar(case.order.start_at, case.order.end_at, ORDER_COLOUR, case.order.number)])
        )
    reported = {event.action: event.at for event in case.events}
    if "CHECK_OUT" in reported:
        rows.append(
            (t("reports.case.duty"), [Bar(reported["CHECK_OUT"], reported.get("CHECK_IN", case.end), DUTY_COLOUR, "")])
        )
    if case.trips:
        rows.append(
            (t("reports.case.trip"), [Bar(trip.start_at, trip.end_at, MOVING_COLOUR, "") for trip in case.trips])
        )
        rows.append(
            (
                t("reports.case.stays"),
                [Bar(stay["start"], stay["end"], STAY_COLOUR, str(stay["number"])) for stay in stays(case)],
            )
        )
    rows.append((t("reports.case.positions"), _heard(case.fixes) if points else []))
    return strip_svg(rows, start=case.start, end=case.end, title=t("reports.case.strip"))


def _heard(fixes: Sequence[Fix]) -> list[Bar]:
    """Return the stretches over which positions came without a gap."""
    bars: list[Bar] = []
    for fix in fixes:
        if bars and (fix.at - bars[-1].end).total_seconds() <= GAP_S:
            bars[-1] = Bar(bars[-1].start, fix.at, "#9ba9be", "")
        else:
            bars.append(Bar(fix.at, fix.at, "#9ba9be", ""))
    return bars


def speed_legend() -> list[tuple[str, str]]:
    """Return colour and words of each speed step."""
    bounds = [0, *(limit for limit, _ in SPEED_STEPS)]
    return [
        (colour, f"{bounds[number]}–{limit:g}" if limit != float("inf") else f"≥ {bounds[number]}")
        for number, (limit, colour) in enumerate(SPEED_STEPS)
    ]
