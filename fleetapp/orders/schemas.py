"""What orders look like outside: the same for the API and the forms."""

from typing import Any

from marshmallow import fields, post_load, validate

from fleetapp.approvals.rules import Verdict
from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.orders import rules
from fleetapp.orders.rules import OrderKind, OrderState, Purpose
from fleetapp.vehicles.rules import Body

DECISIONS = [
    Verdict.AGREE,
    Verdict.REJECT,
    Verdict.SEND_BACK,
    Verdict.STEP_BACK,
    Verdict.ADD_BEFORE,
    Verdict.ADD_AFTER,
    Verdict.TRANSFER,
]
"""Verdicts that a person may send."""


def one_of(values: Any) -> validate.OneOf:
    """Return a check for the values of an enum."""
    return validate.OneOf([value.value for value in values], error="Must be one of: {choices}.")


def filled(longest: int) -> validate.Length:
    """Return a check for a text that is not empty."""
    return validate.Length(min=1, max=longest)


class StopIn(StrictSchema):
    """A place of the journey, WGS-84 degrees."""

    name = Text(required=True, validate=filled(120))
    lat = fields.Float(required=True, validate=validate.Range(-90, 90))
    lon = fields.Float(required=True, validate=validate.Range(-180, 180))
    tolerance_m = fields.Integer(load_default=rules.DEFAULT_TOLERANCE_M, validate=validate.Range(50, 5000))

    @post_load
    def stop(self, data: dict[str, Any], **_: Any) -> rules.Stop:
        """Make the value that the rules know."""
        return rules.Stop(**data)


class OrderIn(StrictSchema):
    """An application; the first stop is the origin."""

    kind = fields.String(load_default=OrderKind.ORDINARY.value, validate=one_of(OrderKind))
    purpose = fields.String(required=True, validate=one_of(Purpose))
    reason = Text(required=True, validate=filled(500))
    passengers = Text(load_default="", validate=validate.Length(max=500))
    passenger_count = fields.Integer(required=True, validate=validate.Range(0, 60))
    contact = Text(required=True, validate=filled(60))
    body = fields.String(load_default=Body.SEDAN.value, validate=one_of(Body))
    start_at = Moment(required=True)
    end_at = Moment(required=True)
    supplementary = fields.Boolean(load_default=False)
    stops = fields.List(fields.Nested(StopIn), required=True)
    request_key = Text(load_default=None, allow_none=True, validate=filled(80))
    applicant_id = fields.Integer(load_default=None, allow_none=True)
    pooling_ok = fields.Boolean(load_default=False)
    round_trip = fields.Boolean(load_default=True)
    luggage = Text(load_default="", validate=validate.Length(max=120))
    wanted_plate = Text(load_default="", validate=validate.Length(max=20))
    occasion_id = fields.Integer(load_default=None, allow_none=True)

    @post_load
    def typed(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Turn codes into the enums that the rules know."""
        return {**data, "kind": OrderKind(data["kind"]), "purpose": Purpose(data["purpose"])}


class NoteIn(StrictSchema):
    """An opinion that may be left out."""

    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))


class ReasonIn(StrictSchema):
    """A reason that must be given."""

    reason = Text(required=True, validate=filled(300))


class VerdictIn(StrictSchema):
    """A verdict of the approval chain; ``person_id`` is who is asked to sign, too, or takes over."""

    verdict = fields.String(required=True, validate=one_of(DECISIONS))
    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))
    person_id = fields.Integer(load_default=None, allow_none=True)

    @post_load
    def typed(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Turn the code into the enum that the rules know."""
        return {**data, "verdict": Verdict(data["verdict"])}


class BatchIn(StrictSchema):
    """Orders to approve at once."""

    order_ids = fields.List(fields.Integer(), required=True, validate=validate.Length(1, 50))


class ContentIn(StrictSchema):
    """What of an order can be put right; what is left out stays."""

    passengers = Text(validate=validate.Length(max=500))
    passenger_count = fields.Integer(validate=validate.Range(0, 60))
    contact = Text(validate=filled(60))
    body = fields.String(validate=one_of(Body))
    start_at = Moment()
    end_at = Moment()
    stops = fields.List(fields.Nested(StopIn))


class EditIn(ContentIn):
    """An order that was sent back, put right."""

    purpose = fields.String(validate=one_of(Purpose))
    reason = Text(validate=filled(500))


class ChangeIn(ContentIn):
    """A change of an approved order, with why."""

    why = Text(required=True, validate=filled(300))

    @post_load
    def named(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Call the reason as the service does."""
        return {("reason" if name == "why" else name): value for name, value in data.items()}


class WaitingQuery(StrictSchema):
    """Which part of what waits."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    step = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.OneOf(["approve", "edit", "dispatch", "driver", "confirm", "settle"]),
    )
    org_id = fields.Integer(load_default=None, allow_none=True)
    late = fields.Boolean(load_default=False)


class NothingIn(StrictSchema):
    """No fields."""


class OrderQuery(StrictSchema):
    """Which part of a list. ``start_on`` and ``end_on`` are local dates of the journey's start, both included."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))
    group = fields.String(load_default="all", validate=validate.OneOf([*rules.GROUPS, "all"]))
    state = fields.String(load_default=None, validate=one_of(OrderState))
    kind = fields.String(load_default=None, validate=one_of(OrderKind))
    q = Text(load_default="", validate=validate.Length(max=100))
    start_on = fields.Date(load_default=None)
    end_on = fields.Date(load_default=None)


class StopOut(StrictSchema):
    """A place of the journey."""

    position = fields.Integer()
    name = fields.String()
    lat = fields.Float()
    lon = fields.Float()
    tolerance_m = fields.Integer()


class EventOut(StrictSchema):
    """One change of state."""

    action = fields.String()
    from_state = fields.String(allow_none=True)
    to_state = fields.String()
    actor_id = fields.Integer(allow_none=True)
    at = Moment()
    note = fields.String(allow_none=True)


class OrderOut(StrictSchema):
    """An order."""

    id = fields.Integer()
    number = fields.String()
    org_id = fields.Integer()
    serving_org_id = fields.Integer(allow_none=True)
    kind = fields.String()
    purpose = fields.String()
    reason = fields.String()
    applicant_id = fields.Integer()
    approver_id = fields.Integer(allow_none=True)
    passengers = fields.String()
    passenger_count = fields.Integer()
    contact = fields.String()
    body = fields.String()
    start_at = Moment()
    end_at = Moment()
    state = fields.String()
    supplementary = fields.Boolean()
    closing_reason = fields.String(allow_none=True)
    created_at = Moment()
    approved_at = Moment(allow_none=True)
    filed_by_id = fields.Integer()
    pooling_ok = fields.Boolean()
    round_trip = fields.Boolean()
    luggage = fields.String()
    occasion_id = fields.Integer(allow_none=True)
    area = fields.String(allow_none=True)
    route_m = fields.Integer(allow_none=True)
    series = fields.String(allow_none=True)
    stops = fields.List(fields.Nested(StopOut))


class ChangeOut(StrictSchema):
    """A change of an approved order; ``redispatch``: the vehicle held does not fit any more."""

    id = fields.Integer()
    order_id = fields.Integer()
    reason = fields.String()
    before = fields.Dict()
    after = fields.Dict()
    state = fields.String()
    redispatch = fields.Boolean()
    created_at = Moment()
    applied_at = Moment(allow_none=True)


class OrderDetailOut(OrderOut):
    """An order with what happened to it."""

    events = fields.List(fields.Nested(EventOut))
