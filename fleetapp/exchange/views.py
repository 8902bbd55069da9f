"""Pages of upward exchange: all interfaces, one interface with its rejections, its dry run."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.exchange import chart, checking, queries, rules, service, sources, standing, trial
from fleetapp.exchange.interfaces import BY_CODE, Interface
from fleetapp.exchange.models import ExchangeLink
from fleetapp.exchange.schemas import ReasonIn, RecordQuery, ReplayIn
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, FleetError, Invalid, NotFound, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.policies.queries import city_path
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import language, t

blueprint = Blueprint("exchange", __name__, template_folder="templates")
REFUSED = (Invalid, RuleBroken, Conflict)
FIELD_OF = {"exchange.period": "last_on", "exchange.reason_needed": "reason"}
WARN_DAYS = 30
"""Days before the end of the platform's certificate from which the page says so."""


def _may_manage(session: Session) -> bool:
    return permits.may("exchange.manage", actor(), org_path=city_path(session))


def _certificate_ends(link: ExchangeLink | None) -> bool:
    until = link.certificate_until if link else None
    return until is not None and until - now() < timedelta(days=WARN_DAYS)


@blueprint.get("/exchange")
def index() -> str:
    """Show every interface with its light, and the last thirty days."""
    permits.require("exchange.read", actor())
    settings = shell().settings
    with transaction() as s:
        least, link = trial.least_share(s, now=now()), queries.link(s)
        found = standing.rows(s, configured=bool(settings.exchange_url), least=least, now=now())
        cars, orders = sources.unnamed(s)
        return render_template(
            "exchange/index.html", rows=found, link=link, least=least, url=settings.exchange_url, may_manage=_may_manage(s),
            certificate_ends=_certificate_ends(link), drawn=chart.drawn(queries.by_day(s, today=clock.local_date(now()))),
            cars=cars, orders=orders, of_link={trouble.value for trouble in rules.OF_LINK},
        )  # fmt: skip


def _interface(code: str) -> Interface:
    if code not in BY_CODE or not BY_CODE[code].held:
        raise NotFound("kit.not_found")
    return BY_CODE[code]


def _mend_url(interface: Interface, feed: str, subject_id: int) -> str:
    """Return the page on which a record is mended."""
    one = interface.feed(feed)
    values: dict[str, Any] = {one.variable: subject_id} if one.variable else {}
    return url_for(one.mend, **values)


def _page(code: str, errors: Mapping[str, Any]) -> str:
    permits.require("exchange.read", actor())
    interface, query = _interface(code), load_query(RecordQuery())
    with transaction() as s:
        least = trial.least_share(s, now=now())
        row = next(one for one in standing.rows(s, configured=bool(shell().settings.exchange_url), least=least, now=now())
                   if one.code == code)  # fmt: skip
        rows = queries.records_visible_to(actor(), interface=code, states=rules.TO_MEND, q=query["q"])
        page = paginate(s, rows, number=query["page"], size=query["size"])
        today = clock.local_date(now())
        first = {"start_on": (today - timedelta(days=1)).isoformat(), "last_on": today.isoformat()}
        return render_template(
            "exchange/interface.html", row=row, page=page, query=query, least=least, may_manage=_may_manage(s), errors=errors,
            values=first | request.form.to_dict(), titles=checking.titles(code, language()), link=queries.link(s),
            mends={one.id: _mend_url(interface, one.feed, one.subject_id) for one in page.items},
            receipts=queries.receipts(s, interface=code), replays=queries.replays(s, interface=code),
            drawn=chart.drawn(queries.by_day(s, today=today, interface=code)),
            may_try=permits.may("exchange.dry_run", actor()),
        )  # fmt: skip


@blueprint.get("/exchange/<string:code>")
def show(code: str) -> str:
    """Show one interface: what is to be mended, receipts, replays."""
    return _page(code, {})


def _of_form(name: str, error: FleetError) -> dict[str, Any]:
    """Return the messages of a failure: about the reason beside it in the form of this name, others above the page."""
    return {
        f"{name}_reason" if field == "reason" else field: words for field, words in errors_of(error, FIELD_OF).items()
    }


@blueprint.post("/exchange/<string:code>/<any(pause, resume):step>")
def switch(code: str, step: str) -> Response | tuple[str, int]:
    """Pause or resume an interface; says why."""
    try:
        data = load_form(ReasonIn())
        with transaction() as s:
            {"pause": service.pause, "resume": service.resume}[step](s, code=code, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _page(code, _of_form(step, error)), 422
    flash(t(f"exchange.{step}_done"))
    return redirect(url_for("exchange.show", code=code))


@blueprint.post("/exchange/<string:code>/replay")
def replay(code: str) -> Response | tuple[str, int]:
    """Queue again what was accepted over some days."""
    try:
        data = load_form(ReplayIn())
        with transaction() as s:
            made = service.replay(s, code=code, start_on=data["start_on"], end_on=data["last_on"] + timedelta(days=1),
                                  reason=data["reason"], actor=actor(), now=now())  # fmt: skip
            records = made.records
    except REFUSED as error:
        return _page(code, errors_of(error, FIELD_OF)), 422
    flash(t("exchange.replay_done", n=records))
    return redirect(url_for("exchange.show", code=code))


@blueprint.post("/exchange/<string:code>/records/<int:outbox_id>/again")
def again(code: str, outbox_id: int) -> Response | tuple[str, int]:
    """Send a refused record again as it is."""
    try:
        data = load_form(ReasonIn())
        with transaction() as s:
            service.send_again(s, outbox_id=outbox_id, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _page(code, _of_form(f"again_{outbox_id}", error)), 422
    flash(t("exchange.again_done"))
    return redirect(url_for("exchange.show", code=code))


@blueprint.post("/exchange/<string:code>/dry-run")
def dry_run(code: str) -> str:
    """Check against the form what an interface would send now; nothing is written but that it was looked at."""
    permits.require("exchange.dry_run", actor())
    interface = _interface(code)
    with transaction() as s:
        found = trial.dry_run(s, interface)
        least = trial.least_share(s, now=now())
        service.note_dry_run(s, code=code, records=found.records, valid=found.valid, actor=actor(), now=now())
        return render_template(
            "exchange/dry_run.html", interface=interface, found=found, least=least, titles=checking.titles(code, language()),
            mends=[_mend_url(interface, feed, record.subject_id) for record, feed, _ in found.faulty],
        )  # fmt: skip
