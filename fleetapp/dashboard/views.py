"""The dashboard at a desk, on a wall and on a phone, and the rows behind each figure."""

from typing import Any

from flask import Blueprint, render_template
from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.dashboard import measures, tiles, words
from fleetapp.dashboard.measures import MEASURES
from fleetapp.dashboard.schemas import RowsQuery, ScopeQuery
from fleetapp.dashboard.scope import Scope, scope_of
from fleetapp.kit import permits
from fleetapp.kit.errors import NotFound
from fleetapp.kit.paging import Page
from fleetapp.places import queries as places
from fleetapp.web.display import name
from fleetapp.web.forms import load_query
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("dashboard", __name__, template_folder="templates")


def _shown(session: Session, scope: Scope) -> dict[str, Any]:
    seats = places.seats(session)
    found = tiles.tiles(session, scope)
    return {
        "scope": scope,
        "tiles": found,
        "charts": {one.code: words.chart(one, scope, seats) for one in found},
        "words": words,
    }


def _page(template: str) -> str:
    with transaction() as s:
        scope = scope_of(s, actor=actor(), now=now(), **load_query(ScopeQuery()))
        orgs = [(one.id, name(one)) for one in scope.known["reach"] if one.kind != "office"]
        return render_template(template, orgs=orgs, **_shown(s, scope))


@blueprint.get("/dashboard")
def index() -> str:
    """Show the dashboard."""
    return _page("dashboard/index.html")


@blueprint.get("/dashboard/wall")
def wall() -> str:
    """Show it for a wall: large, dark, without menus."""
    return _page("dashboard/wall.html")


@blueprint.get("/dashboard/tiles")
def fragment() -> str:
    """Return the tiles alone, for a page that stays open."""
    return _page("dashboard/_tiles.html")


@blueprint.get("/dashboard/lists/<code>")
def rows(code: str) -> str:
    """List what a figure counts."""
    if code not in MEASURES:
        raise NotFound("kit.not_found")
    query = load_query(RowsQuery())
    number, size = query.pop("page"), query.pop("size")
    measure = MEASURES[code]
    with transaction() as s:
        scope = scope_of(s, actor=actor(), now=now(), **query)
        permits.require(measure.drill, actor(), org_path=scope.org.path)
        found, total = measures.listed(s, scope, code, number=number, size=size)
        wanted = {row.org_id for row in found}
        orgs = {one.id: one for one in s.scalars(select(Organisation).where(Organisation.id.in_(wanted)))}
        return render_template(
            "dashboard/rows.html", measure=measure, scope=scope, page=Page(found, number, size, total), orgs=orgs,
            value=words.written(tiles.Figure(code, measures.figure(s, scope, code), measure.unit)),
        )  # fmt: skip
