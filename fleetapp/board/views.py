"""The dispatcher's live board: its page, its data as JSON, the check before a drop, and moves."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, jsonify, make_response, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.board import facts
from fleetapp.board.schemas import BoardQuery
from fleetapp.board.words import as_json, case, fit, undo_of
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderKind, Purpose
from fleetapp.planning import journeys, moves, queries, rules, service
from fleetapp.planning.models import Assignment
from fleetapp.planning.paper import MOST_AT_ONCE
from fleetapp.planning.scene import centre
from fleetapp.planning.schemas import CheckQuery, LockIn, MovesIn
from fleetapp.policies import queries as policies
from fleetapp.sharing.rules import pool_of
from fleetapp.tracking import service as tracking
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState
from fleetapp.web.display import hour, name
from fleetapp.web.forms import load, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("board", __name__, template_folder="templates")
MOST_WAITING = 200
PLUGGED = frozenset({"bev", "phev"})


@blueprint.get("/board")
def live() -> str:
    """Show the board; its data come after it."""
    permits.require("planning.read", actor())
    query = load_query(BoardQuery())
    on = query["day"] or clock.local_date(now())
    day = Span(*clock.day_span(on))
    with transaction() as s:
        held = s.scalars(queries.between(queries.visible_to(actor()), day).limit(MOST_AT_ONCE)).unique().all()
        if permits.may("tracking.live", actor()):
            tracking.watched(
                s, purpose=t("board.title"), vehicles=len({row.vehicle_id for row in held}), actor=actor(), now=now()
            )
        slip_ids, waiting_days = [row.slip_id for row in held], queries.waiting_by_day(s, actor=actor(), now=now())
    return render_template(
        "board/live.html", query=query, on=on, slip_ids=slip_ids, waiting_days=waiting_days, today=clock.local_date(now()), before=on - timedelta(days=1),
        after=on + timedelta(days=1), may_move=permits.may("planning.assign", actor()),
        may_see_emergencies=permits.may("emergency.read", actor()),
    )  # fmt: skip


@blueprint.get("/board/live/data")
@as_json
def data() -> Response:
    """Return rows, bars, queue and exceptions; 304 while nothing has changed since the reader's version."""
    permits.require("planning.read", actor())
    query = load_query(BoardQuery())
    on = query["day"] or clock.local_date(now())
    start, _ = clock.day_span(on)
    _, end = clock.day_span(on + timedelta(days=query["days"] - 1))
    with transaction() as s:
        found = _board(s, Span(start, end), q=query["q"], number=query["page"], size=query["size"], by=query["by"])
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    answer = make_response(text)
    answer.mimetype = "application/json"
    answer.set_etag(hashlib.sha256(text.encode()).hexdigest()[:24])
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.make_conditional(request)
    return answer


@blueprint.get("/board/live/check")
@as_json
def check() -> Response:
    """Return for an order every vehicle's case and every journey's, in words, before it is put anywhere."""
    order_id = load_query(CheckQuery())["order_id"]
    with transaction() as s:
        order = orders.get_order(s, order_id=order_id, actor=actor())
        permits.require("planning.assign", actor(), org_path=order.org.path, owner_id=order.applicant_id)
        found, cars, people = service.candidates(s, order=order, actor=actor(), now=now())
        names = {driver.id: name(driver.user) for driver in people}
        joins = journeys.options(s, order=order, actor=actor(), now=now())
        return jsonify(
            order_id=order_id,
            rows=[
                {
                    "vehicle_id": one.vehicle_id, "plate": cars[one.vehicle_id].plate, "fit": fit(one.fault),
                    "driver_id": one.driver_id, "text": case(one.fault, names.get(one.driver_id or 0), one.cost_fen),
                    "point": _point(cars[one.vehicle_id]),
                }
                for one in found
            ],
            joins=[
                {
                    "pool_key": one.pool_key, "fit": fit(one.fault), "consent_of": list(one.consent_of),
                    "text": t(f"planning.why.{one.fault.code}", **one.fault.params) if one.fault
                    else t("board.join_saves", km=round(one.saved_m / 1000, 1)),
                }
                for one in joins if order_id not in {row.order_id for row in one.members}
            ],
        )  # fmt: skip


@blueprint.post("/board/live/moves")
@as_json
def make_moves() -> Response:
    """Make moves together and return those that undo them."""
    asked = load(MovesIn(), request.get_json(silent=True) or {})
    reason = t("board.undo_reason" if asked["undo"] else "board.reason", lang="zh")
    with transaction() as s:
        done = moves.move(
            s, moves=[moves.Move(**one) for one in asked["moves"]], reason=reason, actor=actor(), now=now()
        )
        said = [
            t("board.given", number=one.number, plate=one.assignment.vehicle.plate, slip=one.assignment.slip.number)
            if one.assignment else t("planning.released_done", number=one.number)
            for one in done
        ]  # fmt: skip
        back = [undo_of(one.back) for one in done]
    return jsonify(text=" ".join(said), back=back)


