"""Dispatch slips: on a page, as files, checked by whoever holds one, and the register of their numbers."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import segno
from flask import Blueprint, Response, jsonify, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.orm import Session

from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotFound
from fleetapp.kit.paging import paginate
from fleetapp.orders.rules import DRIVEN
from fleetapp.planning import paper, queries, register, signing
from fleetapp.planning.models import Assignment
from fleetapp.planning.schemas import PrintIn, RegisterExportIn, RegisterQuery, SlipQuery
from fleetapp.web import display, pdf
from fleetapp.web.display import name
from fleetapp.web.downloads import named, recorded
from fleetapp.web.forms import load, load_form, load_query
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("slips", __name__, template_folder="templates")
STYLE = Path(__file__).parent / "assets" / "slip.css"
LARGEST_SYMBOL = 10
"""QR version up to which a worn print of 27 mm is still read by a plain phone."""


@dataclass(frozen=True, slots=True)
class Paper:
    """One slip as it is drawn."""

    held: Assignment
    actuals: paper.Actuals
    symbol: Markup
    mates: paper.Mates | None


def _keys() -> signing.Keys:
    return signing.in_use(shell().settings.secret_key, shell().settings.slip_keys_file)


def _symbol(held: Assignment, keys: signing.Keys, at: datetime | None = None) -> Markup:
    code = signing.sign(
        signing.SlipCode(held.slip.number, held.vehicle.plate, held.order.start_at, held.order.end_at),
        keys,
        at or now(),
    )
    address = f"{url_for('slips.verify', _external=True)}?code={code}"
    symbol = segno.make(address, error="m", micro=False)
    if int(symbol.version) > LARGEST_SYMBOL:
        symbol = segno.make(address, error="l", micro=False)
    drawn = symbol.svg_inline(scale=1, border=2, omitsize=True, svgclass="slip-qr", lineclass=None)
    return Markup(drawn)  # noqa: S704 -- made here


def _papers(s: Session, held: Sequence[Assignment], at: datetime | None = None) -> list[Paper]:
    keys, done = _keys(), paper.actuals(s, held)
    # Read as the system: the paper names everybody on board, though its reader may not open their orders.
    with shell().database.transaction(SYSTEM) as all_of_it:
        on_board = {row.id: paper.mates(all_of_it, row) for row in held}
    return [Paper(row, done.get(row.id, paper.Actuals()), _symbol(row, keys, at), on_board[row.id]) for row in held]


@blueprint.get("/orders/<int:order_id>/slip")
def show(order_id: int) -> str:
    """Show the dispatch slip for printing."""
    query = load(SlipQuery(), request.args.to_dict())
    with transaction() as s:
        [one] = _papers(s, [paper.of_order(s, order_id=order_id, actor=actor())])
        return render_template("planning/slip.html", paper=one, size=query["size"])


@blueprint.get("/orders/<int:order_id>/slip.pdf")
def file(order_id: int) -> Response:
    """Return the dispatch slip as PDF, A5 or A4."""
    query = load(SlipQuery(), request.args.to_dict())
    with transaction() as s:
        held = paper.of_order(s, order_id=order_id, actor=actor())
        return _pdf(_papers(s, [held]), query["size"], f"{t('orders.slip')}_{held.slip.number}")


@blueprint.post("/slips/print")
def together() -> Response:
    """Return the ticked slips as one PDF, by vehicle and time."""
    data = load_form(PrintIn())
    with transaction() as s:
        held = paper.by_numbers(s, slip_ids=data["slip_ids"], actor=actor())
        if not held:
            raise NotFound("planning.no_slip")
        register.printed(s, held=held, actor=actor(), now=now())
        on = clock.local_date(now()).isoformat()
        return _pdf(_papers(s, held), data["size"], f"{t('orders.slip')}_{on}_{len(held)}")


def _pdf(papers: Sequence[Paper], size: str, stem: str) -> Response:
    return named(Response(_drawn(papers, size), mimetype="application/pdf"), f"{stem}.pdf", inline=True)


def _drawn(papers: Sequence[Paper], size: str) -> bytes:
    out = io.BytesIO()
    style = Markup(STYLE.read_text(encoding="utf-8"))  # noqa: S704 -- our own style sheet
    pdf.write(render_template("planning/slip_file.html", papers=papers, size=size, style=style), out)
    return out.getvalue()


def kept(s: Session, held: Assignment) -> bytes:
    """Return a slip as PDF for a file that is kept, the same bytes whenever it is asked for: signed as of its issue."""
    at = max(held.slip.issued_at, _keys().public[-1].since)
    return _drawn(_papers(s, [held], at), "A4")


# ---- who checks a slip ------------------------------------------------------------------------------------------------


@blueprint.get("/slips/verify")
def verify() -> str:
    """Tell whoever scans a slip whether it was issued here and still counts; shows no more than the paper does.

    Open to everybody and read as the system: the signature on the paper in hand opens it, not a part of the tree.
    """
    text, keys = request.args.get("code", ""), _keys()
    found = signing.read(text, keys.public) if text else None
    state, order = None, None
    if found is not None:
        state = "forged" if found.code is None and found.state == "good" else found.state
    if found is not None and found.code is not None:
        with shell().database.transaction(SYSTEM) as s:
            issued = queries.slip_status(s, number=found.code.slip)
            held = issued[1] if issued else None
            order = held.order.number if held else None
            over = held is not None and held.order.state in DRIVEN
            if issued is None:
                state = "forged"
            elif found.state == "good":
                state = "void" if issued[0].void_at else "over" if over or now() >= found.code.end_at else "valid"
    return render_template(
        "planning/verify.html", said=found.code if found and state not in {None, "forged", "old_key"} else None, state=state, order=order,
        keys=signing.as_public(keys.public), words=_words(),
    )  # fmt: skip


def _words() -> dict[str, str]:
    """Return what the check without a network says, by outcome."""
    states = ("good", "forged", "unknown_key", "old_key")
    return {state: f"{t(f'planning.verify.{state}')} · {t(f'planning.verify_hint.{state}')}" for state in states} | {
        name: t(f"planning.{name}") for name in ("slip_number", "plate", "plan_out", "plan_in")
    }


@blueprint.get("/slips/keys.json")
def keys() -> Response:
    """Publish the public keys that slips are checked with."""
    return jsonify(signing.as_public(_keys().public))


@blueprint.get("/slips/offline.html")
def offline() -> Response:
    """Return a page that checks slips without a network: keys, script and words within, to be kept on a phone."""
    script = (display.DIST / display.manifest()["slip-verify.js"]).read_text(encoding="utf-8")
    page = render_template(
        "planning/offline.html", keys=signing.as_public(_keys().public), words=_words(), made_at=now(),
        script=Markup(script.replace("</script", "<\\/script")),  # noqa: S704 -- our own bundle
    )  # fmt: skip
    return named(Response(page, mimetype="text/html"), f"{t('planning.verify_title')}.html")


# ---- the register -----------------------------------------------------------------------------------------------------


@blueprint.get("/slips")
def index() -> str:
    """Show every number issued in a year: used or void, with whom and why."""
    permits.require("planning.read", actor())
    query = load_query(RegisterQuery())
    year = query["year"] or clock.local_date(now()).year
    with transaction() as s:
        rows: Any = paper.register(actor(), year=year, org_id=query["unit"], q=query["q"], void=query["void"])
        page = paginate(s, rows, number=query["page"], size=query["size"])
        return render_template(
            "planning/register.html", page=page, query=query, year=year, units=paper.counts(s, actor=actor(), year=year),
            years=paper.years(s, actor=actor()) or [year], most=paper.MOST_AT_ONCE,
        )  # fmt: skip


@blueprint.post("/slips/export")
def export() -> Response:
    """Return the register of a unit and year, or of all units within reach, as XLSX; the reason goes into the log."""
    data = load_form(RegisterExportIn())
    return recorded(lambda s, out: register.write(s, out, **data, actor=actor(), now=now(), say=t, name=name))
