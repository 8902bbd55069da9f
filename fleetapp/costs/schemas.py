"""What costs look like outside; shared by the API and the pages."""

from datetime import date
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from fleetapp.costs.rules import OWN_KINDS, PARTS
from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.vehicles.rules import CostKind

AMOUNT = validate.Range(Decimal("0.01"), Decimal("9999999.99"))
DAY = validate.Range(date(2000, 1, 1), date(2100, 1, 1))
YEAR = validate.Range(2000, 2099)


class EntryForm(StrictSchema):
    """A cost on a vehicle's page."""

    on = fields.Date(required=True, validate=DAY)
    kind = fields.Enum(CostKind, by_value=True, required=True)
    amount = fields.Decimal(required=True, places=2, validate=AMOUNT)
    order_id = fields.Integer(load_default=None, allow_none=True)
    explanation = Text(load_default=None, allow_none=True, validate=validate.Length(max=500))
    document_no = Text(load_default=None, allow_none=True, validate=validate.Length(2, 60))


class EntryIn(EntryForm):
    """A cost with its vehicle."""

    vehicle_id = fields.Integer(required=True)


class ReasonIn(StrictSchema):
    """A step that says why."""

    reason = Text(required=True, validate=validate.Length(2, 500))


class ExportIn(StrictSchema):
    """A year's costs below an organisation, and what for."""

    year = fields.Integer(required=True, validate=YEAR)
    org_id = fields.Integer(required=True)
    reason = Text(required=True, validate=validate.Length(4, 500))


class YearQuery(StrictSchema):
    """A year and a place in the tree."""

    year = fields.Integer(load_default=None, validate=YEAR)
    org_id = fields.Integer(load_default=None)


class RowQuery(StrictSchema):
    """Which costs of a year to show, and the page."""

    year = fields.Integer(load_default=None, validate=YEAR)
    org_id = fields.Integer(required=True)
    part = fields.String(load_default=None, validate=validate.OneOf(PARTS))
    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))


class PeriodQuery(StrictSchema):
    """Local days, both included."""

    start_on = fields.Date(load_default=None, validate=DAY)
    end_on = fields.Date(load_default=None, validate=DAY)

    @validates_schema
    def check_order(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a reversed period."""
        if data.get("start_on") and data.get("end_on") and data["end_on"] < data["start_on"]:
            raise ValidationError("reversed", "end_on")


class ListQuery(PeriodQuery):
    """Filters and page of the entries."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))
    kind = fields.String(load_default=None, validate=validate.OneOf([kind.value for kind in OWN_KINDS]))


class LifeQuery(StrictSchema):
    """Filters and page of whole lives."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))


class EntryOut(StrictSchema):
    """An entry."""

    id = fields.Integer()
    org_id = fields.Integer()
    vehicle_id = fields.Integer()
    on = fields.Date()
    kind = fields.String()
    amount = fields.Decimal(as_string=True)
    order_id = fields.Integer(allow_none=True)
    explanation = fields.String(allow_none=True)
    document_no = fields.String(allow_none=True)
    void_at = Moment(allow_none=True)
    void_reason = fields.String(allow_none=True)


class RowOut(StrictSchema):
    """A cost of any slice; ``source`` is "slice:id"."""

    vehicle_id = fields.Integer()
    org_id = fields.Integer()
    on = fields.Date()
    kind = fields.String()
    amount = fields.Decimal(as_string=True)
    source = fields.String()
    order_id = fields.Integer(allow_none=True)
    note = fields.String(allow_none=True)


class VehicleOut(StrictSchema):
    """A vehicle's costs over a period and over its life."""

    vehicle_id = fields.Integer()
    running = fields.Decimal(as_string=True)
    distance_m = fields.Float()
    trips = fields.Integer()
    per_km = fields.Decimal(as_string=True, allow_none=True)
    per_trip = fields.Decimal(as_string=True, allow_none=True)
    whole_life = fields.Decimal(as_string=True)
    whole_life_per_km = fields.Decimal(as_string=True, allow_none=True)
    book_value = fields.Decimal(as_string=True, allow_none=True)
    proceeds = fields.Decimal(as_string=True)
    rows = fields.List(fields.Nested(RowOut))


class UnitOut(StrictSchema):
    """A unit's year: purchase and running costs of 三公 accounting."""

    org_id = fields.Integer(allow_none=True)
    vehicles = fields.Integer()
    purchase = fields.Decimal(as_string=True)
    running = fields.Decimal(as_string=True)
    total = fields.Decimal(as_string=True)
    by_kind = fields.Dict(keys=fields.String(), values=fields.Decimal(as_string=True))
