"""What offers, requests, loans and journeys served otherwise look like outside; shared by the API and the pages."""

from datetime import time
from decimal import Decimal

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.sharing.rules import FallbackKind, FallbackReason, LoanState, RequestState
from fleetapp.vehicles.rules import Body

BODIES = [body.value for body in Body]


class OfferIn(StrictSchema):
    """An offer of one vehicle or of all of a body; hours are the office's."""

    org_id = fields.Integer(required=True)
    vehicle_id = fields.Integer(load_default=None, allow_none=True)
    body = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(BODIES))
    to_org_id = fields.Integer(load_default=None, allow_none=True)
    weekdays = fields.List(
        fields.Integer(validate=validate.Range(1, 7)),
        load_default=[1, 2, 3, 4, 5, 6, 7],
        validate=validate.Length(1, 7),
    )
    from_time = fields.Time(load_default=time(0))
    to_time = fields.Time(load_default=None, allow_none=True)
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(load_default=None, allow_none=True)
    notice_h = fields.Integer(load_default=0, validate=validate.Range(0, 720))
    priority = fields.Integer(load_default=3, validate=validate.Range(1, 5))
    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))
    request_key = Text(load_default=None, allow_none=True, validate=validate.Length(max=64))


class OfferOut(StrictSchema):
    """An offer."""

    id = fields.Integer()
    org_id = fields.Integer()
    vehicle_id = fields.Integer(allow_none=True)
    body = fields.String()
    to_org_id = fields.Integer(allow_none=True)
    weekdays = fields.List(fields.Integer())
    from_time = fields.Time()
    to_time = fields.Time(allow_none=True)
    valid_from = fields.Date()
    valid_to = fields.Date(allow_none=True)
    notice_h = fields.Integer()
    priority = fields.Integer()
    note = fields.String(allow_none=True)
    withdrawn_at = Moment(allow_none=True)


class RequestIn(StrictSchema):
    """A request: for an approved order, or for a unit, a span, a body and a number of seats."""

    to_org_id = fields.Integer(required=True)
    reason = Text(required=True, validate=validate.Length(4, 300))
    order_id = fields.Integer(load_default=None, allow_none=True)
    org_id = fields.Integer(load_default=None, allow_none=True)
    start_at = Moment(load_default=None, allow_none=True)
    end_at = Moment(load_default=None, allow_none=True)
    body = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(BODIES))
    seats = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 60))
    with_driver = fields.Boolean(load_default=True)
    wanted_id = fields.Integer(load_default=None, allow_none=True)
    request_key = Text(load_default=None, allow_none=True, validate=validate.Length(max=64))


class RequestForm(RequestIn):
    """The page's form: a box that is not ticked says no."""

    with_driver = fields.Boolean(load_default=False)


class RequestOut(StrictSchema):
    """A request."""

    id = fields.Integer()
    number = fields.String()
    org_id = fields.Integer()
    to_org_id = fields.Integer()
    order_id = fields.Integer(allow_none=True)
    wanted_id = fields.Integer(allow_none=True)
    start_at = Moment()
    end_at = Moment()
    body = fields.String()
    seats = fields.Integer()
    with_driver = fields.Boolean()
    priority = fields.Integer()
    reason = fields.String()
    state = fields.String()
    reply_by = Moment()
    answer_note = fields.String(allow_none=True)


class AcceptIn(StrictSchema):
    """The vehicle that is lent, and its driver when one was asked for."""

    vehicle_id = fields.Integer(required=True)
    driver_id = fields.Integer(load_default=None, allow_none=True)
    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))


class NoteIn(StrictSchema):
    """An answer that says why."""

    note = Text(required=True, validate=validate.Length(4, 300))


class ReasonIn(StrictSchema):
    """A step that says why."""

    reason = Text(required=True, validate=validate.Length(4, 300))


class RecallIn(ReasonIn):
    """When a vehicle is called back and why."""

    at = Moment(required=True)


class LendableOut(StrictSchema):
    """A vehicle that could be lent for a request."""

    id = fields.Integer()
    plate = fields.String()
    body = fields.String()
    seats = fields.Integer()
    org_id = fields.Integer()


class LoanOut(StrictSchema):
    """A loan; its span is half-open."""

    id = fields.Integer()
    number = fields.String()
    org_id = fields.Integer()
    to_org_id = fields.Integer()
    request_id = fields.Integer(allow_none=True)
    vehicle_id = fields.Integer()
    driver_id = fields.Integer(allow_none=True)
    start_at = Moment(attribute="during.lower")
    end_at = Moment(attribute="during.upper")
    state = fields.String()
    end_reason = fields.String(allow_none=True)


class FallbackIn(StrictSchema):
    """How an order is served without an official vehicle; the price in CNY."""

    kind = fields.Enum(FallbackKind, by_value=True, required=True)
    reason = fields.Enum(FallbackReason, by_value=True, required=True)
    price = fields.Decimal(required=True, places=2, validate=validate.Range(Decimal(0), Decimal("999999.99")))
    provider = Text(load_default=None, allow_none=True, validate=validate.Length(max=100))
    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))


class BillIn(StrictSchema):
    """The number of the bill."""

    bill_no = Text(required=True, validate=validate.Length(2, 60))


class FallbackOut(StrictSchema):
    """A journey served otherwise."""

    order_id = fields.Integer()
    kind = fields.String()
    reason = fields.String()
    provider = fields.String(allow_none=True)
    price = fields.Decimal(as_string=True)
    norm = fields.Decimal(as_string=True)
    note = fields.String(allow_none=True)
    bill_no = fields.String(allow_none=True)
    decided_at = Moment()


class PageQuery(StrictSchema):
    """The page of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))


class RequestQuery(PageQuery):
    """Requests of a state."""

    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in RequestState]))


class LoanQuery(PageQuery):
    """Loans of a state."""

    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in LoanState]))
