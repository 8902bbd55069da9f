"""The lab's pages: asking, how far a study is, what it says."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.accounts.queries import orgs_visible_to
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.lab import files, service, words
from fleetapp.lab.rules import OPEN, StudyKind
from fleetapp.lab.schemas import PageQuery, StudyForm
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("lab", __name__, template_folder="templates")

FIELD_OF = {"lab.period_reversed": "end_on", "lab.period_too_long": "start_on", "lab.period_ahead": "end_on", "lab.sample_size": "days",
            "lab.share": "share_percent", "renewal.years_range": "years", "renewal.budget": "budget_wan", "renewal.share_range": "bought_percent"}  # fmt: skip
BACK_DAYS, WAN = 90, 10_000


@blueprint.get("/lab")
def index() -> str:
    """Show the studies and the form of a new one."""
    return _page({}, {})


def _page(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("lab.read", actor())
    query = load_query(PageQuery())
    today = clock.local_date(now())
    usual = {"start_on": (today - timedelta(days=BACK_DAYS)).isoformat(), "end_on": (today - timedelta(days=1)).isoformat(), "days": 10, "seed": 1,
             "share_percent": 98, "years": 5, "budget_wan": 800, "bought_percent": 30}  # fmt: skip
    with transaction() as s:
        orgs = [
            org for org in s.scalars(orgs_visible_to(actor())) if permits.may("lab.run", actor(), org_path=org.path)
        ]
        return render_template(
            "lab/index.html", page=paginate(s, service.visible_to(actor()), number=query["page"], size=query["size"]), errors=errors,
            orgs=[(org.id, name(org)) for org in orgs], kinds=[(kind.value, t(f"lab.kind.{kind.value}")) for kind in StudyKind],
            values=usual | dict(values),
        )  # fmt: skip


@blueprint.post("/lab")
def ask() -> Response | tuple[str, int]:
    """Ask for a study."""
    try:
        data = load_form(StudyForm())
        data |= {
            "share": data.pop("share_percent") / Decimal(100), "bought_share": data.pop("bought_percent") / Decimal(100),
            "budget": data.pop("budget_wan") * WAN,
        }  # fmt: skip
        with transaction() as s:
            made = service.ask(s, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken) as error:
        return _page(request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    return redirect(url_for("lab.show", study_id=made.id), 303)


@blueprint.get("/lab/<int:study_id>")
def show(study_id: int) -> str:
    """Show how far a study is, or what it says."""
    permits.require("lab.read", actor())
    with transaction() as s:
        return render_template(
            "lab/show.html", study=service.get_study(s, study_id=study_id, actor=actor()), words=words, open_states=OPEN
        )


@blueprint.get("/lab/<int:study_id>/progress")
def progress(study_id: int) -> tuple[str, int, dict[str, str]]:
    """Return how far a study is, as a fragment that asks again; a finished one reloads its page."""
    permits.require("lab.read", actor())
    with transaction() as s:
        study = service.get_study(s, study_id=study_id, actor=actor())
        shown = render_template("lab/_progress.html", study=study)
        return shown, 200, {} if study.state in OPEN else {"HX-Refresh": "true"}


@blueprint.post("/lab/<int:study_id>/cancel")
def cancel(study_id: int) -> Response:
    """Give a study up."""
    with transaction() as s:
        service.cancel(s, study_id=study_id, actor=actor(), now=now())
    return redirect(url_for("lab.show", study_id=study_id), 303)


@blueprint.get("/lab/<int:study_id>/file")
def file(study_id: int) -> Response:
    """Return the report as a workbook."""
    permits.require("lab.read", actor())
    return files.workbook(study_id)