@blueprint.post("/board/live/lock")
@as_json
def lock() -> Response:
    """Lock an order to its vehicle, or unlock it."""
    asked = load(LockIn(), request.get_json(silent=True) or {})
    with transaction() as s:
        held = moves.lock(s, **asked, actor=actor(), now=now())
        key = "board.locked" if asked["locked"] else "board.unlocked"
        return jsonify(text=t(key, plate=held.vehicle.plate))


# ---- rows to what the script draws ----------------------------------------------------------------------------------


def _board(s: Session, span: Span, *, q: str, number: int, size: int, by: str) -> dict[str, Any]:
    cars = vehicles.filtered(vehicles.visible_to(actor()), q=q).where(Vehicle.state != VehicleState.RETIRED)
    order = (Vehicle.parking_id.nulls_last(), Vehicle.plate) if by == "yard" else (Organisation.path, Vehicle.plate)
    page = paginate(s, cars.order_by(None).order_by(*order), number=number, size=size)
    here = {car.id for car in page.items}
    held = s.scalars(queries.between(queries.visible_to(actor()), span)).unique().all()
    by_journey: dict[int, list[Assignment]] = {}
    for row in held:
        by_journey.setdefault(row.pool_key, []).append(row)
    out = {row.vehicle_id: row.vehicle for row in held if row.order.state in rules.OUT}
    own, phones = facts.places(
        s,
        cars=[*page.items, *(car for key, car in out.items() if key not in here)],
        held=held,
        actor=actor(),
        now=now(),
    )
    silent = facts.bound(s, vehicle_ids=out, now=now()) if own or out else set()
    accept = _accept_limits(s, held)
    bars = [_bar(rows, accept, offline=facts.silent(own, rows[0], silent)) for rows in by_journey.values()]
    kept = queries.holds(s, span=span, vehicle_ids=here, driver_ids=())
    waiting = orders.approved_waiting(s, actor=actor(), start=span.start, end=span.end, limit=MOST_WAITING)
    charges = facts.charge(s, vehicle_ids=[car.id for car in page.items if car.energy in PLUGGED], now=now())
    groups = _groups(s, page.items, by)
    idle = [
        {"id": f"{one.cause}{one.vehicle_id}-{_ms(one.span.start)}", "row": one.vehicle_id, "start": _ms(one.span.start),
         "end": _ms(one.span.end), "text": t(f"board.idle.{one.cause}"), "cause": one.cause}
        for one in facts.idle(s, vehicle_ids=here, span=span)
    ]  # fmt: skip
    return {
        "start": _ms(span.start), "end": _ms(span.end), "page": page.number, "pages": page.pages, "total": page.total,
        "rows": [{**_row(car, charges.get(car.id)), "group": groups[car.id]} for car in page.items],
        "bars": [bar for bar in bars if bar["row"] in here],
        "kept": [
            {"id": f"hold{row.id}", "row": row.vehicle_id, "start": _ms(row.during.lower), "end": _ms(row.during.upper),
             "text": t(f"planning.hold.{row.cause}"), "cause": "kept"}
            for row in kept if row.vehicle_id in here
        ] + idle,
        "places": [_where(key, one) for found in (own, phones) for key, one in found.items() if key in here],
        "queue": [_card(order) for order in waiting],
        "alerts": [
            {"bar": bar["id"], "row": bar["row"], "plate": bar["plate"], "code": code, "href": bar["orders"][0]["href"],
             "text": t(f"board.alert.{code}"), "number": bar["orders"][0]["number"], "order_id": bar["orders"][0]["id"],
             "seen": bar["orders"][0]["seen"]}
            for bar in bars for code in bar["alerts"]
        ],
        "drivers": _hours_of(s, held),
    }  # fmt: skip


def _groups(s: Session, cars: Sequence[Vehicle], by: str) -> dict[int, str]:
    """Return what each row stands under: its holder, the pool of its district, or its yard."""
    if by == "yard":
        return {car.id: car.parking.name_zh if car.parking else t("board.no_yard") for car in cars}
    if by == "org":
        return {car.id: name(car.org) for car in cars}
    districts = {one.path: name(one) for one in accounts.list_districts(s)}
    return {car.id: districts.get(pool_of(car.org.path, list(districts)), t("board.city_pool")) for car in cars}


def _where(vehicle_id: int, one: facts.Where) -> dict[str, Any]:
    words = t("board.seen_phone" if one.source == "phone" else "board.seen_terminal", at=hour(one.at))
    return {"row": vehicle_id, "point": list(one.lonlat), "source": one.source, "state": one.state.value, "text": words}


def _accept_limits(s: Session, held: Sequence[Assignment]) -> dict[str, timedelta]:
    on = clock.local_date(now())
    return {
        path: timedelta(minutes=float(policies.value(s, "dispatch.accept_min", on, path)))
        for path in {row.order.org.path for row in held}
    }


