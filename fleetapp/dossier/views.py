"""The file of one vehicle: head with completeness and life line, parts as tabs, all of them for printing."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.dossier import chart, queries, rules, service
from fleetapp.dossier.parts import LISTS
from fleetapp.dossier.schemas import FileQuery
from fleetapp.findings import queries as findings
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Invalid, RuleBroken
from fleetapp.orders import queries as orders
from fleetapp.trips import queries as trips
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.web.display import name
from fleetapp.web.forms import load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t, t_or

blueprint = Blueprint("dossier", __name__, template_folder="templates")

PARTS: tuple[tuple[str, str], ...] = (
    ("basics", "vehicles.read"), ("acquisition", "indicators.read"), ("papers", "vehicles.read"),
    *((part, action) for part, (action, _) in LISTS.items() if part != "seals"), ("travel", "vehicles.read"), ("seals", LISTS["seals"][0]),
    ("disposal", "disposal.read"), ("log", "vehicles.read"),
)  # fmt: skip
"""Parts in their order, and who reads each."""
NEWEST = 20
"""How many orders, trips and clues the part on travel shows; each has its own list."""


@blueprint.get("/vehicles/<int:vehicle_id>/file")
def show(vehicle_id: int) -> str:
    """Show a vehicle's file."""
    return _page(vehicle_id, {}, {})


def _page(vehicle_id: int, typed: Mapping[str, str], errors: Mapping[str, Any]) -> str:
    tab = load_query(FileQuery())["tab"]
    with transaction() as s:
        vehicle = vehicles.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        parts = [part for part, action in PARTS if permits.may(action, actor(), org_path=vehicle.org.path)]
        shown = parts if tab == "all" else [tab] if tab in parts else []
        values = queries.values(s, vehicle, now=now())
        entries = queries.log(s, vehicle_id=vehicle.id)
        life = queries.life(s, vehicle, entries=entries, actor=actor())
        states = queries.states(entries, vehicle, now=now())
        read: dict[str, Any] = {}
        for part in shown:
            read |= _part(s, part, vehicle)
        sections = {part: LISTS[part][1](s, vehicle) for part in shown if part in LISTS}
        return render_template(
            "dossier/show.html", vehicle=vehicle, tab=tab, parts=parts, shown=shown, values=values, words=words, typed=typed,
            complete=rules.completeness(values, vehicle.energy), groups=_groups(vehicle), life=life, entries=entries, errors=errors,
            drawn=chart.timeline(states, life, born=clock.start_of(vehicle.registered_on), until=now()), happened=happened,
            today=clock.local_date(now()), may_edit=permits.may("dossier.edit", actor(), org_path=vehicle.org.path, state=vehicle.state), sections=sections, **read,
        )  # fmt: skip


def _groups(vehicle: Vehicle) -> dict[str, list[rules.Attribute]]:
    return {
        group: [one for one in rules.ATTRIBUTES if one.group == group and rules.applies(one, vehicle.energy)]
        for group in rules.GROUPS
    }


def _part(session: Session, part: str, vehicle: Vehicle) -> dict[str, Any]:
    """Return what one part shows."""
    match part:
        case "acquisition":
            return {"indicators": queries.came_by(session, vehicle_id=vehicle.id, actor=actor()),
                    "renewal": queries.renewed_by(session, vehicle_id=vehicle.id, actor=actor())}  # fmt: skip
        case "papers":
            return {"documents": vehicles.documents(session, vehicle_id=vehicle.id)}
        case "disposal":
            return {"cases": queries.disposals(session, vehicle_id=vehicle.id, actor=actor())}
        case "travel":
            months = queries.use_by_month(session, vehicle, actor=actor(), now=now())
            found: dict[str, Any] = {"months": months, "most": max((metres for _, _, metres in months), default=0.0) or 1.0,
                                     "trips": None, "orders": None, "clues": None}  # fmt: skip
            if permits.may("trips.read", actor()):
                its_trips = trips.filtered(trips.visible_to(actor()), vehicle_id=vehicle.id).limit(NEWEST)
                found["trips"] = session.scalars(its_trips).unique().all()
            if permits.may("orders.read", actor()):
                found["orders"] = (
                    session.scalars(orders.filtered(orders.visible_to(actor()), q=vehicle.plate).limit(NEWEST))
                    .unique()
                    .all()
                )
            if permits.may("findings.read", actor()):
                found["clues"] = (
                    session.scalars(findings.filtered(findings.visible_to(actor()), q=vehicle.plate).limit(NEWEST))
                    .unique()
                    .all()
                )
            return found
    return {}


def words(key: str, value: Any) -> str:
    """Return a value in the page's language."""
    if value is None or value == "":
        return ""
    if hasattr(value, "name_zh"):
        return name(value)
    if isinstance(value, bool) or value in {"true", "false"}:
        return t("dossier.yes") if value in {True, "true"} else t("dossier.no")
    plain = rules.plain(value) or ""
    for prefix in (f"dossier.value.{key}", f"vehicles.{key}", "vehicles.acquired"):
        if (found := t_or(f"{prefix}.{plain}", "")) and (prefix != "vehicles.acquired" or key == "acquired_by"):
            return found
    return plain


def happened(one: rules.Happening) -> str:
    """Return what happened in words."""
    table = {"vehicle": f"vehicles.log.{one.text}", "acquisition": f"acquisitions.event.{one.text}",
             "renewal": f"acquisitions.event.{one.text}", "disposal": f"disposal.event.{one.text}"}  # fmt: skip
    return t_or(table.get(one.part, ""), one.text)


@blueprint.post("/vehicles/<int:vehicle_id>/file")
def complete(vehicle_id: int) -> Response | tuple[str, int]:
    """Enter facts; an empty input leaves its attribute as it is."""
    typed = {key: value for key, value in request.form.items() if key in rules.BY_KEY and value.strip()}
    try:
        with transaction() as s:
            made = service.complete(s, vehicle_id=vehicle_id, values=typed, actor=actor(), now=now())
    except Invalid as error:
        return _page(vehicle_id, typed, error.fields), 422
    except RuleBroken as error:
        return _page(vehicle_id, typed, {"": [t(error.code, **error.params)]}), 422
    flash(t("dossier.entered", n=len(made)))
    return redirect(url_for("dossier.show", vehicle_id=vehicle_id))
