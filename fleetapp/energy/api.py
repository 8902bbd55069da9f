"""Energy under ``/api/v1/energy``."""

from typing import Any

from flask import Response, request
from flask.views import MethodView
from flask_smorest import Blueprint
from werkzeug.datastructures import FileStorage

from fleetapp.accounts.queries import get_org
from fleetapp.energy import figures, importing, queries, service
from fleetapp.energy.figures import Consumption
from fleetapp.energy.rules import EntryKind
from fleetapp.energy.schemas import (
    CardIn,
    CardMoveIn,
    CardOut,
    CardQuery,
    ConsumptionOut,
    EntryIn,
    EntryOut,
    EntryQuery,
    FileIn,
    ImportOut,
    PeriodQuery,
    ReasonIn,
)
from fleetapp.energy.words import period, returned
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.api import FILE, page_headers
from fleetapp.web.downloads import TYPES
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_energy", __name__, url_prefix="/api/v1/energy", description="Fuel and charging")


@blueprint.route("/entries")
class Entries(MethodView):
    @blueprint.arguments(EntryQuery, location="query")
    @blueprint.response(200, EntryOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List entries, void ones too; the total is in the header ``X-Total-Count``."""
        permits.require("energy.read", actor())
        with transaction() as session:
            org_id, number, size = query.pop("org_id"), query.pop("page"), query.pop("size")
            org_path = get_org(session, org_id=org_id).path if org_id else None
            page = paginate(
                session,
                queries.filtered(queries.visible_to(actor()), **query, org_path=org_path),
                number=number,
                size=size,
            )
            return list(page.items), page_headers(page)

    @blueprint.arguments(EntryIn)
    @blueprint.response(201, EntryOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Enter a filling or charging."""
        with transaction() as session:
            return service.enter(session, **data, actor=actor(), now=now())


@blueprint.route("/entries/<int:entry_id>/void")
class EntryVoid(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, EntryOut)
    def post(self, data: dict[str, Any], entry_id: int) -> Any:
        """Make a wrong entry void."""
        with transaction() as session:
            return service.void(session, entry_id=entry_id, **data, actor=actor(), now=now())


@blueprint.route("/cards")
class Cards(MethodView):
    @blueprint.arguments(CardQuery, location="query")
    @blueprint.response(200, CardOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List cards; the total is in the header ``X-Total-Count``."""
        permits.require("energy.read", actor())
        with transaction() as session:
            rows = queries.cards_filtered(queries.cards_visible_to(actor()), q=query["q"], state=query["state"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(CardIn)
    @blueprint.response(201, CardOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Bind a card to a vehicle."""
        with transaction() as session:
            return service.add_card(session, **data, actor=actor(), now=now())


@blueprint.route("/cards/<int:card_id>/state")
class CardStates(MethodView):
    @blueprint.arguments(CardMoveIn)
    @blueprint.response(200, CardOut)
    def post(self, data: dict[str, Any], card_id: int) -> Any:
        """Suspend, reopen or cancel a card."""
        with transaction() as session:
            return service.move_card(session, card_id=card_id, **data, actor=actor(), now=now())


@blueprint.route("/imports")
class Imports(MethodView):
    @blueprint.arguments(FileIn, location="files")
    @blueprint.response(201, ImportOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Send a CSV or XLSX file; it is looked through, nothing goes into the ledger yet."""
        file: FileStorage = data["file"]
        with transaction() as session:
            return importing.check(session, name=file.filename or "", content=file.read(), actor=actor(), now=now())


@blueprint.route("/imports/<int:import_id>/commit")
class ImportCommit(MethodView):
    @blueprint.response(200, ImportOut)
    def post(self, import_id: int) -> Any:
        """Put the good rows of a file into the ledger."""
        with transaction() as session:
            return importing.put_in(session, import_id=import_id, actor=actor(), now=now())


@blueprint.route("/imports/<int:import_id>/file")
class ImportFile(MethodView):
    @blueprint.response(200, FILE, content_type=TYPES["xlsx"])
    @blueprint.response(200, FILE, content_type=TYPES["csv"])
    def get(self, import_id: int) -> Response:
        """Return the file with a column that says what is wrong with a row."""
        permits.require("energy.read", actor())
        with transaction() as session:
            return returned(session, import_id, lang=request.args.get("lang"))


@blueprint.route("/vehicles/<int:vehicle_id>/consumption")
class VehicleConsumption(MethodView):
    @blueprint.arguments(PeriodQuery, location="query")
    @blueprint.response(200, ConsumptionOut)
    def get(self, query: dict[str, Any], vehicle_id: int) -> Any:
        """Return a vehicle's consumption from level to level; without a period over the last twelve months."""
        permits.require("energy.read", actor())
        with transaction() as session:
            car = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor())
            permits.require("energy.read", actor(), org_path=car.org.path)
            days = period(query, clock.local_date(now()))
            return _dumped(figures.consumption(session, cars=[car], **days)[0])


def _dumped(found: Consumption) -> dict[str, Any]:
    fuel, charge = EntryKind.FUEL, EntryKind.CHARGE
    return {
        "vehicle_id": found.vehicle.id, "entries": found.entries, "litres": found.quantity[fuel], "kwh": found.quantity[charge],
        "amount": found.amount, "l_per_100km": found.per_100km(fuel), "kwh_per_100km": found.per_100km(charge),
        "electric_share": found.share, "tce": found.footprint.tce, "co2_kg": found.footprint.co2_kg,
        "fuel": found.intervals.get(fuel, []), "charge": found.intervals.get(charge, []),
    }  # fmt: skip
