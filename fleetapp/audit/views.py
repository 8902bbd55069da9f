"""Browsing and verifying the audit log, and its published heads."""

from datetime import timedelta

from flask import Blueprint, Response, jsonify, render_template, request

from fleetapp.audit import queries
from fleetapp.audit.schemas import AuditQuery, HeadsQuery, PieceQuery, RangeQuery
from fleetapp.kit import clock, permits, signatures
from fleetapp.kit.paging import paginate
from fleetapp.kit.sm3 import sm3
from fleetapp.web.downloads import named
from fleetapp.web.forms import load, load_query
from fleetapp.web.request import actor, shell, transaction

blueprint = Blueprint("audit", __name__, template_folder="templates")
MOST = 10_000
"""How many entries are counted and can be paged through: of millions, text and subject narrow the list."""


@blueprint.get("/audit")
def index() -> str:
    """List entries, newest first."""
    permits.require("audit.read", actor())
    query = load(AuditQuery(), request.args.to_dict())
    with transaction() as s:
        rows = queries.filtered(queries.visible_to(actor()), q=query["q"], subject_type=query["subject_type"],
                                subject_id=query["subject_id"])  # fmt: skip
        return render_template("audit/index.html", page=paginate(s, rows, number=query["page"], most=MOST), query=query)


@blueprint.get("/audit/verify")
def verify() -> str:
    """Check the chain, or what was written on some local days: the page then asks for it piece by piece."""
    permits.require("audit.read", actor())
    query = load_query(RangeQuery())
    start, end = query["start_on"], query["end_on"]
    with transaction() as s:
        last = queries.end_of(s)
        first = 1
        if start or end:
            first, last = queries.range_of(
                s,
                start=clock.start_of(start) if start else None,
                end=clock.start_of(end + timedelta(days=1)) if end else None,
            )
            first, last = (first, last) if first else (1, 0)
    return render_template("audit/verify.html", first=first, last=last, values=request.args.to_dict(), errors={})


@blueprint.get("/audit/verify/piece")
def piece() -> str:
    """Check the next piece of a range and show what is broken so far, as a fragment that asks for the one after it."""
    permits.require("audit.read", actor())
    query = load_query(PieceQuery())
    end = min(query["last"], query["at"] + queries.PIECE - 1)
    with transaction() as s:
        faults = queries.verify(s, first=query["at"], last=end)
    whole = max(1, query["last"] - query["first"] + 1)
    found = query["found"] + len(faults)
    return render_template(
        "audit/_piece.html", faults=faults[:queries.DIAGNOSED], found=found, first=query["first"], last=query["last"],
        next_at=end + 1, done=end - query["first"] + 1, percent=100 * (end - query["first"] + 1) // whole,
    )  # fmt: skip


@blueprint.get("/audit/heads")
def heads() -> str:
    """List the published heads, newest first, and whether the chain still agrees with each."""
    permits.require("audit.read", actor())
    query = load_query(HeadsQuery())
    with transaction() as s:
        page = paginate(s, queries.published_heads(), number=query["page"])
        agrees = {row.day: row.seq == 0 or queries.hash_of(s, seq=row.seq) == row.hash for row in page.items}
        return render_template(
            "audit/heads.html",
            page=page,
            agrees=agrees,
            sm3={row.day: sm3(row.document.encode()) for row in page.items},
        )


@blueprint.get("/audit/heads/<on>.json")
def head_file(on: str) -> Response:
    """Return the file of a day's head for a third party to keep."""
    permits.require("audit.read", actor())
    query = load(HeadsQuery(), {"day": on})
    with transaction() as s:
        document = queries.get_published(s, day=query["day"]).document
    return named(Response(document, mimetype="application/json"), f"audit-head-{on}.json")


@blueprint.get("/evidence/keys.json")
def keys() -> Response:
    """Publish the public keys that evidence packages and heads are checked with; open to everybody."""
    return jsonify(signatures.published(signatures.of(shell().settings)))
