"""Pages of drivers: list, new, licence."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.drivers import queries, rules, service
from fleetapp.drivers.rules import Licence
from fleetapp.drivers.schemas import DriverIn, DriverQuery, LicenceIn
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.policies import queries as policies
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("drivers", __name__, template_folder="templates")

FIELD_OF = {"drivers.licence_expired": "licence_valid_to", "drivers.not_candidate": "user_id"}


def licences() -> list[tuple[str, str]]:
    """Return the licence classes with their words."""
    return [(licence.value, t(f"drivers.licence.{licence.value}")) for licence in Licence]


@blueprint.get("/drivers")
def index() -> str:
    """List drivers and whether their licences still count."""
    permits.require("drivers.read", actor())
    query = load_query(DriverQuery())
    today = clock.local_date(now())
    with transaction() as s:
        rows = queries.filtered(queries.visible_to(actor()), q=query["q"], licence=query["licence"])
        page = paginate(s, rows, number=query["page"], size=query["size"])
        soon_days = int(policies.values(s, "reminder.licence_days", today).get("reminder.licence_days", 0))
        validity = {driver.id: rules.validity(driver.licence_valid_to, today, soon_days).value for driver in page.items}
        return render_template("drivers/index.html", page=page, query=query, licences=licences(), validity=validity)


def _form(values: Mapping[str, Any], errors: Mapping[str, Any], driver_id: int | None = None) -> str:
    with transaction() as s:
        driver = queries.get_driver(s, driver_id=driver_id, actor=actor()) if driver_id else None
        users = (
            []
            if driver
            else [(user.id, f"{name(user)} · {name(user.org)}") for user in s.scalars(queries.candidates(actor()))]
        )
        return render_template(
            "drivers/form.html", values=values, errors=errors, driver=driver, users=users, licences=licences()
        )


@blueprint.get("/drivers/new")
def new() -> str:
    """Show the form of a new driver."""
    permits.require("drivers.edit", actor())
    return _form({}, {})


@blueprint.post("/drivers/new")
def create() -> Response | tuple[str, int]:
    """Make an account a driver."""
    try:
        data = load_form(DriverIn())
        with transaction() as s:
            service.create(s, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken) as error:
        return _form(request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    flash(t("drivers.created"))
    return redirect(url_for("drivers.index"))


@blueprint.get("/drivers/<int:driver_id>/licence")
def licence(driver_id: int) -> str:
    """Show the form of a driver's licence."""
    with transaction() as s:
        driver = queries.get_driver(s, driver_id=driver_id, actor=actor())
        permits.require("drivers.edit", actor(), org_path=driver.org.path)
        values = {"licence": driver.licence, "licence_valid_to": driver.licence_valid_to.isoformat()}
    return _form(values, {}, driver_id)


@blueprint.post("/drivers/<int:driver_id>/licence")
def licence_post(driver_id: int) -> Response | tuple[str, int]:
    """Enter a renewed or another licence."""
    try:
        data = load_form(LicenceIn())
        with transaction() as s:
            service.edit_licence(s, driver_id=driver_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken) as error:
        return _form(request.form.to_dict(), errors_of(error, FIELD_OF), driver_id), 422
    flash(t("drivers.edited"))
    return redirect(url_for("drivers.index"))


@blueprint.post("/drivers/<int:driver_id>/leave")
def leave(driver_id: int) -> Response:
    """End a driver's service."""
    with transaction() as s:
        service.leave(s, driver_id=driver_id, actor=actor(), now=now())
    flash(t("drivers.left_done"))
    return redirect(url_for("drivers.index"))
