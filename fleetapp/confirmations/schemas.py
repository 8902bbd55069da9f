"""What the end of a journey looks like outside; shared by the API and the pages."""

from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from fleetapp.confirmations.rules import ITEMS
from fleetapp.kit.schema import Moment, StrictSchema, Text

KM = validate.Range(Decimal(0), Decimal(9999))


class ConfirmIn(StrictSchema):
    """A confirmation; ``reason`` explains a difference beyond policy."""

    reason = Text(load_default=None, allow_none=True, validate=validate.Length(max=500))


class BillIn(StrictSchema):
    """What a hired journey cost, CNY, and how far it went; the receipt comes beside it as a file ``receipt``."""

    bill_cny = fields.Decimal(
        required=True, places=2, allow_nan=False, validate=validate.Range(Decimal(0), Decimal(1_000_000))
    )
    driven_km = fields.Decimal(load_default=None, allow_nan=False, validate=KM)


class ObjectIn(StrictSchema):
    """What is wrong."""

    reason = Text(required=True, validate=validate.Length(2, 500))


class AnswerIn(StrictSchema):
    """The answer, with the corrected distance if there is one."""

    reply = Text(required=True, validate=validate.Length(2, 500))
    proposed_km = fields.Decimal(load_default=None, allow_nan=False, validate=KM)


class RatingIn(StrictSchema):
    """Five scores from 1 to 5, or ``skip``."""

    skip = fields.Boolean(load_default=False)
    punctual = fields.Integer(load_default=None, validate=validate.Range(1, 5))
    driving = fields.Integer(load_default=None, validate=validate.Range(1, 5))
    service = fields.Integer(load_default=None, validate=validate.Range(1, 5))
    cleanliness = fields.Integer(load_default=None, validate=validate.Range(1, 5))
    safety = fields.Integer(load_default=None, validate=validate.Range(1, 5))
    comment = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))

    @validates_schema
    def complete(self, data: dict[str, Any], **_: Any) -> None:
        """Ask for the items that are missing, unless all are left out."""
        missing = {item: ["Missing data for required field."] for item in ITEMS if data.get(item) is None}
        if missing and not data.get("skip"):
            raise ValidationError(missing)


def metres(km: Decimal | None) -> int | None:
    """Return kilometres as whole metres."""
    return None if km is None else round(km * 1000)


def scores_of(data: dict[str, Any]) -> dict[str, Any]:
    """Return a loaded rating as the service's arguments."""
    scores = None if data["skip"] else {item: data[item] for item in ITEMS}
    return {"scores": scores, "comment": data["comment"]}


class ConfirmationOut(StrictSchema):
    """A confirmed distance with the readings it stood beside, metres."""

    order_id = fields.Integer()
    planned_m = fields.Integer(allow_none=True)
    gps_m = fields.Integer(allow_none=True)
    gps_source = fields.String(allow_none=True)
    gps_coverage = fields.Float(allow_none=True)
    odometer_m = fields.Integer(allow_none=True)
    confirmed_m = fields.Integer()
    source = fields.String()
    over_limit = fields.Boolean()
    reason = fields.String(allow_none=True)
    bill_cny = fields.Decimal(places=2, as_string=True, allow_none=True)
    auto = fields.Boolean()
    at = Moment()


class RemarkOut(StrictSchema):
    """An objection or its answer."""

    seq = fields.Integer()
    is_objection = fields.Boolean()
    text = fields.String()
    proposed_m = fields.Integer(allow_none=True)
    at = Moment()


class DifferenceOut(StrictSchema):
    """How far the odometer is from another reading."""

    of = fields.String()
    metres = fields.Float()
    share = fields.Float(allow_none=True)
    level = fields.String()


class ReadingsOut(StrictSchema):
    """The three readings, metres."""

    planned_m = fields.Float(allow_none=True)
    planned_sure = fields.Boolean()
    gps_m = fields.Float(allow_none=True)
    gps_coverage = fields.Float(allow_none=True)
    odometer_m = fields.Float(allow_none=True)


class JourneyOut(StrictSchema):
    """A journey that ends."""

    order_id = fields.Integer(attribute="order.id")
    state = fields.String(attribute="order.state")
    found = fields.Nested(ReadingsOut)
    differences = fields.List(fields.Nested(DifferenceOut))
    to_explain = fields.Boolean()
    objected = fields.Boolean()
    due_at = Moment(allow_none=True)
    tolls_cny = fields.Decimal(places=2, as_string=True)
    remarks = fields.List(fields.Nested(RemarkOut))
    confirmation = fields.Nested(ConfirmationOut, allow_none=True)


class RatingOut(StrictSchema):
    """A rating as its author gave it."""

    order_id = fields.Integer()
    punctual = fields.Integer(allow_none=True)
    driving = fields.Integer(allow_none=True)
    service = fields.Integer(allow_none=True)
    cleanliness = fields.Integer(allow_none=True)
    safety = fields.Integer(allow_none=True)
    comment = fields.String(allow_none=True)
    at = Moment()


class ListQuery(StrictSchema):
    """Tab and page of the list."""

    group = fields.String(load_default="waiting", validate=validate.OneOf(["waiting", "objected", "done"]))
    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
