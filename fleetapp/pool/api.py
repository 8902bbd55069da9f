"""The shared pool's figures under ``/api/v1/pool``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint
from marshmallow import fields

from fleetapp.kit import clock, permits
from fleetapp.kit.schema import StrictSchema
from fleetapp.pool import figures, queries
from fleetapp.pool.schemas import PeriodQuery
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_pool", __name__, url_prefix="/api/v1", description="Shared pool")


class CellOut(StrictSchema):
    """Free and all vehicles of a body at a level."""

    path = fields.String()
    body = fields.String()
    free = fields.Integer()
    total = fields.Integer()


class BalanceOut(StrictSchema):
    """A level's use by holder and by user, hours."""

    path = fields.String()
    vehicles = fields.Integer()
    hours_held = fields.Float()
    hours_lent = fields.Float()
    hours_used = fields.Float()
    hours_borrowed = fields.Float()


class SavedOut(StrictSchema):
    """Journeys in others' vehicles; what renting would have cost in CNY."""

    orders = fields.Integer()
    km = fields.Float()
    rental = fields.Decimal(as_string=True)


class MissedOut(StrictSchema):
    """An approved order without an official vehicle."""

    number = fields.String(attribute="order.number")
    pool = fields.String()
    body = fields.String(attribute="order.body")
    week = fields.Date()
    how = fields.String()
    price = fields.Decimal(as_string=True, allow_none=True)


class PoolOut(StrictSchema):
    """The figures of a time and the free vehicles of a day."""

    start_on = fields.Date()
    end_on = fields.Date()
    free = fields.List(fields.Nested(CellOut))
    missed = fields.List(fields.Nested(MissedOut))
    saved = fields.Dict(keys=fields.String(), values=fields.Nested(SavedOut))
    balances = fields.List(fields.Nested(BalanceOut))


@blueprint.route("/pool")
class Pool(MethodView):
    @blueprint.arguments(PeriodQuery, location="query")
    @blueprint.response(200, PoolOut)
    def get(self, query: dict[str, Any]) -> Any:
        """Return free vehicles, unmet demand, what sharing saved, and use by holder and user."""
        permits.require("pool.read", actor())
        today = clock.local_date(now())
        start_on, end_on = figures.days_of(query["start_on"], query["last_on"], today)
        with transaction() as session:
            found = figures.over(session, actor=actor(), start_on=start_on, end_on=end_on, now=now())
            matrix = queries.free(session, actor=actor(), on=query["on"] or today, found=found.levels)
            cells = [
                {"path": path, "body": body, "free": cell.free, "total": cell.total}
                for path, row in matrix.items()
                for body, cell in row.items()
                if cell.total
            ]
            return {
                "start_on": found.start_on, "end_on": found.end_on, "free": cells, "missed": list(found.missed), "saved": dict(found.saved),
                "balances": list(found.balances),
            }  # fmt: skip
