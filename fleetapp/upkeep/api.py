"""Work orders, suppliers, plans, readings, incidents and what comes due under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.accounts.queries import get_org
from fleetapp.kit import permits
from fleetapp.kit.clock import local_date
from fleetapp.kit.paging import paginate
from fleetapp.upkeep import due, ledger, queries, rules, service
from fleetapp.upkeep.schemas import (
    ClosingIn,
    DueOut,
    DueQuery,
    EmptyIn,
    IncidentIn,
    IncidentOut,
    IncidentQuery,
    LineIn,
    LineOut,
    MeterIn,
    MeterOut,
    NoteIn,
    PlanIn,
    PlanOut,
    QuoteIn,
    QuoteOut,
    ReadingIn,
    ReadingOut,
    ReportIn,
    StartIn,
    SubmitIn,
    SupplierIn,
    SupplierOut,
    WorkDetailOut,
    WorkOut,
    WorkQuery,
)
from fleetapp.vehicles import odometer
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.api import page_headers, step_maker
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_upkeep", __name__, url_prefix="/api/v1", description="Upkeep: work orders, plans, due dates")


@blueprint.route("/due")
class DueDates(MethodView):
    @blueprint.arguments(DueQuery, location="query")
    @blueprint.response(200, DueOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List what comes due within a year, the most overdue first."""
        permits.require("upkeep.overview", actor())
        with transaction() as session:
            path = get_org(session, org_id=query["org_id"]).path if query["org_id"] else None
            until = rules.add_months(local_date(now()), 12)
            rows = due.listed(session, actor=actor(), now=now(), until=until, org_path=path)
        return [
            {"vehicle_id": row.vehicle.id, "plate": row.vehicle.plate, "kind": row.due.kind, "item": row.due.item, "due_on": row.due.on,
             "left_days": row.left_days, "by": row.due.by, "reminded": row.reminder is not None}
            for row in rows
            if (not query["group"] or rules.LEADS[row.due.kind] == query["group"])
            and (not query["month"] or row.due.on.isoformat().startswith(query["month"]))
        ]  # fmt: skip


@blueprint.route("/work-orders")
class WorkOrders(MethodView):
    @blueprint.arguments(WorkQuery, location="query")
    @blueprint.response(200, WorkOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List work orders; the total is in the header ``X-Total-Count``."""
        permits.require("upkeep.read", actor())
        with transaction() as session:
            rows = queries.filtered(queries.visible_to(actor()), state=query["state"], q=query["q"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(ReportIn)
    @blueprint.response(201, WorkOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Report a fault or ask for maintenance."""
        with transaction() as session:
            return service.report(session, **data, actor=actor(), now=now())


@blueprint.route("/work-orders/<int:order_id>")
class OneWorkOrder(MethodView):
    @blueprint.response(200, WorkDetailOut)
    def get(self, order_id: int) -> Any:
        """Return one work order with its quotes and lines."""
        permits.require("upkeep.read", actor())
        with transaction() as session:
            return queries.get_order(session, order_id=order_id, actor=actor())


_step = step_maker(blueprint, "/work-orders/<int:order_id>", WorkOut, "WorkOrder")


_step("quotes", QuoteIn, service.add_quote, "Enter what a supplier asks.", out=QuoteOut, status=201)
_step("submission", SubmitIn, service.submit, "Choose a quote and send the order to approval.")
_step("approval", NoteIn, service.decide, "Approve up to the chosen quote.", approve=True)
_step("rejection", NoteIn, service.decide, "Reject.", approve=False)
_step("cancellation", NoteIn, service.cancel, "Give the order up.")
_step("start", StartIn, service.start, "Hand the vehicle to the shop.")
_step("lines", LineIn, service.add_line, "Enter labour, a part or a tyre.", out=LineOut, status=201)
_step("completion", EmptyIn, service.finish, "Note that the shop is done.")
_step("rework", NoteIn, service.rework, "Send the vehicle back to the shop.")
_step("excess", NoteIn, service.allow_excess, "Approve a cost above the limit and its margin.")
_step("acceptance", NoteIn, service.accept, "Accept the work; the vehicle comes back.")


@blueprint.route("/suppliers")
class Suppliers(MethodView):
    @blueprint.response(200, SupplierOut(many=True))
    def get(self) -> Any:
        """List the designated suppliers that hold for the caller's units."""
        permits.require("upkeep.overview", actor())
        with transaction() as session:
            return session.scalars(queries.suppliers(actor())).all()

    @blueprint.arguments(SupplierIn)
    @blueprint.response(201, SupplierOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Designate a supplier."""
        with transaction() as session:
            return ledger.add_supplier(session, **data, actor=actor(), now=now())


@blueprint.route("/upkeep-plans")
class Plans(MethodView):
    @blueprint.response(200, PlanOut(many=True))
    def get(self) -> Any:
        """List the maintenance plans that hold for the caller's units."""
        permits.require("upkeep.overview", actor())
        with transaction() as session:
            return session.scalars(queries.plans(actor())).all()

    @blueprint.arguments(PlanIn)
    @blueprint.response(201, PlanOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Plan how often an item is maintained."""
        with transaction() as session:
            return ledger.add_plan(session, **data, actor=actor(), now=now())


@blueprint.route("/vehicles/<int:vehicle_id>/readings")
class Readings(MethodView):
    @blueprint.response(200, ReadingOut(many=True))
    def get(self, vehicle_id: int) -> Any:
        """List a vehicle's odometer readings, the latest first."""
        with transaction() as session:
            vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor())
            return vehicles.readings(session, vehicle_id=vehicle_id, limit=200)

    @blueprint.arguments(ReadingIn)
    @blueprint.response(201, ReadingOut)
    def post(self, data: dict[str, Any], vehicle_id: int) -> Any:
        """Enter a reading; of a past day it must fit between its neighbours."""
        with transaction() as session:
            return odometer.enter(session, vehicle_id=vehicle_id, **data, actor=actor(), now=now())


@blueprint.route("/vehicles/<int:vehicle_id>/meter-changes")
class MeterChanges(MethodView):
    @blueprint.arguments(MeterIn)
    @blueprint.response(201, MeterOut)
    def post(self, data: dict[str, Any], vehicle_id: int) -> Any:
        """Enter a change of meter."""
        with transaction() as session:
            return odometer.change_meter(session, vehicle_id=vehicle_id, **data, actor=actor(), now=now())


@blueprint.route("/incidents")
class Incidents(MethodView):
    @blueprint.arguments(IncidentQuery, location="query")
    @blueprint.response(200, IncidentOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List accidents and violations; the total is in the header ``X-Total-Count``."""
        permits.require("upkeep.overview", actor())
        with transaction() as session:
            rows = queries.incidents(actor(), state=query["state"], q=query["q"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(IncidentIn)
    @blueprint.response(201, IncidentOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Enter an accident or a violation."""
        with transaction() as session:
            return ledger.open_incident(session, **data, actor=actor(), now=now())


@blueprint.route("/incidents/<int:incident_id>/closing")
class IncidentClosing(MethodView):
    @blueprint.arguments(ClosingIn)
    @blueprint.response(200, IncidentOut)
    def post(self, data: dict[str, Any], incident_id: int) -> Any:
        """Note how an incident was handled."""
        with transaction() as session:
            return ledger.close_incident(session, incident_id=incident_id, **data, actor=actor(), now=now())
