"""What charges and statements look like outside; shared by the API and the pages."""

from decimal import Decimal
from typing import Any

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.settlement.rules import StatementState

REASON = validate.Length(2, 500)


class StatementQuery(StrictSchema):
    """Filters and page of the list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))
    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in StatementState]))
    period = fields.Date(load_default=None)
    org_id = fields.Integer(load_default=None)


class PageQuery(StrictSchema):
    """Page of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))


class NothingIn(StrictSchema):
    """A step with nothing to say."""


class DisputeLineIn(StrictSchema):
    """A line that is not right."""

    charge_id = fields.Integer(required=True)
    reason = Text(required=True, validate=REASON)


class DisputeIn(StrictSchema):
    """The lines that are not right."""

    lines = fields.List(fields.Nested(DisputeLineIn), required=True, validate=validate.Length(1, 500))


class AnswerIn(StrictSchema):
    """The answer to one line; ``amount`` corrects it, 0 keeps it."""

    dispute_id = fields.Integer(required=True)
    answer = Text(required=True, validate=REASON)
    amount = fields.Decimal(
        load_default=Decimal(0), places=2, validate=validate.Range(Decimal(-999_999), Decimal(999_999))
    )


class AdjustIn(StrictSchema):
    """A correction of a charge."""

    charge_id = fields.Integer(required=True)
    amount = fields.Decimal(required=True, places=2, validate=validate.Range(Decimal(-999_999), Decimal(999_999)))
    reason = Text(required=True, validate=REASON)


class PayIn(StrictSchema):
    """The payment."""

    voucher_no = Text(required=True, validate=validate.Length(2, 100))
    paid_on = fields.Date(required=True)


class ExportIn(StrictSchema):
    """Why a statement leaves the system."""

    reason = Text(required=True, validate=validate.Length(4, 200))


class LineOut(StrictSchema):
    """A line of a charge."""

    item = fields.String()
    quantity = fields.Decimal(as_string=True)
    price = fields.Decimal(as_string=True)
    amount = fields.Decimal(as_string=True)


class ChargeOut(StrictSchema):
    """A charge."""

    id = fields.Integer()
    org_id = fields.Integer()
    holder_org_id = fields.Integer(allow_none=True)
    order_id = fields.Integer()
    vehicle_id = fields.Integer(allow_none=True)
    statement_id = fields.Integer(allow_none=True)
    kind = fields.String()
    book_id = fields.Integer(allow_none=True)
    start_at = Moment()
    end_at = Moment()
    distance_m = fields.Integer()
    distance_source = fields.String()
    wait_min = fields.Integer()
    cross_level = fields.Boolean()
    part = fields.Decimal(as_string=True)
    amount = fields.Decimal(as_string=True)
    supplier = fields.String(allow_none=True)
    bill_no = fields.String(allow_none=True)
    lines = fields.List(fields.Nested(LineOut))


class AdjustmentOut(StrictSchema):
    """A correction."""

    id = fields.Integer()
    number = fields.String()
    charge_id = fields.Integer()
    statement_id = fields.Integer()
    amount = fields.Decimal(as_string=True)
    reason = fields.String()
    made_at = Moment()


class DisputeOut(StrictSchema):
    """A line that was not right, and its answer."""

    id = fields.Integer()
    charge_id = fields.Integer()
    reason = fields.String()
    raised_at = Moment()
    answer = fields.String(allow_none=True)
    answered_at = Moment(allow_none=True)
    adjustment_id = fields.Integer(allow_none=True)


class StatementOut(StrictSchema):
    """A statement."""

    id = fields.Integer()
    org_id = fields.Integer()
    payee_org_id = fields.Integer()
    period = fields.Date()
    number = fields.String(allow_none=True)
    state = fields.String()
    edition = fields.Integer()
    total = fields.Decimal(as_string=True)
    issued_at = Moment(allow_none=True)
    confirmed_at = Moment(allow_none=True)
    paid_at = Moment(allow_none=True)
    voucher_no = fields.String(allow_none=True)


class WholeOut(StatementOut):
    """A statement with everything on it."""

    charges = fields.List(fields.Nested(ChargeOut))
    adjustments = fields.List(fields.Nested(AdjustmentOut))
    disputes = fields.List(fields.Nested(DisputeOut))


class GapOut(StrictSchema):
    """An order that cannot be charged yet."""

    order_id = fields.Integer()
    org_id = fields.Integer()
    code = fields.String()
    params: Any = fields.Dict()
    first_at = Moment()
