"""The phone under ``/api/v1``: what it shows, what it sends. Programs and the app's own page use the same."""

import json
from typing import Any

from flask import Response, jsonify, request
from flask.views import MethodView
from flask_smorest import Blueprint
from flask_wtf.csrf import generate_csrf

from fleetapp.drivers import queries as drivers
from fleetapp.drivers.models import DriverAbsence
from fleetapp.drivers.rules import AbsenceState
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Invalid
from fleetapp.notices import queries as notices
from fleetapp.notices.words import words as notice_words
from fleetapp.phone import queries, schemas, service
from fleetapp.phone.look import answer, task_shown
from fleetapp.phone.rules import Outcome
from fleetapp.planning import signing
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import t, t_or

blueprint = Blueprint("api_phone", __name__, url_prefix="/api/v1/phone", description="The driver's phone")


@blueprint.route("/state")
class State(MethodView):
    @blueprint.response(200)
    def get(self) -> Response:
        """Return all that the app shows, with the token that its next requests carry and the server's clock."""
        permits.require("phone.use", actor())
        with transaction() as s:
            tasks = queries.tasks(s, actor=actor(), now=now())
            plates = {task.duty.vehicle_id: task.duty.vehicle.plate for task in tasks}
            hours = queries.hours_today(s, actor=actor(), now=now())
            papers = queries.papers(s, actor=actor(), vehicle_ids=list(plates), plates=plates)
            leaves = s.scalars(
                drivers.absences_visible_to(actor()).where(
                    DriverAbsence.asked_by == actor().user_id, DriverAbsence.state != AbsenceState.WITHDRAWN
                )
            ).all()
            messages = s.scalars(notices.visible_to(actor()).limit(20)).all()
            return jsonify(
                now=now().isoformat(), csrf=generate_csrf(), user={"id": actor().user_id, "name": actor().name},
                tasks=[task_shown(task) for task in tasks],
                hours={"driven_s": hours.driven_s, "stretch_s": hours.stretch_s, "rest_due": hours.rest_due},
                papers=[{"kind": t_or(f"vehicles.document.{one.kind}", t("phone.app.licence")), "of": one.of,
                         "valid_to": one.valid_to.isoformat(), "left_days": (one.valid_to - clock.local_date(now())).days} for one in papers],
                leaves=[{"from_on": str(one.during.lower), "until_on": one.last_on.isoformat(), "state": t(f"drivers.absence.{one.state}")}
                        for one in leaves if one.last_on >= clock.local_date(now())],
                messages=[{"text": notice_words(one), "at": one.created_at.isoformat(), "new": one.read_at is None, "link": one.link}
                          for one in messages],
            )  # fmt: skip


def _no_number(name: str) -> None:
    """Refuse NaN and Infinity, which Python's reader takes for JSON."""
    raise ValueError(name)


@blueprint.route("/actions")
class Actions(MethodView):
    @blueprint.arguments(schemas.ActionForm, location="form")
    @blueprint.response(200)
    def post(self, data: dict[str, Any]) -> tuple[Response, int]:
        """Take one action: a form field ``action`` of JSON and files ``photo``. The same key again gets the same answer.

        200 when it was applied, 422 with ``outcome`` REFUSED and what is wrong when it was not; both are kept.
        """
        try:
            said = json.loads(data["action"], parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise Invalid(fields={"action": ["Not valid JSON."]}) from error
        photos = [(file.filename or "photo.jpg", file.read()) for file in request.files.getlist("photo")]
        action = schemas.sent(said, photos)
        keys = signing.in_use(shell().settings.secret_key, shell().settings.slip_keys_file)
        with transaction() as s:
            made = service.receive(s, sent=action, keys=keys, actor=actor(), now=now())
            return jsonify(answer(made)), 200 if made.outcome == Outcome.APPLIED else 422


@blueprint.route("/positions")
class Positions(MethodView):
    @blueprint.arguments(schemas.PositionsIn)
    @blueprint.response(200, schemas.KeptOut)
    def post(self, data: dict[str, Any]) -> dict[str, int]:
        """Take positions of a journey under way."""
        with transaction() as s:
            return {"kept": service.add_positions(s, **data, actor=actor(), now=now())}
