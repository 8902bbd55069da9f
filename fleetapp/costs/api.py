"""Costs under ``/api/v1/costs``."""

from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.accounts.queries import get_org
from fleetapp.costs import figures, files, queries, service
from fleetapp.costs.figures import UnitYear
from fleetapp.costs.schemas import (
    EntryIn,
    EntryOut,
    ExportIn,
    ListQuery,
    PeriodQuery,
    ReasonIn,
    RowOut,
    UnitOut,
    VehicleOut,
    YearQuery,
)
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.api import FILE, page_headers
from fleetapp.web.downloads import TYPES
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_costs", __name__, url_prefix="/api/v1/costs", description="Costs of vehicles")


@blueprint.route("/entries")
class Entries(MethodView):
    @blueprint.arguments(ListQuery, location="query")
    @blueprint.response(200, EntryOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the costs entered by hand, void ones too; the total is in the header ``X-Total-Count``."""
        permits.require("costs.read", actor())
        number, size = query.pop("page"), query.pop("size")
        with transaction() as session:
            page = paginate(session, queries.filtered(queries.visible_to(actor()), **query), number=number, size=size)
            return list(page.items), page_headers(page)

    @blueprint.arguments(EntryIn)
    @blueprint.response(201, EntryOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Enter a cost."""
        with transaction() as session:
            return service.enter(session, **data, actor=actor(), now=now())


@blueprint.route("/entries/<int:entry_id>/void")
class EntryVoid(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, EntryOut)
    def post(self, data: dict[str, Any], entry_id: int) -> Any:
        """Make a wrong cost void."""
        with transaction() as session:
            return service.void(session, entry_id=entry_id, **data, actor=actor(), now=now())


@blueprint.route("/rows")
class Rows(MethodView):
    @blueprint.arguments(PeriodQuery, location="query")
    @blueprint.response(200, RowOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List all costs of every source over some days, without them over the last twelve months."""
        permits.require("costs.read", actor())
        start, end = figures.days_of(query, clock.local_date(now()))
        with transaction() as session:
            return queries.all_rows(session, actor=actor(), start=start, end=end)


@blueprint.route("/vehicles/<int:vehicle_id>")
class OneVehicle(MethodView):
    @blueprint.arguments(PeriodQuery, location="query")
    @blueprint.response(200, VehicleOut)
    def get(self, query: dict[str, Any], vehicle_id: int) -> Any:
        """Return a vehicle's costs over some days, without them over the last twelve months, and over its life."""
        today = clock.local_date(now())
        start, end = figures.days_of(query, today)
        with transaction() as session:
            car = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor())
            permits.require("costs.read", actor(), org_path=car.org.path)
            found = figures.of_vehicle(session, vehicle_id=car.id, actor=actor(), start=start, end=end)
            [life] = figures.lives(session, actor=actor(), cars=[car], today=today)
        return {
            "vehicle_id": car.id, "running": found.sum.running, "distance_m": found.driven.metres, "trips": found.driven.trips,
            "per_km": found.per_km, "per_trip": found.per_trip, "whole_life": life.cost, "whole_life_per_km": life.per_km,
            "book_value": life.book_value, "proceeds": life.proceeds, "rows": found.rows,
        }  # fmt: skip


@blueprint.route("/units")
class Units(MethodView):
    @blueprint.arguments(YearQuery, location="query")
    @blueprint.response(200, UnitOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """Return purchase and running costs by unit of a year; the first is the sum."""
        permits.require("costs.read", actor())
        with transaction() as session:
            path = get_org(session, org_id=query["org_id"]).path if query["org_id"] else "/"
            total, units = figures.by_unit(
                session, actor=actor(), year=query["year"] or clock.local_date(now()).year, org_path=path
            )
            return [_dumped(one) for one in (total, *units)]


@blueprint.route("/export")
class Export(MethodView):
    @blueprint.arguments(ExportIn)
    @blueprint.response(200, FILE, content_type=TYPES["xlsx"])
    def post(self, data: dict[str, Any]) -> Response:
        """Return a year's costs as XLSX; the reason goes into the audit log."""
        return files.year_file(**data)


def _dumped(one: UnitYear) -> dict[str, Any]:
    return {
        "org_id": one.org.id if one.org else None, "vehicles": one.vehicles, "purchase": one.sum.purchase, "running": one.sum.running,
        "total": one.sum.total, "by_kind": {kind.value: amount for kind, amount in one.sum.by_kind.items()},
    }  # fmt: skip
