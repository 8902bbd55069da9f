"""The card of an order's page: the trip taken again, who filed it, its series, its papers."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from marshmallow import EXCLUDE
from werkzeug import Response as Answer

from fleetapp.applications import queries, service
from fleetapp.applications.schemas import PaperIn
from fleetapp.attachments.rules import SHOWN
from fleetapp.kit import permits
from fleetapp.kit.errors import Invalid, RuleBroken
from fleetapp.orders import queries as orders
from fleetapp.orders.schemas import ReasonIn
from fleetapp.web.downloads import named
from fleetapp.web.forms import load_form, received_file
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("papers", __name__, template_folder="templates")


@blueprint.get("/orders/<int:order_id>/trip")
def panel(order_id: int) -> str:
    """Return the card as a fragment."""
    with transaction() as s:
        order = orders.get_order(s, order_id=order_id, actor=actor())
        owner_id = actor().user_id if actor().user_id == order.filed_by_id else order.applicant_id
        where: dict[str, Any] = {"org_path": order.org.path, "owner_id": owner_id}
        return render_template(
            "applications/panel.html", order=order, papers=queries.papers(s, order=order), labels=service.LABELS,
            series=queries.of_series(s, series=order.series, actor=actor()) if order.series else [], is_mine=owner_id == actor().user_id,
            may_attach=permits.may("orders.attach", actor(), **where, state=order.state),
            may_apply=permits.may("orders.create", actor()),
        )  # fmt: skip


@blueprint.post("/orders/<int:order_id>/papers")
def attach(order_id: int) -> Answer:
    """Add an invitation, a notice or another paper."""
    try:
        label = load_form(PaperIn(unknown=EXCLUDE))["label"]
        with received_file("file") as (path, file_name), transaction() as s:
            service.attach(
                s, order_id=order_id, label=label, name=file_name, content=path.read_bytes(), actor=actor(), now=now()
            )
        flash(t("applications.paper_added", name=file_name))
    except (Invalid, RuleBroken) as error:
        flash(t(error.code, **error.params), "danger")
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.get("/orders/<int:order_id>/papers/<int:attachment_id>")
def paper(order_id: int, attachment_id: int) -> Response:
    """Send a paper to whoever may see the order; nothing in it can run as a page of ours."""
    with transaction() as s:
        found, content = queries.get_paper(s, order_id=order_id, attachment_id=attachment_id, actor=actor())
    response = named(Response(content, mimetype=found.media_type), found.name, inline=found.media_type in SHOWN)
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return response


@blueprint.post("/orders/<int:order_id>/series/cancel")
def cancel_series(order_id: int) -> Answer:
    """End what of the order's series has not begun."""
    try:
        reason = load_form(ReasonIn(unknown=EXCLUDE))["reason"]
        with transaction() as s:
            order = orders.get_order(s, order_id=order_id, actor=actor())
            ended = service.cancel_series(s, series=order.series or "", reason=reason, actor=actor(), now=now())
        flash(t("applications.series_ended", count=len(ended)))
    except (Invalid, RuleBroken):
        flash(t("orders.reason_needed"), "danger")
    return redirect(url_for("orders.show", order_id=order_id))
