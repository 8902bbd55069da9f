"""Plans beside the board: asked for in the background, watched, compared with what stands, taken over whole or in part."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, jsonify, make_response, render_template, request
from marshmallow import EXCLUDE
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts.models import UserAccount
from fleetapp.board.schemas import AcceptIn, BoardPlanIn, BoardQuery
from fleetapp.board.words import case, fit, said, undo_of
from fleetapp.drivers import queries as drivers
from fleetapp.drivers.models import Driver
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, FleetError, Invalid, NotFound, RuleBroken
from fleetapp.orders import queries as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.planning import again, queries
from fleetapp.planning.again import WhatIf
from fleetapp.planning.bridge import again as bridge
from fleetapp.planning.bridge.again import Extra
from fleetapp.planning.models import PlanRun
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.web.display import input_moment, name
from fleetapp.web.forms import load, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("plans", __name__, template_folder="templates", url_prefix="/board/plans")
REFUSED = (Conflict, RuleBroken, Invalid, NotFound)
CASES = 12
"""Vehicles listed when somebody asks why this one: those that could go come first."""


@blueprint.get("")
def index() -> str:
    """Show the form of a plan and the last runs."""
    permits.require("planning.read", actor())
    return _index(None)


def _index(error: FleetError | None) -> str:
    query = load_query(BoardQuery(unknown=EXCLUDE))
    start, end = clock.day_span(query["day"] or clock.local_date(now()))
    end += timedelta(days=query["days"] - 1)
    with transaction() as s:
        return _shown(
            "board/_ask.html", title=t("board.plan_title"), runs=queries.recent_runs(s, actor=actor()), problem=said(error) if error else None,
            values={"start_at": input_moment(max(start, now())), "end_at": input_moment(end), **request.form.to_dict()},
            may=permits.may("planning.plan", actor()),
        )  # fmt: skip


@blueprint.post("")
def ask() -> str | Response | tuple[str, int]:
    """Ask for a plan; the page then shows how far it is."""
    try:
        data = load_form(BoardPlanIn(unknown=EXCLUDE))
        with transaction() as s:
            what_if = _what_if(s, data)
            run_id = again.ask(s, **data, what_if=what_if, actor=actor(), now=now()).id
    except REFUSED as error:
        return _index(error), 422
    return _run(run_id, None)


def _what_if(s: Session, data: dict[str, Any]) -> WhatIf | None:
    """Return the world that the form describes; its fields leave the data.

    :raises RuleBroken: ``board.unknown_names``, ``board.extra_incomplete``.
    """
    plates, people, number, at = (data.pop(key) for key in ("vehicles_out", "drivers_out", "extra_number", "extra_at"))
    cars = dict(s.execute(vehicles.visible_to(actor()).order_by(None).where(Vehicle.plate.in_(plates)).with_only_columns(Vehicle.plate, Vehicle.id)).all()) if plates else {}  # fmt: skip
    found = s.scalars(drivers.visible_to(actor()).where(UserAccount.name_zh.in_(people) | UserAccount.username.in_(people))).all() if people else []  # fmt: skip
    named = {one.user.name_zh for one in found} | {one.user.username for one in found}
    if unknown := [*(one for one in plates if one not in cars), *(one for one in people if one not in named)]:
        raise RuleBroken("board.unknown_names", names="、".join(unknown))
    extra = []
    if number or at:
        like = s.scalar(orders.visible_to(actor()).where(TravelOrder.number == number))
        if like is None or at is None:
            raise RuleBroken("board.extra_incomplete")
        extra = [Extra(like.id, round((at - like.start_at).total_seconds()))]
    return WhatIf(list(cars.values()), [one.id for one in found], extra) or None


@blueprint.get("/<int:run_id>")
def run(run_id: int) -> str | Response:
    """Show how far a run is, or what it would change."""
    permits.require("planning.read", actor())
    return _run(run_id, None)


@blueprint.post("/<int:run_id>/stop")
def stop(run_id: int) -> str | Response:
    """Stop a run; what it has found so far is shown."""
    with transaction() as s:
        again.stop(s, run_id=run_id, actor=actor(), now=now())
    return _run(run_id, None)


@blueprint.post("/<int:run_id>/accept")
def accept(run_id: int) -> str | Response | tuple[str, int]:
    """Take over the ticked changes; the board's undo learns how to take them back."""
    chosen = request.form.getlist("order_ids", type=int)
    if not chosen:
        return _page(run_id, t("planning.none_ticked")), 422
    order_ids = load(AcceptIn(), {"order_ids": chosen})["order_ids"]
    try:
        with transaction() as s:
            done = again.accept(
                s,
                run_id=run_id,
                order_ids=order_ids,
                reason=t("board.plan_reason", lang="zh"),
                actor=actor(),
                now=now(),
            )
            back = [undo_of(one.back) for one in done]
    except (Conflict, RuleBroken) as error:
        return _page(run_id, said(error)), 409 if isinstance(error, Conflict) else 422
    answer = make_response(_page(run_id, None, t("board.plan_accepted", n=len(done))))
    answer.headers["HX-Trigger"] = json.dumps({"board:done": {"back": back}})
    return answer


