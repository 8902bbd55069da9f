"""Pages of those who look after deliveries: what could not be delivered, how channels do, what goes where."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.kit import permits
from fleetapp.kit.errors import Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.notices import channels, queries, rules, service
from fleetapp.notices.rules import ChannelName, DeliveryState
from fleetapp.notices.schemas import CareIn, DeliveryQuery
from fleetapp.notices.words import categories
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("care", __name__, template_folder="templates")
STEPS = {"retry": service.retry, "suppress": service.suppress}


def _page(problem: str, status: int = 200) -> tuple[str, int]:
    permits.require("notices.deliveries", actor())
    query = load_query(DeliveryQuery())
    with transaction() as s:
        rows = queries.deliveries_visible_to(actor(), state=query["state"], channel=query["channel"], q=query["q"])
        page = paginate(s, rows, number=query["page"], size=query["size"])
        return render_template(
            "notices/deliveries.html", page=page, query=query, problem=problem, health=queries.health(s, actor=actor(), now=now()),
            states=list(DeliveryState), channels=list(ChannelName), on={one.name for one in channels.configured(shell().settings)},
            may_handle=permits.may("notices.deliver", actor()), retried=rules.RETRIED, stopped=rules.STOPPED,
            may_route=permits.may("notices.routes", actor(), org_path=queries.root_path(s)),
        ), status  # fmt: skip


@blueprint.get("/notices/deliveries")
def deliveries() -> tuple[str, int]:
    """List deliveries with their states, and how the channels do."""
    return _page("")


@blueprint.post("/notices/deliveries/<int:delivery_id>/<any(retry, suppress):step>")
def handle(delivery_id: int, step: str) -> Response | tuple[str, int]:
    """Try a delivery again, or keep it back; says why."""
    try:
        reason = load_form(CareIn())["reason"]
        with transaction() as s:
            STEPS[step](s, delivery_id=delivery_id, reason=reason, actor=actor(), now=now())
    except (Invalid, RuleBroken) as error:
        [message] = errors_of(error).get("", [t("notices.reason_needed")])
        return _page(message, 422)
    flash(t(f"notices.{step}_done"))
    return redirect(url_for("care.deliveries"))


@blueprint.get("/notices/routes")
def routes() -> str:
    """Show which categories go out through which channels where people have not chosen."""
    with transaction() as s:
        permits.require("notices.routes", actor(), org_path=queries.root_path(s))
        return render_template(
            "notices/routes.html", categories=categories(), channels=list(ChannelName), routes=queries.routes(s),
            on={one.name for one in channels.configured(shell().settings)},
        )  # fmt: skip


@blueprint.post("/notices/routes")
def set_routes() -> Response:
    """Set them."""
    picked = set(request.form.getlist("on"))
    with transaction() as s:
        service.set_routes(
            s, choices={(of, one): f"{of}.{one}" in picked for of in categories() for one in ChannelName}, actor=actor(), now=now()
        )  # fmt: skip
    flash(t("notices.routed"))
    return redirect(url_for("care.routes"))
