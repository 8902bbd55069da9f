"""What entries, cards and files look like outside; shared by the API and the pages."""

from datetime import date
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from fleetapp.energy.rules import Break, CardState, EntryKind
from fleetapp.kit.schema import Moment, StrictSchema, Text

POSITIVE = validate.Range(Decimal(0), Decimal("999999.999"), min_inclusive=False)
NOT_NEGATIVE = validate.Range(Decimal(0), Decimal("99999.9999"))
AMOUNT = validate.Range(Decimal(0), Decimal("9999999.99"))
DAY = validate.Range(date(2015, 1, 1), date(2100, 1, 1))
KINDS = validate.OneOf([kind.value for kind in EntryKind])


class EntryBase(StrictSchema):
    """What every form of a filling or charging has; without unit price it is amount by quantity."""

    kind = fields.Enum(EntryKind, by_value=True, required=True)
    at = Moment(required=True)
    quantity = fields.Decimal(required=True, places=3, validate=POSITIVE)
    unit_price = fields.Decimal(load_default=None, allow_none=True, places=6, validate=NOT_NEGATIVE)
    amount = fields.Decimal(required=True, places=2, validate=AMOUNT)
    full = fields.Boolean(load_default=False)
    soc_percent = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 100))
    breaks = fields.Enum(Break, by_value=True, load_default=None, allow_none=True)
    product = Text(load_default=None, allow_none=True, validate=validate.Length(max=100))
    station = Text(load_default=None, allow_none=True, validate=validate.Length(max=100))
    card_id = fields.Integer(load_default=None, allow_none=True)

    @post_load
    def priced(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Fill in the unit price of a receipt that shows only quantity and amount."""
        if data["unit_price"] is None:
            data["unit_price"] = (data["amount"] / data["quantity"]).quantize(Decimal("0.000001"))
        return data


class EntryIn(EntryBase):
    """A filling or charging, odometer in metres."""

    vehicle_id = fields.Integer(required=True)
    odometer_m = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 9_999_999_000))


class EntryForm(EntryBase):
    """The form on a vehicle's page: odometer in kilometres."""

    odometer_km = fields.Decimal(
        load_default=None, allow_none=True, places=1, validate=validate.Range(Decimal(0), Decimal(9_999_999))
    )

    @post_load
    def in_metres(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the odometer in metres."""
        reading = data.pop("odometer_km")
        return {**data, "odometer_m": None if reading is None else int(reading * 1000)}


class ReasonIn(StrictSchema):
    """A step that says why."""

    reason = Text(required=True, validate=validate.Length(2, 500))


class CardBase(StrictSchema):
    """A card to be bound."""

    kind = fields.Enum(EntryKind, by_value=True, required=True)
    number = Text(required=True, validate=validate.Length(4, 40))
    issuer = Text(required=True, validate=validate.Length(2, 60))
    valid_from = fields.Date(required=True, validate=DAY)
    valid_to = fields.Date(load_default=None, allow_none=True, validate=DAY)


class CardIn(CardBase):
    """A card with its vehicle."""

    vehicle_id = fields.Integer(required=True)


class CardMoveIn(ReasonIn):
    """Where a card goes."""

    to = fields.Enum(CardState, by_value=True, required=True)
    version = fields.Integer(load_default=None, allow_none=True)


class PeriodQuery(StrictSchema):
    """Local days, both included."""

    start_on = fields.Date(load_default=None, validate=DAY)
    end_on = fields.Date(load_default=None, validate=DAY)
    org_id = fields.Integer(load_default=None)

    @validates_schema
    def check_order(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a reversed period."""
        if data.get("start_on") and data.get("end_on") and data["end_on"] < data["start_on"]:
            raise ValidationError("reversed", "end_on")


class PageQuery(StrictSchema):
    """Page of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))


class EntryQuery(PageQuery, PeriodQuery):
    """Filters and page of the ledger."""

    kind = fields.String(load_default=None, validate=KINDS)
    vehicle_id = fields.Integer(load_default=None)


class RankingQuery(PeriodQuery):
    """Period, unit and page of the ranking."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))


class CardQuery(PageQuery):
    """Filters and page of the cards."""

    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in CardState]))


class EntryOut(StrictSchema):
    """An entry; litres or kWh by its kind, CNY."""

    id = fields.Integer()
    org_id = fields.Integer()
    vehicle_id = fields.Integer()
    card_id = fields.Integer(allow_none=True)
    kind = fields.String()
    at = Moment()
    quantity = fields.Decimal(as_string=True)
    unit_price = fields.Decimal(as_string=True)
    amount = fields.Decimal(as_string=True)
    odometer_m = fields.Integer(allow_none=True)
    full = fields.Boolean()
    soc_percent = fields.Integer(allow_none=True)
    breaks = fields.String(allow_none=True)
    product = fields.String(allow_none=True)
    station = fields.String(allow_none=True)
    source = fields.String()
    void_at = Moment(allow_none=True)
    void_reason = fields.String(allow_none=True)


class CardOut(StrictSchema):
    """A card."""

    id = fields.Integer()
    org_id = fields.Integer()
    vehicle_id = fields.Integer()
    kind = fields.String()
    number = fields.String()
    issuer = fields.String()
    valid_from = fields.Date()
    valid_to = fields.Date(allow_none=True)
    state = fields.String()
    version = fields.Integer()


class FileIn(StrictSchema):
    """A CSV or XLSX file."""

    file = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


class ImportOut(StrictSchema):
    """What was found in a file."""

    id = fields.Integer()
    file_name = fields.String()
    state = fields.String()
    fresh = fields.Integer()
    known = fields.Integer()
    rejected = fields.Integer()
    created_at = Moment()
    committed_at = Moment(allow_none=True)


class IntervalOut(StrictSchema):
    """From one known level to the next."""

    start_at = Moment()
    end_at = Moment()
    used = fields.Decimal(as_string=True)
    distance_m = fields.Integer()
    per_100km = fields.Decimal(as_string=True, places=2)


class ConsumptionOut(StrictSchema):
    """A vehicle's consumption over a period."""

    vehicle_id = fields.Integer()
    entries = fields.Integer()
    litres = fields.Decimal(as_string=True)
    kwh = fields.Decimal(as_string=True)
    amount = fields.Decimal(as_string=True)
    l_per_100km = fields.Decimal(as_string=True, places=2, allow_none=True)
    kwh_per_100km = fields.Decimal(as_string=True, places=2, allow_none=True)
    electric_share = fields.Decimal(as_string=True, places=4, allow_none=True)
    tce = fields.Decimal(as_string=True, places=4)
    co2_kg = fields.Decimal(as_string=True, places=1)
    fuel = fields.List(fields.Nested(IntervalOut))
    charge = fields.List(fields.Nested(IntervalOut))