def _row(car: Vehicle, charged: tuple[int, datetime] | None) -> dict[str, Any]:
    kind = [t(f"orders.body.{car.body}"), t("planning.seats", n=car.seats)]
    if car.energy in PLUGGED:
        energy = t(f"vehicles.energy.{car.energy}")
        kind.append(t("board.range", energy=energy, km=car.range_km) if car.range_km else energy)
    if charged is not None:
        kind.append(t("board.charged", percent=charged[0], at=f"{clock.local(charged[1]):%m-%d %H:%M}"))
    return {
        "id": car.id, "plate": car.plate, "charge": charged[0] if charged else None, "org": name(car.org), "org_id": car.org_id, "kind": " · ".join(kind),
        "idle": "" if car.state == VehicleState.IN_SERVICE else t(f"vehicles.state.{car.state}"), "point": _point(car),
    }  # fmt: skip


def _bar(rows: Sequence[Assignment], accept: dict[str, timedelta], *, offline: bool) -> dict[str, Any]:
    first = rows[0]
    alerts = [
        code
        for row in rows
        for code in rules.exceptions(
            row.order.state, start_at=row.order.start_at, end_at=row.order.end_at, assigned_at=row.assigned_at,
            accept=accept[row.order.org.path], in_service=row.vehicle.state == VehicleState.IN_SERVICE, now=now(),
        )
    ] + (["offline"] if offline else [])  # fmt: skip
    to = first.order.stops[-1].name if first.order.stops else first.order.number
    pooled = t("planning.pool_of", n=len(rows)) if len(rows) > 1 else ""
    return {
        "id": first.pool_key, "row": first.vehicle_id, "plate": first.vehicle.plate, "driver": name(first.driver.user),
        "start": _ms(min(row.order.start_at for row in rows)), "end": _ms(max(row.order.end_at for row in rows)),
        "held_start": _ms(min(_lower(row) for row in rows)), "held_end": _ms(max(_upper(row) for row in rows)),
        "state": first.order.state, "charge": first.order.purpose == Purpose.CHARGE, "out": first.order.state in rules.OUT, "state_text": t(f"orders.state.{first.order.state}"), "pooled": pooled,
        "text": f"{hour(first.order.start_at)} {to}", "locked": any(row.locked_at for row in rows),
        "movable": all(row.order.state in rules.MOVABLE for row in rows), "alerts": list(dict.fromkeys(alerts)),
        "alert_text": "；".join(t(f"board.alert.{code}") for code in dict.fromkeys(alerts)),
        "orders": [{**_card(row.order), "seen": row.id, "locked": row.locked_at is not None} for row in rows],
    }  # fmt: skip


def _card(order: TravelOrder) -> dict[str, Any]:
    """Return an order in words and numbers; its age is told by the script, which has a clock that runs."""
    return {
        "id": order.id, "number": order.number, "unit": name(order.org), "urgent": order.kind == OrderKind.EMERGENCY,
        "time": f"{clock.local(order.start_at):%m-%d} {hour(order.start_at)}–{hour(order.end_at)}",
        "since": _ms(order.approved_at), "start": _ms(order.start_at), "end": _ms(order.end_at),
        "what": f"{t(f'orders.purpose.{order.purpose}')} · {t('orders.people', n=order.passenger_count)} · {t(f'orders.body.{order.body}')}",
        "to": " → ".join(stop.name for stop in order.stops[1:]), "href": url_for("orders.show", order_id=order.id),
        "stops": [[stop.lon, stop.lat, stop.name] for stop in order.stops],
    }  # fmt: skip


def _hours_of(s: Session, held: Sequence[Assignment]) -> list[dict[str, Any]]:
    """Return the hours of journeys of each driver by local day against a shift of the policy, the longest first."""
    on, limits, hours = clock.local_date(now()), dict[str, float](), dict[tuple[int, Any], float]()
    rows, done = dict[int, Assignment](), set[tuple[int, int]]()
    for row in held:
        if (row.driver_id, row.pool_key) in done:
            continue  # a shared journey is driven once
        done.add((row.driver_id, row.pool_key))
        rows[row.driver_id] = row
        path = row.vehicle.org.path
        if path not in limits:
            limits[path] = float(policies.value(s, "driver.shift_max_h", on, path))
        key = (row.driver_id, clock.local_date(row.order.start_at))
        hours[key] = hours.get(key, 0) + (row.order.end_at - row.order.start_at).total_seconds() / 3600
    found = [
        {"name": name(rows[driver_id].driver.user), "on": f"{day:%m-%d}", "hours": round(sum_h, 1),
         "most": limits[rows[driver_id].vehicle.org.path], "over": sum_h > limits[rows[driver_id].vehicle.org.path]}
        for (driver_id, day), sum_h in hours.items()
    ]  # fmt: skip
    return sorted(found, key=lambda one: (-float(str(one["hours"])), str(one["name"])))[:40]


def _point(car: Vehicle) -> list[float] | None:
    if car.parking is None:
        return None
    lat, lon = centre(car.parking)
    return [lon, lat]


def _lower(row: Assignment) -> datetime:
    return row.during.lower or row.order.start_at


def _upper(row: Assignment) -> datetime:
    return row.during.upper or row.order.end_at


def _ms(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at else None
