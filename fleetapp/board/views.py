"""The dispatcher's live board: its page, its data as JSON, the check before a drop, and moves."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, jsonify, make_response, render_template, request
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.board import bars, facts
from fleetapp.board import queries as board
from fleetapp.board.bars import ms
from fleetapp.board.queries import Held
from fleetapp.board.schemas import BoardQuery
from fleetapp.board.words import as_json, case, fit, undo_of
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as orders
from fleetapp.planning import journeys, moves, queries, rules, service
from fleetapp.planning.models import Assignment
from fleetapp.planning.paper import MOST_AT_ONCE
from fleetapp.planning.scene import centre
from fleetapp.planning.schemas import CheckQuery, JoinQuery, LockIn, MovesIn
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
ALERTS = 12
"""Exceptions told one by one; of the others the number."""
PLUGGED = frozenset({"bev", "phev"})


@blueprint.get("/board")
def live() -> str:
    """Show the board; its data come after it."""
    permits.require("planning.read", actor())
    query = load_query(BoardQuery())
    on = query["day"] or clock.local_date(now())
    day = Span(*clock.day_span(on))
    with transaction() as s:
        rows = queries.between(queries.visible_to(actor()), day).limit(MOST_AT_ONCE)
        held = s.execute(rows.with_only_columns(Assignment.slip_id, Assignment.vehicle_id)).all()
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
        )  # fmt: skip


@blueprint.get("/board/live/join")
@as_json
def join() -> Response:
    """Return whether an order could join a journey, what that saves and who must be asked; asked when it is dropped on one."""
    query = load_query(JoinQuery())
    with transaction() as s:
        order = orders.get_order(s, order_id=query["order_id"], actor=actor())
        permits.require("planning.assign", actor(), org_path=order.org.path, owner_id=order.applicant_id)
        found = journeys.options(s, order=order, actor=actor(), now=now(), pool_key=query["pool_key"])
        if not found or order.id in {row.order_id for row in found[0].members}:
            raise RuleBroken("planning.journey_gone")
        [one] = found
        text = (
            t(f"planning.why.{one.fault.code}", **one.fault.params)
            if one.fault
            else t("board.join_saves", km=round(one.saved_m / 1000, 1))
        )
        return jsonify(fit=fit(one.fault), consent_of=list(one.consent_of), text=text)


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
    held = board.held(s, span=span, actor=actor())
    by_journey: dict[int, list[Held]] = {}
    for row in held:
        by_journey.setdefault(row.pool_key, []).append(row)
    out = {row.vehicle_id for row in held if row.state in rules.OUT}
    elsewhere = queries.vehicles_by_id(s, out - here)
    own, phones = facts.places(s, cars=[*page.items, *elsewhere.values()], held=held, actor=actor(), now=now())
    silent = facts.bound(s, vehicle_ids=out, now=now()) if own or out else set()
    wrong = bars.wrong(
        list(by_journey.values()),
        accept_min=_figures(s, "dispatch.accept_min", {row.unit_path for row in held}),
        silent=lambda row: facts.silent(own, row, silent),
        now=now(),
    )
    seen = [rows for rows in by_journey.values() if rows[0].vehicle_id in here]
    stops = board.stops(s, order_ids=[row.order_id for rows in seen for row in rows])
    words, alerts = bars.Words(), [(key, code) for key, codes in wrong.items() for code in codes]
    kept = queries.holds(s, span=span, vehicle_ids=here, driver_ids=())
    waiting = orders.approved_waiting(s, actor=actor(), start=span.start, end=span.end, limit=MOST_WAITING)
    charges = facts.charge(s, vehicle_ids=[car.id for car in page.items if car.energy in PLUGGED], now=now())
    groups = _groups(s, page.items, by)
    idle = [
        {"id": f"{one.cause}{one.vehicle_id}-{ms(one.span.start)}", "row": one.vehicle_id, "start": ms(one.span.start),
         "end": ms(one.span.end), "text": t(f"board.idle.{one.cause}"), "cause": one.cause}
        for one in facts.idle(s, vehicle_ids=here, span=span)
    ]  # fmt: skip
    return {
        "start": ms(span.start), "end": ms(span.end), "page": page.number, "pages": page.pages, "total": page.total,
        "rows": [{**_row(car, charges.get(car.id)), "group": groups[car.id]} for car in page.items],
        "bars": [words.bar(rows, wrong.get(rows[0].pool_key, []), stops) for rows in seen],
        "kept": [
            {"id": f"hold{row.id}", "row": row.vehicle_id, "start": ms(row.during.lower), "end": ms(row.during.upper),
             "text": t(f"planning.hold.{row.cause}"), "cause": "kept"}
            for row in kept if row.vehicle_id in here
        ] + idle,
        "places": [_where(key, one) for found in (own, phones) for key, one in found.items() if key in here],
        "queue": [
            words.card(order, unit=name(order.org), stops=[(stop.lon, stop.lat, stop.name) for stop in order.stops])
            for order in waiting
        ],
        "alerts": [words.alert(by_journey[key][0], code) for key, code in alerts[:ALERTS]], "alerts_total": len(alerts),
        "drivers": bars.hours_of(held, _figures(s, "driver.shift_max_h", {row.holder_path for row in held})),
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


def _figures(s: Session, code: str, paths: set[str]) -> dict[str, float]:
    """Return a policy figure by path of the organisation.

    :raises RuleBroken: ``policies.missing``.
    """
    on = clock.local_date(now())
    found = policies.by_org(s, code, on=on, org_paths=paths)
    for path in paths - found.keys():
        policies.value(s, code, on, path)  # says which is missing
    return {path: float(value) for path, value in found.items()}


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


def _point(car: Vehicle) -> list[float] | None:
    if car.parking is None:
        return None
    lat, lon = centre(car.parking)
    return [lon, lat]
