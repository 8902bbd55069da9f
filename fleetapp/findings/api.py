"""Clues and cases under ``/api/v1``."""

from datetime import timedelta
from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.findings import casework, desk_queries, oversight, oversight_queries, queries, workflow
from fleetapp.findings import schemas as shape
from fleetapp.findings.workflow import ClearReason, FindingState
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.policies import queries as policies
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint(
    "api_findings", __name__, url_prefix="/api/v1", description="Clues, cases, explanations, decisions"
)


def _narrow(query: dict[str, Any]) -> dict[str, Any]:
    return {
        "group": query["group"], "state": query["state"], "rule": query["rule"], "severity": query["severity"],
        "org_id": query["org_id"], "q": query["q"], "start": clock.day_span(query["start_on"])[0] if query["start_on"] else None,
        "end": clock.day_span(query["end_on"])[1] if query["end_on"] else None,
        "overdue_at": now() if query["overdue"] else None,
    }  # fmt: skip


@blueprint.route("/findings")
class Findings(MethodView):
    @blueprint.arguments(shape.FindingQuery, location="query")
    @blueprint.response(200, shape.FindingOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the clues within reach, newest incident first; the total is in ``X-Total-Count``."""
        permits.require("findings.read", actor())
        with transaction() as session:
            rows = queries.filtered(queries.visible_to(actor()), **_narrow(query))
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)


@blueprint.route("/findings/<int:finding_id>")
class Finding(MethodView):
    @blueprint.response(200, shape.FindingDetailOut)
    def get(self, finding_id: int) -> Any:
        """Return one clue with evidence both ways; who looked is logged with its case."""
        with transaction() as session:
            found = queries.get_finding(session, finding_id=finding_id, actor=actor())
            permits.require("findings.read", actor(), org_path=found.org.path, owner_id=found.concerned_id)
            if found.case_id is not None:
                casework.view(session, case_id=found.case_id, purpose=found.number, actor=actor(), now=now())
            return found


@blueprint.route("/cases")
class Cases(MethodView):
    @blueprint.arguments(shape.CaseQuery, location="query")
    @blueprint.response(200, shape.CaseOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the cases within reach, the gravest and most urgent first; the total is in ``X-Total-Count``."""
        permits.require("findings.read", actor())
        with transaction() as session:
            rows = desk_queries.filtered(
                desk_queries.visible_to(actor()), **_narrow(query), handler_id=actor().user_id if query["mine"] else None,
                due_before=now() + timedelta(hours=query["due_in_h"]) if query["due_in_h"] else None,
            )  # fmt: skip
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)


@blueprint.route("/cases/<int:case_id>")
class Case(MethodView):
    @blueprint.response(200, shape.CaseDetailOut)
    def get(self, case_id: int) -> Any:
        """Return one case with its clues and history; who looked is logged."""
        with transaction() as session:
            return casework.view(session, case_id=case_id, purpose=None, actor=actor(), now=now())


@blueprint.route("/cases/<int:case_id>/explain")
class Explain(MethodView):
    @blueprint.arguments(shape.TextIn)
    @blueprint.response(200, shape.CaseDetailOut)
    def post(self, data: dict[str, Any], case_id: int) -> Any:
        """Explain, as the person concerned or for the unit; pictures go through the page."""
        with transaction() as session:
            return casework.explain(session, case_id=case_id, **data, actor=actor(), now=now())


@blueprint.route("/cases/<int:case_id>/verify")
class Verify(MethodView):
    @blueprint.arguments(shape.VerifyIn)
    @blueprint.response(200, shape.CaseDetailOut)
    def post(self, data: dict[str, Any], case_id: int) -> Any:
        """Give the unit's opinion on the explanation."""
        with transaction() as session:
            return casework.verify(session, case_id=case_id, **data, actor=actor(), now=now())


@blueprint.route("/cases/<int:case_id>/review")
class Review(MethodView):
    @blueprint.arguments(shape.ReviewIn)
    @blueprint.response(200, shape.CaseDetailOut)
    def post(self, data: dict[str, Any], case_id: int) -> Any:
        """Review a verified case and, with an outcome, conclude it; never one in which the caller has a part."""
        with transaction() as session:
            return casework.review(
                session, case_id=case_id, note=data["note"], outcome=FindingState(data["outcome"]) if data["outcome"] else None,
                reason=ClearReason(data["reason"]) if data["reason"] else None, actor=actor(), now=now(),
            )  # fmt: skip


@blueprint.route("/cases/<int:case_id>/rectify")
class Rectify(MethodView):
    @blueprint.arguments(shape.TextIn)
    @blueprint.response(200, shape.CaseDetailOut)
    def post(self, data: dict[str, Any], case_id: int) -> Any:
        """Report what the unit put right."""
        with transaction() as session:
            return casework.rectify(session, case_id=case_id, **data, actor=actor(), now=now())


@blueprint.route("/cases/<int:case_id>/<any(close, reopen, send_back):step>")
class Step(MethodView):
    @blueprint.arguments(shape.NoteIn)
    @blueprint.response(200, shape.CaseDetailOut)
    def post(self, data: dict[str, Any], case_id: int, step: str) -> Any:
        """Close what was put right, take a concluded case up again, or send it back for a fuller explanation."""
        steps = {"close": casework.close, "reopen": casework.reopen, "send_back": casework.send_back}
        with transaction() as session:
            return steps[step](session, case_id=case_id, **data, actor=actor(), now=now())


@blueprint.route("/cases/assign")
class Assign(MethodView):
    @blueprint.arguments(shape.AssignIn)
    @blueprint.response(204)
    def post(self, data: dict[str, Any]) -> None:
        """Hand cases to a reviewer."""
        with transaction() as session:
            casework.assign(session, **data, actor=actor(), now=now())


@blueprint.route("/findings/near")
class NearPlace(MethodView):
    @blueprint.arguments(shape.NearQuery, location="query")
    @blueprint.response(200, shape.NearOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """Return which trips passed near a point in a time; the purpose is logged, restricted vehicles are never shown."""
        with transaction() as session:
            return oversight.search_near(session, **query, actor=actor(), now=now())


@blueprint.route("/findings/outcomes")
class Outcomes(MethodView):
    @blueprint.arguments(shape.PeriodQuery, location="query")
    @blueprint.response(200, shape.RuleOutcomeOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """Return what reviews came to by rule, of clues raised in a period (default: the running quarter)."""
        permits.require("findings.desk", actor())
        start_on, end_on = (
            query["start_on"] or workflow.quarter_start(clock.local_date(now())),
            query["end_on"] or clock.local_date(now()),
        )
        with transaction() as session:
            return oversight_queries.outcomes_by_rule(
                session, actor=actor(), start=clock.day_span(start_on)[0], end=clock.day_span(end_on)[1],
                least=float(policies.value(session, "finding.precision_least", end_on)),
            )  # fmt: skip
