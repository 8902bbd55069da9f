"""Pages of evidence packages: the reason, the request and the second person's consent."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug import Response as BaseResponse

from fleetapp.evidence import papers, queries, rules, service
from fleetapp.evidence.schemas import DecisionIn, PageQuery, ReasonIn
from fleetapp.findings import queries as findings
from fleetapp.kit import permits
from fleetapp.kit.errors import Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.web.forms import load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("evidence", __name__, template_folder="templates")


def _form(finding_id: int, values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    with transaction() as s:
        finding = findings.get_finding(s, finding_id=finding_id, actor=actor())
        permits.require("evidence.make", actor(), org_path=finding.org.path)
        restricted = rules.needs_consent(finding.vehicle.secrecy)
        asked = queries.latest(s, finding_id=finding_id, user_id=actor().user_id) if restricted else None
        state = asked.state if asked else None
        if asked is not None and asked.expires_at is not None and now() >= asked.expires_at:
            state = "EXPIRED"
        return render_template(
            "evidence/form.html",
            finding=finding,
            restricted=restricted,
            asked=asked,
            state=state,
            values=values,
            errors=errors,
        )


@blueprint.get("/findings/<int:finding_id>/evidence")
def form(finding_id: int) -> str:
    """Ask for the reason of a package; for a restricted vehicle show how far the consent is."""
    return _form(finding_id, {}, {})


@blueprint.post("/findings/<int:finding_id>/evidence")
def package(finding_id: int) -> Response | tuple[str, int]:
    """Return the package as a download."""
    try:
        return papers.download(finding_id=finding_id, **load_form(ReasonIn()))
    except Invalid as error:
        return _form(finding_id, request.form.to_dict(), error.fields), 422
    except RuleBroken as error:
        return _form(finding_id, request.form.to_dict(), {"reason": [t(error.code, **error.params)]}), 422


@blueprint.post("/findings/<int:finding_id>/evidence-request")
def ask(finding_id: int) -> BaseResponse | tuple[str, int]:
    """Ask for a second person's consent."""
    try:
        with transaction() as s:
            service.request(s, finding_id=finding_id, **load_form(ReasonIn()), actor=actor(), now=now())
    except Invalid as error:
        return _form(finding_id, request.form.to_dict(), error.fields), 422
    except RuleBroken as error:
        return _form(finding_id, request.form.to_dict(), {"reason": [t(error.code, **error.params)]}), 422
    return redirect(url_for("evidence.form", finding_id=finding_id), 303)


@blueprint.get("/evidence")
def requests() -> str:
    """List the requests that wait for a decision and those decided."""
    permits.require("evidence.make", actor())
    query = load_query(PageQuery())
    with transaction() as s:
        page = paginate(s, queries.visible_to(actor()), number=query["page"])
        return render_template("evidence/requests.html", page=page, me=actor().user_id)


@blueprint.post("/evidence/<int:request_id>")
def decide(request_id: int) -> BaseResponse:
    """Consent to a request or refuse it."""
    with transaction() as s:
        service.decide(s, request_id=request_id, **load_form(DecisionIn()), actor=actor(), now=now())
    return redirect(url_for("evidence.requests"), 303)
