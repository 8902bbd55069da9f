"""Pages of energy: the ledger, one vehicle, the ranking, cards, files."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug import Response as BaseResponse

from fleetapp.accounts.queries import get_org, orgs_visible_to
from fleetapp.energy import chart, figures, importing, queries, rules, service
from fleetapp.energy.models import EnergyCard
from fleetapp.energy.rules import Break, CardState, EntryKind
from fleetapp.energy.schemas import (
    CardBase,
    CardMoveIn,
    CardQuery,
    EntryForm,
    EntryQuery,
    PageQuery,
    PeriodQuery,
    RankingQuery,
    ReasonIn,
)
from fleetapp.energy.words import errors as row_errors
from fleetapp.energy.words import period, returned, template
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import PAGE_SIZE, Page, paginate
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load_form, load_query, received_file
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("energy", __name__, template_folder="templates")

SHOWN_ROWS = 50
SHOWN_ENTRIES = 60


def _orgs(session: Any) -> list[tuple[int, str]]:
    return [
        (org.id, name(org))
        for org in session.scalars(orgs_visible_to(actor()))
        if permits.may("energy.read", actor(), org_path=org.path)
    ]


def kinds(values: Any = EntryKind) -> list[tuple[str, str]]:
    """Return kinds of entries with their words."""
    return [(kind.value, t(f"energy.kind.{kind.value}")) for kind in values]


@blueprint.get("/energy")
def index() -> str:
    """Show the ledger with its sums."""
    permits.require("energy.read", actor())
    query = load_query(EntryQuery())
    with transaction() as s:
        org_path = get_org(s, org_id=query["org_id"]).path if query["org_id"] else None
        narrow = {key: query[key] for key in ("q", "kind", "start_on", "end_on", "vehicle_id")}
        rows = queries.filtered(queries.visible_to(actor()), **narrow, org_path=org_path)
        sums, given = queries.totals(s, rows), figures.factors(s, on=clock.local_date(now()))
        return render_template(
            "energy/index.html", page=paginate(s, rows, number=query["page"], size=query["size"]), query=query, sums=sums, given=given,
            footprint=figures.footprint(sums, given), orgs=_orgs(s), kinds=kinds(), overfilled=rules.overfilled,
        )  # fmt: skip


@blueprint.get("/energy/ranking")
def ranking() -> str:
    """Show consumption by vehicle, far-off ones marked."""
    permits.require("energy.read", actor())
    query = load_query(RankingQuery())
    days = period(query, clock.local_date(now()))
    with transaction() as s:
        org_path = get_org(s, org_id=query["org_id"]).path if query["org_id"] else None
        found = figures.ranking(s, actor=actor(), **days, org_path=org_path)
        found.sort(
            key=lambda one: (
                not (one.marks or one.share_low),
                -(one.per_100km(EntryKind.FUEL) or 0),
                -(one.per_100km(EntryKind.CHARGE) or 0),
            )
        )
        return render_template(
            "energy/ranking.html", page=Page(found[(query["page"] - 1) * PAGE_SIZE : query["page"] * PAGE_SIZE], query["page"], PAGE_SIZE, len(found)), query=query, orgs=_orgs(s), days=days, marked=sum(bool(one.marks or one.share_low) for one in found),
            given=figures.factors(s, on=clock.local_date(now())),
        )  # fmt: skip


def _vehicle(vehicle_id: int, values: Mapping[str, Any], errors: Mapping[str, Any], form: str = "") -> str:
    permits.require("energy.read", actor())
    query = load_query(PeriodQuery())
    days = period(query, clock.local_date(now()))
    with transaction() as s:
        car = vehicles.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        permits.require("energy.read", actor(), org_path=car.org.path)
        found = figures.consumption(s, cars=[car], **days)[0]
        rows = queries.filtered(
            queries.visible_to(actor()), vehicle_id=car.id, start_on=days["start_on"], end_on=days["end_on"]
        )
        given = figures.factors(s, on=days["end_on"])
        can = rules.kinds_of(car.energy)
        usual = {kind: rules.baseline([one.per_100km for one in found.intervals[kind]]) for kind in can}
        return render_template(
            "energy/vehicle.html", car=car, found=found, days=days, given=given, kinds=kinds(can), usual=usual,
            charts={kind: chart.drawn(found.intervals[kind], usual[kind]) for kind in can},
            page=paginate(s, rows, size=SHOWN_ENTRIES), overfilled=rules.overfilled, errors=errors, values=values, form=form,
            cards=s.scalars(queries.cards_visible_to(actor()).where(EnergyCard.vehicle_id == car.id)).all(),
            breaks=[(one.value, t(f"energy.breaks.{one.value}")) for one in Break], outlier=rules.outlier, limits=figures.limits,
            may_enter=permits.may("energy.enter", actor(), org_path=car.org.path), today=clock.local_date(now()),
            may_cards=permits.may("energy.cards", actor(), org_path=car.org.path), moment_now=now(), EntryKind=EntryKind,
        )  # fmt: skip


@blueprint.get("/energy/vehicles/<int:vehicle_id>")
def vehicle(vehicle_id: int) -> str:
    """Show what one vehicle took and consumed."""
    return _vehicle(vehicle_id, {}, {})


@blueprint.post("/energy/vehicles/<int:vehicle_id>")
def enter(vehicle_id: int) -> BaseResponse | tuple[str, int]:
    """Enter a filling or charging."""
    try:
        data = load_form(EntryForm())
        with transaction() as s:
            made = service.enter(s, vehicle_id=vehicle_id, **data, actor=actor(), now=now())
            car, given = (
                vehicles.get_vehicle(s, vehicle_id=vehicle_id, actor=actor()),
                figures.factors(s, on=clock.local_date(now())),
            )
        fuel = made.kind == EntryKind.FUEL
        store, factor = (
            (car.tank_l, given["energy.tank_factor"]) if fuel else (car.battery_kwh, given["energy.battery_factor"])
        )
    except (Invalid, RuleBroken, Conflict) as error:
        return _vehicle(vehicle_id, request.form.to_dict(), errors_of(error), "entry"), 422
    flash(t("energy.entered_over") if rules.overfilled(made.quantity, store, factor) else t("energy.entered"))
    return redirect(url_for("energy.vehicle", vehicle_id=vehicle_id))


@blueprint.post("/energy/entries/<int:entry_id>/void")
def void(entry_id: int) -> BaseResponse:
    """Make a wrong entry void."""
    data = load_form(ReasonIn())
    with transaction() as s:
        made = service.void(s, entry_id=entry_id, **data, actor=actor(), now=now())
    flash(t("energy.voided"))
    return redirect(url_for("energy.vehicle", vehicle_id=made.vehicle_id))


@blueprint.post("/energy/vehicles/<int:vehicle_id>/cards")
def add_card(vehicle_id: int) -> BaseResponse | tuple[str, int]:
    """Bind a card to a vehicle."""
    try:
        data = load_form(CardBase())
        with transaction() as s:
            service.add_card(s, vehicle_id=vehicle_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _vehicle(vehicle_id, request.form.to_dict(), errors_of(error), "card"), 422
    flash(t("energy.card_added"))
    return redirect(url_for("energy.vehicle", vehicle_id=vehicle_id))


@blueprint.get("/energy/cards")
def cards() -> str:
    """List the cards."""
    permits.require("energy.read", actor())
    query = load_query(CardQuery())
    with transaction() as s:
        rows = queries.cards_filtered(queries.cards_visible_to(actor()), q=query["q"], state=query["state"])
        return render_template(
            "energy/cards.html", page=paginate(s, rows, number=query["page"], size=query["size"]), query=query,
            states=[(state.value, t(f"energy.card.{state.value}")) for state in CardState], moves=rules.CARD_MOVES,
        )  # fmt: skip


@blueprint.post("/energy/cards/<int:card_id>/state")
def move_card(card_id: int) -> BaseResponse:
    """Suspend, reopen or cancel a card."""
    data = load_form(CardMoveIn())
    with transaction() as s:
        service.move_card(s, card_id=card_id, **data, actor=actor(), now=now())
    flash(t("energy.card_moved"))
    return redirect(url_for("energy.cards"))


def _imports(errors: Mapping[str, Any]) -> str:
    permits.require("energy.read", actor())
    query = load_query(PageQuery())
    with transaction() as s:
        page = paginate(s, queries.imports_visible_to(actor()), number=query["page"], size=query["size"])
        return render_template("energy/imports.html", page=page, errors=errors)


@blueprint.get("/energy/imports")
def imports() -> str:
    """Show the files and the form for another."""
    return _imports({})


@blueprint.post("/energy/imports")
def send_file() -> BaseResponse | tuple[str, int]:
    """Look a file through."""
    try:
        with received_file("file") as (path, file_name), transaction() as s:
            made = importing.check(s, name=file_name, content=path.read_bytes(), actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _imports(errors_of(error)), 422
    return redirect(url_for("energy.one_import", import_id=made.id))


def _one_import(import_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("energy.read", actor())
    with transaction() as s:
        made = queries.get_import(s, import_id=import_id, actor=actor())
        judged = importing.judged_file(s, made, actor=actor(), now=now())
        return render_template(
            "energy/import.html", made=made, judged=judged, errors=errors, wrong=row_errors(judged.rejected), most=SHOWN_ROWS,
            may_enter=permits.may("energy.enter", actor(), org_path=made.org.path), amount=sum(row.amount for row, *_ in judged.fresh),
        )  # fmt: skip


@blueprint.get("/energy/imports/<int:import_id>")
def one_import(import_id: int) -> str:
    """Show what is in a file."""
    return _one_import(import_id, {})


@blueprint.post("/energy/imports/<int:import_id>")
def commit_import(import_id: int) -> BaseResponse | tuple[str, int]:
    """Put the good rows of a file into the ledger."""
    try:
        with transaction() as s:
            made = importing.put_in(s, import_id=import_id, actor=actor(), now=now())
    except (RuleBroken, Conflict) as error:
        return _one_import(import_id, errors_of(error)), 422
    flash(t("energy.file_committed", n=made.fresh))
    return redirect(url_for("energy.one_import", import_id=import_id))


@blueprint.get("/energy/imports/template.xlsx")
def import_template() -> Response:
    """Return the empty file for imports."""
    permits.require("energy.read", actor())
    return template()


@blueprint.get("/energy/imports/<int:import_id>/file")
def import_file(import_id: int) -> Response:
    """Return the file with a column that says what is wrong with a row."""
    permits.require("energy.read", actor())
    with transaction() as s:
        return returned(s, import_id)
