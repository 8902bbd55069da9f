"""The day as it goes: a click for each exception, another vehicle for one that broke down, emergencies in sight of the board."""

from flask import Blueprint, jsonify, render_template, request
from werkzeug import Response

from fleetapp.board import service
from fleetapp.board.schemas import HandIn, SubstituteIn
from fleetapp.board.words import as_json
from fleetapp.emergency import figures
from fleetapp.emergency import queries as emergencies
from fleetapp.emergency.rules import ActivationState
from fleetapp.kit import permits
from fleetapp.reserves import queries as reserves
from fleetapp.web.display import name
from fleetapp.web.forms import load
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("board_day", __name__, template_folder="templates", url_prefix="/board/day")


@blueprint.post("/<int:order_id>/remind/<any(late_start, unaccepted, overstay, offline, out_of_service):code>")
@as_json
def remind(order_id: int, code: str) -> Response:
    """Tell the people of an exception."""
    seen = load(HandIn(), request.get_json(silent=True) or {})["seen"]
    with transaction() as s:
        held = service.remind(s, order_id=order_id, seen=seen, code=code, actor=actor(), now=now())
        return jsonify(text=t("board.reminded", name=name(held.driver.user), plate=held.vehicle.plate))


@blueprint.get("/<int:order_id>/substitutes")
@as_json
def substitutes(order_id: int) -> Response:
    """Return the vehicles that could take over, soonest there first."""
    with transaction() as s:
        held, found = service.substitutes(s, order_id=order_id, actor=actor(), now=now())
        return jsonify(
            seen=held.id, plate=held.vehicle.plate,
            rows=[
                {
                    "vehicle_id": one.vehicle.id, "driver_id": one.driver.id, "plate": one.vehicle.plate,
                    "text": t("board.there_in", driver=name(one.driver.user), min=round(one.eta_s / 60), km=round(one.distance_m / 1000, 1),
                              way=t("board.from_position" if one.by_position else "board.from_yard")),
                }
                for one in found
            ],
        )  # fmt: skip


@blueprint.post("/<int:order_id>/substitute")
@as_json
def substitute(order_id: int) -> Response:
    """Let another vehicle take over."""
    asked = load(SubstituteIn(), request.get_json(silent=True) or {})
    with transaction() as s:
        done = service.substitute(s, order_id=order_id, **asked, actor=actor(), now=now())
        words = [
            t("board.given", number=one.order.number, plate=one.vehicle.plate, slip=one.slip.number)
            for one in done.made
        ]
        if done.repair is not None:
            words.append(t("board.repair_made", number=done.repair.number))
        return jsonify(text=" ".join(words))


@blueprint.get("/emergency")
def emergency() -> str:
    """Return what is active, which vehicles come when, what it took from other orders, and how reserves stand."""
    permits.require("emergency.read", actor())
    with transaction() as s:
        active = s.scalars(emergencies.filtered(emergencies.visible_to(actor()), state=ActivationState.ACTIVE)).all()
        return render_template(
            "board/_emergency.html", at=now(),
            rows=[(one, figures.record_of(s, activation=one, now=now()), emergencies.effects_of(s, activation_id=one.id),
                   permits.may("emergency.activate", actor(), org_path=one.org.path)) for one in active],
            reserves=reserves.reserves(s, actor=actor(), at=now()),
            plans=[one for one in s.scalars(emergencies.plans_visible_to(actor())).all() if one.retired_at is None
                   and permits.may("emergency.activate", actor(), org_path=one.org.path)],
        )  # fmt: skip
