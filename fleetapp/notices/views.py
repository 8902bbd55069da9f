"""Everybody's own notices: bell, list, choices."""

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.notices import queries, service
from fleetapp.notices.rules import ChannelName, category, masked
from fleetapp.notices.schemas import NoticeQuery
from fleetapp.notices.words import categories, words
from fleetapp.web.forms import errors_of, load_query
from fleetapp.web.request import actor, find_actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("notices", __name__, template_folder="templates")
FIELD_OF = {"notices.mail_form": "mail", "notices.chat_form": "chat"}


def unread() -> int:
    """Return how many notices the person has not read, asked once a request."""
    if "unread_notices" not in g:
        who = find_actor()
        if who is None or who.user_id is None:
            return 0
        with transaction() as s:
            g.unread_notices = queries.unread_count(s, actor=who)
    count: int = g.unread_notices
    return count


@blueprint.app_context_processor
def in_templates() -> dict[str, object]:
    """Make the bell known to the frame of every page."""
    return {"unread_notices": unread}


@blueprint.get("/notices")
def index() -> str:
    """List one's own notices, unread ones or all."""
    query = load_query(NoticeQuery())
    with transaction() as s:
        page = paginate(
            s, queries.visible_to(actor(), unread=query["unread"]), number=query["page"], size=query["size"]
        )
        return render_template("notices/index.html", page=page, query=query, words=words, category=category)


@blueprint.get("/notices/bell")
def bell() -> str:
    """Return the bell; every open page asks once a minute."""
    actor()
    return render_template("notices/_bell.html")


@blueprint.post("/notices/<int:notice_id>/read")
def read(notice_id: int) -> Response:
    """Mark one as read and go to what it is about."""
    with transaction() as s:
        found = service.mark_read(s, notice_id=notice_id, actor=actor(), now=now())
    stay = request.form.get("stay") or not found.link.startswith("/") or found.link.startswith("//")
    return redirect(url_for("notices.index") if stay else found.link)


@blueprint.post("/notices/read-all")
def read_all() -> Response:
    """Mark all as read."""
    with transaction() as s:
        service.mark_all_read(s, actor=actor(), now=now())
    return redirect(url_for("notices.index"))


def _choices(errors: dict[str, object]) -> str:
    who = actor()
    with transaction() as s:
        mine = {who.user_id} - {None}
        chosen = queries.choices_of(s, user_ids=mine).get(who.user_id or 0, {})  # type: ignore[arg-type]
        routes = queries.routes(s)
        known = queries.addresses_of(s, user_ids=mine)  # type: ignore[arg-type]
        addresses = {channel.value: known.get((who.user_id or 0, channel.value), "") for channel in ChannelName}
        return render_template(
            "notices/choices.html", categories=categories(), channels=list(ChannelName), errors=errors,
            on={(of, one.value): chosen.get((of, one.value), routes.get((of, one.value), False)) for of in categories() for one in ChannelName},
            values=request.form.to_dict() or addresses, phone=masked(addresses["sms"]) if addresses["sms"] else "",
        )  # fmt: skip


@blueprint.get("/notices/choices")
def choices() -> str:
    """Show through which channels one wants what."""
    return _choices({})


@blueprint.post("/notices/choices")
def choose() -> Response | tuple[str, int]:
    """Keep one's choices."""
    picked = set(request.form.getlist("on"))
    try:
        with transaction() as s:
            service.choose(
                s, choices={(of, one): f"{of}.{one}" in picked for of in categories() for one in ChannelName},
                addresses={one: request.form.get(one.value, "").strip() for one in (ChannelName.MAIL, ChannelName.CHAT)},
                actor=actor(), now=now(),
            )  # fmt: skip
    except RuleBroken as error:
        return _choices(errors_of(error, FIELD_OF)), 422
    flash(t("notices.chosen"))
    return redirect(url_for("notices.choices"))