@blueprint.get("/<int:run_id>/why/<key>")
def why(run_id: int, key: str) -> str:
    """Show why an order gets its vehicle and why the others do not do."""
    permits.require("planning.read", actor())
    with transaction() as s:
        found = queries.get_run(s, run_id=run_id, actor=actor())
        if "plan" not in found.plan or key not in {one["id"] for one in found.instance["requests"]}:
            raise NotFound("kit.not_found")
        cases = bridge.why(found.instance, found.plan["plan"], key)[:CASES]
        cars = queries.vehicles_by_id(s, {one.vehicle_id for one in cases})
        people = queries.drivers_by_id(s, {one.driver_id for one in cases if one.driver_id})
        rows = [
            (cars[one.vehicle_id].plate, fit(one.fault), case(one.fault, _driver(people, one.driver_id), one.cost_fen))
            for one in cases if one.vehicle_id in cars
        ]  # fmt: skip
        return render_template("board/_why.html", rows=rows)


@blueprint.get("/insert")
def insert() -> Response:
    """Answer a waiting order at once: the best vehicles with what they cost more, and whether moving others is cheaper still."""
    permits.require("planning.assign", actor())
    order_id = request.args.get("order_id", type=int) or 0
    try:
        with transaction() as s:
            order = orders.get_order(s, order_id=order_id, actor=actor())
            found, seen = again.insert(s, order=order, actor=actor(), now=now())
            cars = queries.vehicles_by_id(s, {one.vehicle_id for one in found.best} | {one[1] for one in found.moves})
            people = queries.drivers_by_id(
                s, {one.driver_id for one in found.best if one.driver_id} | {one[2] for one in found.moves}
            )
            numbers = {
                one.id: one.number
                for one in queries.orders_by_id(s, order_ids=[one[0] for one in found.moves], actor=actor()).values()
            }
            best = [
                {"vehicle_id": one.vehicle_id, "driver_id": one.driver_id, "plate": cars[one.vehicle_id].plate,
                 "text": case(None, _driver(people, one.driver_id), one.cost_fen)}
                for one in found.best
            ]  # fmt: skip
            others = [one for one in found.moves[1:] if one[0] in numbers]
            moves = [
                {"order_id": one[0], "seen": seen.get(one[0]), "vehicle_id": one[1], "driver_id": one[2]}
                for one in (*found.moves[:1], *others)
            ] if others else []  # fmt: skip
            text = t("board.insert_moves", plate=cars[found.moves[0][1]].plate, yuan=_saved(found), n=len(others),
                     numbers="、".join(numbers[one[0]] for one in others)) if moves else ""  # fmt: skip
            none = (
                t(f"planning.left.{found.reason}") if found.reason else t("board.insert_rent") if found.rented else ""
            )
    except (RuleBroken, NotFound) as error:
        return make_response(jsonify(best=[], moves=[], text="", none=t(error.code, **error.params)), 200)
    return jsonify(best=best, moves=moves, text=text, none=none)


def _saved(found: bridge.Inserted) -> int:
    """Return what moving others saves against the best vehicle that moves nobody, CNY."""
    alone = found.best[0].cost_fen if found.best and found.best[0].cost_fen is not None else 0
    return max(0, round((alone - found.extra_fen) / 100))


def _run(run_id: int, problem: str | None) -> Response:
    answer = make_response(_page(run_id, problem))
    answer.headers["HX-Push-Url"] = "false"
    return answer


