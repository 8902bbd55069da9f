"""What price books look like outside; shared by the API and the pages."""

from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.pricing import rules
from fleetapp.pricing.rules import Rate, Terms
from fleetapp.vehicles.rules import Body

AMOUNT = validate.Range(Decimal(0), Decimal("999999.99"))
KM = validate.Range(0, 5000)


def _money(**more: Any) -> fields.Decimal:
    return fields.Decimal(places=2, validate=AMOUNT, **more)


class RateIn(StrictSchema):
    """Prices of one body type."""

    half_day = _money(required=True)
    half_day_km = fields.Integer(required=True, validate=KM)
    full_day = _money(required=True)
    full_day_km = fields.Integer(required=True, validate=KM)
    per_km = _money(required=True)
    wait_per_h = _money(required=True)
    free_wait_min = fields.Integer(required=True, validate=validate.Range(0, 1440))
    night = _money(required=True)
    holiday = _money(required=True)
    minimum = _money(required=True)
    market_day = fields.Decimal(
        load_default=None, allow_none=True, places=2, validate=validate.Range(Decimal("0.01"), Decimal("999999.99"))
    )

    @validates_schema
    def ordered(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a full day that gives less than half a one."""
        if data["full_day"] < data["half_day"] or data["full_day_km"] < data["half_day_km"]:
            raise ValidationError("A full day costs and holds at least what half a day does.", "full_day")

    @post_load
    def made(self, data: dict[str, Any], **_: Any) -> Rate:
        """Return the prices."""
        return Rate(**data)


class TermsIn(StrictSchema):
    """What holds for every price of the book."""

    half_day_h = fields.Integer(load_default=4, validate=validate.Range(1, 12))
    night_from_h = fields.Integer(load_default=22, validate=validate.Range(18, 23))
    night_to_h = fields.Integer(load_default=6, validate=validate.Range(1, 9))
    rounding = fields.Decimal(load_default=Decimal("1.00"), places=2, validate=validate.OneOf(rules.ROUNDINGS))
    cap_share = fields.Decimal(
        load_default=Decimal("0.65"), places=4, validate=validate.Range(Decimal("0.01"), Decimal(1))
    )

    @post_load
    def made(self, data: dict[str, Any], **_: Any) -> Terms:
        """Return the terms."""
        return Terms(**data)


class EditIn(StrictSchema):
    """A version's words, terms and prices."""

    title = Text(required=True, validate=validate.Length(2, 100))
    source = Text(required=True, validate=validate.Length(4, 500))
    valid_from = fields.Date(required=True)
    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=500))
    terms = fields.Nested(TermsIn, required=True)
    rates = fields.Dict(keys=fields.Enum(Body, by_value=True), values=fields.Nested(RateIn), required=True)


class DraftIn(EditIn):
    """A new version of an organisation's book."""

    org_id = fields.Integer(required=True)


class NothingIn(StrictSchema):
    """A step with nothing to say."""


class EstimateQuery(StrictSchema):
    """What is to be priced."""

    body = fields.Enum(Body, by_value=True, required=True)
    start_at = Moment(required=True)
    end_at = Moment(required=True)
    route_m = fields.Integer(load_default=None, validate=validate.Range(0, 10_000_000))
    org_id = fields.Integer(load_default=None)
    cross_level = fields.Boolean(load_default=False)


class BookQuery(StrictSchema):
    """Page of the list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=50, validate=validate.Range(min=1, max=200))


class RateOut(StrictSchema):
    """Prices of one body type."""

    body = fields.String()
    half_day = fields.Decimal(as_string=True)
    half_day_km = fields.Integer()
    full_day = fields.Decimal(as_string=True)
    full_day_km = fields.Integer()
    per_km = fields.Decimal(as_string=True)
    wait_per_h = fields.Decimal(as_string=True)
    free_wait_min = fields.Integer()
    night = fields.Decimal(as_string=True)
    holiday = fields.Decimal(as_string=True)
    minimum = fields.Decimal(as_string=True)
    market_day = fields.Decimal(as_string=True, allow_none=True)


class BookOut(StrictSchema):
    """A version."""

    id = fields.Integer()
    org_id = fields.Integer()
    version_no = fields.Integer()
    title = fields.String()
    source = fields.String()
    valid_from = fields.Date()
    state = fields.String()
    half_day_h = fields.Integer()
    night_from_h = fields.Integer()
    night_to_h = fields.Integer()
    rounding = fields.Decimal(as_string=True)
    cap_share = fields.Decimal(as_string=True)
    note = fields.String(allow_none=True)
    rates = fields.List(fields.Nested(RateOut))


class LineOut(StrictSchema):
    """A line of a fee."""

    item = fields.String()
    quantity = fields.Decimal(as_string=True)
    price = fields.Decimal(as_string=True)
    amount = fields.Decimal(as_string=True)


class QuoteOut(StrictSchema):
    """A fee, or why there is none."""

    total = fields.Decimal(as_string=True, allow_none=True)
    book_id = fields.Integer(allow_none=True)
    lines = fields.List(fields.Nested(LineOut))
    distance_known = fields.Boolean()
    gap = fields.String(allow_none=True)
