"""Pages of policy figures: the list by subject, the history of a code, a new value with its preview."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.accounts.queries import get_org, orgs_visible_to
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.policies import preview, queries, rules, service
from fleetapp.policies.models import PolicyValue
from fleetapp.policies.rules import SUBJECTS, Scope
from fleetapp.policies.schemas import PolicyQuery, RowIn, WithdrawalIn
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t, t_or

blueprint = Blueprint("policies", __name__, template_folder="templates")

FIELD_OF = {
    "policies.past": "valid_from", "policies.same_day": "valid_from", "policies.correction_odd": "correction",
    "policies.period_order": "valid_to", "policies.open_end": "valid_to", "policies.scope_org": "org_id",
    "policies.value_range": "value", "policies.looser": "value", "policies.not_free": "may_relax", "policies.nothing_above": "may_relax",
}  # fmt: skip


def figure_name(code: str) -> str:
    """Return the words of a code."""
    return t_or(f"policies.code.{code}", code)


def amount(row: PolicyValue) -> str:
    """Return a value with its unit in words."""
    return f"{_plain(row.value)} {t_or(f'policies.unit.{row.unit}', row.unit)}"


def state_of(row: PolicyValue, today: date) -> str:
    """Return what a row is today: withdrawn, corrected, future, past or current."""
    if row.withdrawn_at is not None:
        return "withdrawn" if row.valid_from > clock.local_date(row.withdrawn_at) else "corrected"
    if row.valid_from > today:
        return "future"
    return "past" if row.valid_to is not None and row.valid_to <= today else "current"


@blueprint.app_template_filter("amount")
def _amount(row: PolicyValue) -> str:
    return amount(row)


@blueprint.app_template_filter("plain")
def _plain(value: Decimal) -> str:
    return f"{value.normalize():,f}"


@blueprint.get("/policies")
def index() -> str:
    """List the figures in force on a day by subject, with the document each comes from."""
    permits.require("policies.read", actor())
    query = load_query(PolicyQuery())
    on = query["on"] or clock.local_date(now())
    with transaction() as s:
        org = get_org(s, org_id=query["org_id"]) if query["org_id"] else None
        rows = s.scalars(
            queries.listed(on, query["q"], org_path=org.path if org else None, subject=query["subject"])
        ).all()
        stands = {row.id for row in queries.standing(s, on=on, org_path=org.path).values()} if org else None
        order = [*SUBJECTS, "other"]
        by_subject = sorted(rows, key=lambda row: order.index(rules.subject_of(row.code)))
        groups = [
            (subject, list(found)) for subject, found in groupby(by_subject, key=lambda row: rules.subject_of(row.code))
        ]
        return render_template(
            "policies/index.html", groups=groups, query=query, on=on, stands=stands, subjects=order,
            orgs=[(one.id, name(one)) for one in s.scalars(orgs_visible_to(actor()))],
        )  # fmt: skip


@blueprint.get("/policies/<string:code>")
def show(code: str) -> str:
    """Show the time line of one code."""
    return _show(code, {})


def _show(code: str, errors: Mapping[str, Any]) -> str:
    permits.require("policies.read", actor())
    today = clock.local_date(now())
    with transaction() as s:
        rows = queries.history(s, code=code)
        top = queries.city_path(s)
        mine = {
            row.id for row in rows if permits.may("policies.edit", actor(), org_path=row.org.path if row.org else top)
        }
        return render_template(
            "policies/show.html", code=code, title=figure_name(code), rows=rows, states={row.id: state_of(row, today) for row in rows},
            mine=mine, errors=errors, subject=rules.subject_of(code),
        )  # fmt: skip


def _form(code: str, values: Mapping[str, Any], errors: Mapping[str, Any], found: preview.Preview | None = None) -> str:
    permits.require("policies.edit", actor())
    with transaction() as s:
        newest = queries.history(s, code=code)[0]
        whole, orgs = queries.maintained_by(s, actor())
        scopes = [scope for scope in Scope if whole or scope is Scope.ORG]
        tomorrow = clock.local_date(now()) + timedelta(days=1)
        given = {"scope": (Scope.CITY if whole else Scope.ORG).value, "valid_from": tomorrow.isoformat()}
        return render_template(
            "policies/form.html", code=code, title=figure_name(code), newest=newest, values=given | dict(values), errors=errors,
            scopes=[(scope.value, t(f"policies.scope.{scope.value}")) for scope in scopes], orgs=[(org.id, name(org)) for org in orgs],
            found=found,
        )  # fmt: skip


@blueprint.get("/policies/<string:code>/new")
def new(code: str) -> str:
    """Show the form of a new value."""
    return _form(code, {}, {})


@blueprint.post("/policies/<string:code>/new")
def enter(code: str) -> Response | str | tuple[str, int]:
    """Show what a new value would change, or save it; ``step`` is preview, save, or edit to go back to the form."""
    values = {key: value for key, value in request.form.items() if key not in {"step", "csrf_token"}}
    step = request.form.get("step", "preview")
    if step == "edit":
        return _form(code, values, {})
    try:
        data = load(RowIn(), {key: value for key, value in values.items() if value != ""})
        with transaction() as s:
            if step != "save":
                found = preview.preview(s, code=code, **data, actor=actor(), now=now())
            else:
                service.enter(s, code=code, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _form(code, values, errors_of(error, FIELD_OF)), 422
    if step != "save":
        return _form(code, values, {}, found)
    flash(t("policies.saved"))
    return redirect(url_for("policies.show", code=code))


@blueprint.post("/policies/<string:code>/<int:policy_id>/withdrawal")
def withdraw(code: str, policy_id: int) -> Response | tuple[str, int]:
    """Withdraw a row that is not in force yet."""
    try:
        data = load_form(WithdrawalIn())
        with transaction() as s:
            service.withdraw(s, policy_id=policy_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken) as error:
        return _show(code, errors_of(error, FIELD_OF)), 422
    flash(t("policies.withdrawn_done"))
    return redirect(url_for("policies.show", code=code))