def _page(run_id: int, problem: str | None, done: str | None = None) -> str:
    with transaction() as s:
        found = queries.get_run(s, run_id=run_id, actor=actor())
        ready = "plan" in found.plan and "standing" in found.plan
        changes = bridge.changes(found.plan["plan"], found.plan["standing"]) if ready else []
        left = bridge.left_over(found.plan["plan"], found.plan["standing"]) if ready else {}
        ids = {one.order_id for one in changes if one.order_id} | {int(key) for key in left if key.isdecimal()}
        pairs = [pair for one in changes for pair in (one.was, one.now) if pair]
        known = queries.orders_by_id(s, order_ids=ids, actor=actor())
        held = queries.active_by_order(s, order_ids=ids)
        return _shown(
            "board/_run.html", title=t("planning.run_title", n=run_id), run=found, changes=changes, left=left, orders=known, problem=problem,
            done=done, cars=queries.vehicles_by_id(s, {one for one, _ in pairs}), people=queries.drivers_by_id(s, {one for _, one in pairs}),
            taken={key: row for key, row in held.items() if row.run_id == run_id}, figures=_compared(found.plan) if ready else [],
            may=permits.may("planning.plan", actor(), org_path=found.org.path), what_if=_differs(s, found),
        )  # fmt: skip


def _shown(template: str, **values: Any) -> str:
    """Render a part for the board, which asks with htmx, or a page of its own."""
    if request.headers.get("HX-Request"):
        return render_template(template, **values)
    return render_template("board/plan.html", part=template, **values)


def _compared(plan: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return each key figure of what stands and of the plan, in words, with better, worse or nothing."""
    before, after = plan["before"], plan["figures"]

    def share(row: Mapping[str, Any], part: str) -> float:
        return float(row[part]) / row["distance_m"] * 100 if row["distance_m"] else 0.0

    def row(code: str, old: float, new: float, form: str, *, good: int) -> tuple[str, str, str, str]:
        trend = (new > old) - (new < old)
        return (
            code,
            form.format(old),
            form.format(new),
            "" if not trend or not good else "better" if trend == good else "worse",
        )

    found = [
        row("served", before["served"], after["served"], "{:.0f}", good=1),
        row("rented", before["rented"], after["rented"], "{:.0f}", good=-1),
        row("unassigned", before["unassigned"], after["unassigned"], "{:.0f}", good=-1),
        row("vehicles", before["vehicles"], after["vehicles"], "{:.0f}", good=0),
        row("km", before["distance_m"] / 1000, after["distance_m"] / 1000, "{:,.0f}", good=0),
        row("empty", before["empty_m"] / 1000, after["empty_m"] / 1000, "{:,.0f}", good=-1),
        row("pooled", before["pooled"], after["pooled"], "{:.0f}", good=0),
        row("electric", share(before, "electric_m"), share(after, "electric_m"), "{:.0f} %", good=1),
        row("spread", before["spread_s"] / 3600, after["spread_s"] / 3600, "{:.1f} h", good=-1),
        row("cost", before["cost_fen"] / 100, after["cost_fen"] / 100, "{:,.0f}", good=-1),
    ]
    gap = "–" if after["gap"] is None else f"{after['gap'] * 100:.2f} %"
    return [*found, ("gap", "–", gap, "")]


def _differs(s: Session, found: PlanRun) -> str:
    """Return in words what is different in the world of a what-if."""
    asked = found.asked.get("what_if") or {}
    parts: list[str] = []
    if ids := asked.get("vehicles_out"):
        parts.append(
            t("board.if_vehicles", names=_joined(car.plate for car in queries.vehicles_by_id(s, ids).values()))
        )
    if ids := asked.get("drivers_out"):
        parts.append(
            t("board.if_drivers", names=_joined(name(one.user) for one in queries.drivers_by_id(s, ids).values()))
        )
    if extra := asked.get("extra"):
        like = queries.orders_by_id(s, order_ids=[one["order_id"] for one in extra], actor=actor())
        parts.append(t("board.if_extra", numbers=_joined(one.number for one in like.values())))
    return "；".join(parts)


def _joined(names: Any) -> str:
    return "、".join(sorted(names))


def _driver(people: Mapping[int, Driver], driver_id: int | None) -> str | None:
    return name(people[driver_id].user) if driver_id is not None and driver_id in people else None
