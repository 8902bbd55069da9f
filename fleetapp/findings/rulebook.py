"""Pages for auditors: the catalogue with figures, precision and volume, runs over the past, records of others."""

from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug import Response

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.findings import external, queries, rerun, rules, rulestats
from fleetapp.findings.catalogue import CATALOGUE
from fleetapp.findings.rule_models import ExternalRecord, RecordKind, RuleRun
from fleetapp.findings.rulewords import told
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.trips.roads import Roads
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import language, t

blueprint = Blueprint("rulebook", __name__, url_prefix="/supervision", template_folder="templates")
LOOK_BACK = timedelta(days=90)
MOST_BYTES = 5_000_000


def _orgs(session: Any) -> list[Organisation]:
    return list(session.scalars(accounts.orgs_visible_to(actor())).all())


@blueprint.get("/rulebook")
def index() -> str:
    """Show every rule with the figures in force for a unit, what reviews say of it, and how often it speaks."""
    permits.require("findings.rules", actor())
    with transaction() as s:
        orgs = _orgs(s)
        asked = request.args.get("org_id", type=int)
        org = next((one for one in orgs if one.id == asked), orgs[0] if orgs else None)
        path = org.path if org is not None else "/"
        figures = rules.figures_on(queries.figure_rows(s), on=clock.local_date(now()), org_path=path)
        counted = rulestats.of_rules(s, actor=actor(), org_path=path, since=now() - LOOK_BACK)
        family = request.args.get("family", "")
        shown = [rule for rule in CATALOGUE.values() if not family or rule.family == family]
        return render_template(
            "findings/rulebook.html", rules=shown, figures=figures, counted=counted, measured=rulestats.measured(), org=org, orgs=orgs,
            family=family, families=sorted({rule.family for rule in CATALOGUE.values()}), lang=language(), version=rules.VERSION,
            active=sum(rule.active for rule in CATALOGUE.values()), every=len(CATALOGUE), may_rerun=permits.may("findings.rerun", actor()),
        )  # fmt: skip


@blueprint.get("/reruns")
def reruns() -> str:
    """List the runs over the past, with the form for another one."""
    permits.require("findings.rerun", actor())
    return _reruns({}, {})


def _reruns(values: dict[str, str], errors: dict[str, list[str]]) -> str:
    with transaction() as s:
        page = paginate(s, rerun.visible_to(actor()), number=request.args.get("page", 1, type=int), size=20)
        today = clock.local_date(now())
        start = {"start_on": (today - timedelta(days=7)).isoformat(), "end_on": (today - timedelta(days=1)).isoformat()}
        return render_template(
            "findings/reruns.html", page=page, values=start | values, errors=errors,
            orgs=[(str(one.id), one.name_zh if language() == "zh" else one.name_en) for one in _orgs(s)],
            figures=[(code, f"{code} {_titles(code)}") for code in rules.FIGURES],
        )  # fmt: skip


def _titles(code: str) -> str:
    rule = CATALOGUE.get(code.split(".", maxsplit=1)[0])
    return rule.name.of(language()) if rule else ""


@blueprint.post("/reruns")
def rerun_post() -> Response | tuple[str, int]:
    """Run rules over a past period with another figure."""
    permits.require("findings.rerun", actor())
    given = request.form.to_dict()
    try:
        start_on, last_on = date.fromisoformat(given.get("start_on", "")), date.fromisoformat(given.get("end_on", ""))
    except ValueError:
        return _reruns(given, {"start_on": [t("findings.rerun_period", days=rerun.MOST_DAYS)]}), 422
    try:
        with transaction() as s:
            org = next((one for one in _orgs(s) if str(one.id) == given.get("org_id")), None)
            if org is None:
                raise NotFound("kit.not_found")
            code = given.get("figure", "")
            done = rerun.run(
                s, org=org, start_on=start_on, end_on=last_on + timedelta(days=1), changes=rerun.check_changes({code: given.get("value", "")}),
                actor=actor(), now=now(), roads=Roads(shell().settings.osrm_url),
            )  # fmt: skip
            run_id = done.id
    except RuleBroken as error:
        field = {"findings.rerun_value": "value", "findings.rerun_figure": "figure"}.get(error.code, "start_on")
        return _reruns(given, {field: [t(error.code, **error.params)]}), 422
    return redirect(url_for("rulebook.show", run_id=run_id))


@blueprint.get("/reruns/<int:run_id>")
def show(run_id: int) -> str:
    """Show what other figures would have changed."""
    permits.require("findings.rerun", actor())
    with transaction() as s:
        run = s.scalar(rerun.visible_to(actor()).where(RuleRun.id == run_id))
        if run is None:
            raise NotFound("kit.not_found")
        return render_template(
            "findings/rerun.html",
            run=run,
            at=datetime.fromisoformat,
            last_on=run.end_on - timedelta(days=1),
            catalogue=CATALOGUE,
            lang=language(),
            told=told,
        )


@blueprint.get("/records")
def records() -> str:
    """List the records of car parks and toll stations, with the form to import a file."""
    permits.require("findings.external", actor())
    return _records({}, {})


def _records(values: dict[str, str], errors: dict[str, list[str]]) -> str:
    with transaction() as s:
        query = select(ExternalRecord).order_by(ExternalRecord.at.desc(), ExternalRecord.id.desc())
        page = paginate(s, query, number=request.args.get("page", 1, type=int), size=25)
        return render_template(
            "findings/records.html", page=page, values=values, errors=errors, columns=", ".join(external.COLUMNS),
            orgs=[(str(one.id), one.name_zh if language() == "zh" else one.name_en) for one in _orgs(s)],
            kinds=[(kind.value, t(f"findings.record.{kind.value}")) for kind in RecordKind],
        )  # fmt: skip


@blueprint.post("/records")
def records_post() -> Response | tuple[str, int]:
    """Import a file of records."""
    permits.require("findings.external", actor())
    given, upload = request.form.to_dict(), request.files.get("file")
    data = upload.read(MOST_BYTES + 1) if upload else b""
    if not data or len(data) > MOST_BYTES or given.get("kind") not in set(RecordKind):
        return _records(given, {"file": [t("findings.record_file", mb=MOST_BYTES // 1_000_000)]}), 422
    try:
        with transaction() as s:
            org = next((one for one in _orgs(s) if str(one.id) == given.get("org_id")), None)
            if org is None:
                raise NotFound("kit.not_found")
            added, known = external.import_records(
                s, org_id=org.id, org_path=org.path, kind=RecordKind(given["kind"]), data=data, actor=actor(), now=now()
            )
    except RuleBroken as error:
        return _records(given, {"file": [t(error.code, **error.params)]}), 422
    flash(t("findings.records_done", added=added, known=known))
    return redirect(url_for("rulebook.records"))
