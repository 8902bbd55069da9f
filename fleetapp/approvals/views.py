"""Pages of chains, their versions and a sample order to try them with, and of deputies."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from marshmallow import EXCLUDE
from werkzeug import Response

from fleetapp.accounts import queries as accounts
from fleetapp.approvals import chains as writing
from fleetapp.approvals import queries, rules
from fleetapp.approvals.rules import Level
from fleetapp.approvals.schemas import ChainIn, ChainQuery, DelegationIn, SampleIn
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.web.forms import errors_of, load, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("approvals", __name__, template_folder="templates")

REFUSED = (Invalid, RuleBroken, Conflict)
MANY = ("user_ids", "areas", "kinds", "flags")
ONE = ("name", "role", "place", "mode", "deadline_h", "over_km")
FIELD_OF = {
    "approvals.backdated": "valid_from", "approvals.bad_period": "end_at", "approvals.period_too_long": "end_at",
    "approvals.self_delegation": "delegate_id", "approvals.person_needed": "delegate_id",
}  # fmt: skip


@blueprint.get("/approvals")
def index() -> str:
    """Show the chain that stands for a unit, its versions, and the form for the next one."""
    query = load_query(ChainQuery())
    return _page(query["org_id"], None, {})


@blueprint.post("/approvals")
def publish() -> Response | str | tuple[str, int]:
    """Publish a new version, or only show which levels a sample order would get."""
    values = {name: request.form.get(name, "") for name in ("org_id", "valid_from", "note")}
    typed = [_row(number) for number in range(rules.MOST_LEVELS)]
    given = {name: value for name, value in values.items() if value}
    try:
        data = load(ChainIn(), {**given, "levels": [_clean(row) for row in typed if row["name"]]})
        rules.check_chain(data["levels"])
        if "preview" in request.form:
            facts: Any = load_form(SampleIn(unknown=EXCLUDE))
            wanted = [(at, data["levels"][at]) for at in rules.needed(data["levels"], facts)]
            return _page(
                data["org_id"], typed, {}, values, [level for _, level in rules.with_escalation(wanted, facts)]
            )
        with transaction() as s:
            chain = writing.publish_chain(s, **data, actor=actor(), now=now())
            flash(t("approvals.published", version=chain.version, on=chain.valid_from.isoformat()))
    except REFUSED as error:
        return _page(int(values["org_id"] or 0) or None, typed, errors_of(error, FIELD_OF), values), 422
    return redirect(url_for("approvals.index", org_id=data["org_id"]))


@blueprint.get("/approvals/delegations")
def delegations() -> str:
    """Show one's deputies and absences, and the form for a new one."""
    return _deputies({}, {})


@blueprint.post("/approvals/delegations")
def delegate() -> Response | tuple[str, int]:
    """Name a deputy for a period, or say that one is away."""
    try:
        with transaction() as s:
            data = load_form(DelegationIn(unknown=EXCLUDE))
            data["delegator_id"] = data["delegator_id"] or actor().user_id or 0
            made = writing.delegate(s, **data, actor=actor(), now=now())
            flash(t("approvals.delegated" if made.delegate_id else "approvals.away_noted"))
    except REFUSED as error:
        return _deputies(request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    return redirect(url_for("approvals.delegations"))


@blueprint.post("/approvals/delegations/<int:delegation_id>/end")
def end_delegation(delegation_id: int) -> Response:
    """End a period before its time."""
    with transaction() as s:
        writing.end_delegation(s, delegation_id=delegation_id, actor=actor(), now=now())
    flash(t("approvals.delegation_ended"))
    return redirect(url_for("approvals.delegations"))


def _page(
    org_id: int | None, typed: Sequence[Mapping[str, Any]] | None, errors: Mapping[str, Any], values: Mapping[str, Any] | None = None,
    sample: Sequence[Level] | None = None,
) -> str:  # fmt: skip
    who = actor()
    permits.require("approvals.read", who)
    with transaction() as s:
        org = accounts.get_org(s, org_id=org_id or who.org_id or 0)
        permits.require("approvals.read", who, org_path=org.path)
        chains = s.scalars(queries.chains(org.path)).unique().all()
        today = clock.local_date(now())
        standing = next((chain for chain in chains if chain.valid_from <= today), None)
        rows = (
            list(typed) if typed is not None else [_filled(row.value()) for row in standing.levels] if standing else []
        )
        people = queries.asked_people(s, org_path=org.path, without=())
        return render_template(
            "approvals/index.html", org=org, chains=chains, standing=standing, errors=errors, sample=sample, people=people,
            rows=[*rows, *[_filled(None)] * rules.MOST_LEVELS][: rules.MOST_LEVELS], names={user.id: user for user in people},
            values=values or {"valid_from": today.isoformat(), "note": ""}, may=permits.may("approvals.publish", who, org_path=org.path),
            orgs=s.scalars(accounts.orgs_visible_to(who)).all(), roles=[role.value for role in rules.CHAIN_ROLES], places=list(rules.Place),
            modes=list(rules.Mode), flags=list(rules.Flag), areas=rules.AREAS, kinds=rules.KINDS, sent=request.form,
        )  # fmt: skip


def _deputies(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    who = actor()
    permits.require("approvals.delegate", who)
    with transaction() as s:
        found = s.scalars(queries.delegations(who).limit(100)).all()
        org_path = who.org_path or "/"
        admin = permits.may("approvals.delegate", who, org_path=org_path, owner_id=-1)
        return render_template(
            "approvals/delegations.html", found=found, values=values, errors=errors, moment_now=now(), org_id=who.org_id,
            people=queries.asked_people(s, org_path=org_path, without={who.user_id or 0}), admin=admin,
            orgs=s.scalars(accounts.orgs_visible_to(who)).all(),
        )  # fmt: skip


def _row(number: int) -> dict[str, Any]:
    """Return one level as typed."""
    one = {name: request.form.get(f"{name}_{number}", "").strip() for name in ONE}
    return {**one, **{name: request.form.getlist(f"{name}_{number}") for name in MANY}}


def _clean(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value}


def _filled(level: Level | None) -> dict[str, Any]:
    """Return a level, or an empty one, as the form shows it."""
    if level is None:
        return {**dict.fromkeys(ONE, ""), **{name: [] for name in MANY}}
    return {
        "name": level.name, "role": level.role or "", "place": level.place, "mode": level.mode, "deadline_h": str(level.deadline_h),
        "over_km": "" if level.over_m is None else str(level.over_m // 1_000), "user_ids": [str(one) for one in level.user_ids],
        "areas": level.areas, "kinds": level.kinds, "flags": level.flags,
    }  # fmt: skip
