"""Plans and assignments outside: the same for the API and the forms."""

from typing import Any

from marshmallow import fields, post_load, validate, validates_schema
from marshmallow.exceptions import ValidationError

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.kit.spans import Span

LONGEST_SOLVE_S = 60


class PlanIn(StrictSchema):
    """What to plan: orders that start in ``[start_at, end_at)``."""

    start_at = Moment(required=True)
    end_at = Moment(required=True)
    time_limit_s = fields.Integer(load_default=10, validate=validate.Range(1, LONGEST_SOLVE_S))
    seed = fields.Integer(load_default=0, validate=validate.Range(0, 2**31 - 1))

    @validates_schema(skip_on_field_errors=True)
    def check_order(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a window that ends before it starts."""
        if data["start_at"] >= data["end_at"]:
            raise ValidationError({"end_at": ["Must be after the start."]})

    @post_load
    def as_arguments(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the service's arguments."""
        return {"window": Span(data.pop("start_at"), data.pop("end_at")), **data}


class ConfirmIn(StrictSchema):
    """Which orders of a run to assign; without a list all of them."""

    order_ids = fields.List(
        fields.Integer(), load_default=None, allow_none=True, validate=validate.Length(min=1, max=1000)
    )


class AssignIn(StrictSchema):
    """Vehicle and driver for an order."""

    vehicle_id = fields.Integer(required=True)
    driver_id = fields.Integer(required=True)


class JoinIn(StrictSchema):
    """The journey to join, and how those who had not agreed to share were asked."""

    pool_key = fields.Integer(required=True)
    consent = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))


class ReasonIn(StrictSchema):
    """A reason that must be given."""

    reason = Text(required=True, validate=validate.Length(min=1, max=300))


class DayQuery(StrictSchema):
    """Which local day and, on pages, which vehicles; today if none."""

    day = fields.Date(load_default=None)
    q = Text(load_default="", validate=validate.Length(max=60))
    page = fields.Integer(load_default=1, validate=validate.Range(1, 10_000))


class CheckQuery(StrictSchema):
    """The order that is about to be put somewhere."""

    order_id = fields.Integer(required=True)


class JoinQuery(CheckQuery):
    """The journey that the order is about to join."""

    pool_key = fields.Integer(required=True)


class MoveIn(StrictSchema):
    """Where one order is to go; ``seen`` is the assignment it had when the dispatcher looked."""

    order_id = fields.Integer(required=True)
    seen = fields.Integer(load_default=None, allow_none=True)
    vehicle_id = fields.Integer(load_default=None, allow_none=True)
    driver_id = fields.Integer(load_default=None, allow_none=True)
    pool_key = fields.Integer(load_default=None, allow_none=True)
    consent = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))

    @validates_schema(skip_on_field_errors=True)
    def check_one_place(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse an order that is to go to two places."""
        if data["vehicle_id"] is not None and data["pool_key"] is not None:
            raise ValidationError({"pool_key": ["Give a vehicle or a journey, not both."]})


class MovesIn(StrictSchema):
    """Moves to be made together; ``undo`` says that they take others back."""

    moves = fields.List(fields.Nested(MoveIn), required=True, validate=validate.Length(1, 20))
    undo = fields.Boolean(load_default=False)


class LockIn(StrictSchema):
    """The assignment to lock or unlock."""

    order_id = fields.Integer(required=True)
    seen = fields.Integer(required=True)
    locked = fields.Boolean(required=True)


SIZES = ("a5", "a4")


class SlipQuery(StrictSchema):
    """The paper a slip is drawn for."""

    size = fields.String(load_default="a5", validate=validate.OneOf(SIZES))


class PrintIn(SlipQuery):
    """Slips to print together."""

    slip_ids = fields.List(fields.Integer(), required=True, validate=validate.Length(1, 60))


class RegisterQuery(StrictSchema):
    """Year, unit and filters of the register of slips."""

    year = fields.Integer(load_default=None, validate=validate.Range(2000, 2999))
    unit = fields.Integer(load_default=None)
    void = fields.Boolean(load_default=None)
    q = Text(load_default="", validate=validate.Length(max=60))
    page = fields.Integer(load_default=1, validate=validate.Range(1, 10_000))
    size = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class RegisterExportIn(StrictSchema):
    """Which part of the register leaves, and why."""

    year = fields.Integer(required=True, validate=validate.Range(2000, 2999))
    org_id = fields.Integer(load_default=None)
    reason = Text(required=True, validate=validate.Length(2, 300))


class AssignmentOut(StrictSchema):
    """An assignment; ``[held_from, held_until)`` is the order's window with its buffers."""

    id = fields.Integer()
    order_id = fields.Integer()
    vehicle_id = fields.Integer()
    driver_id = fields.Integer()
    plate = fields.String(attribute="vehicle.plate")
    slip = fields.String(attribute="slip.number")
    held_from = Moment(attribute="during.lower")
    held_until = Moment(attribute="during.upper")
    journey = fields.Integer(attribute="pool_key")
    state = fields.String()
    assigned_at = Moment()
    run_id = fields.Integer(allow_none=True)


class JourneyOut(StrictSchema):
    """A journey an order could join: ``code`` null when it can, else the first reason against it."""

    pool_key = fields.Integer()
    plate = fields.String(attribute="vehicle.plate")
    orders = fields.Function(lambda option: [row.order.number for row in option.members])
    saved_m = fields.Function(lambda option: round(option.saved_m))
    consent_of = fields.List(fields.String())
    code = fields.String(attribute="fault.code", dump_default=None)
    params = fields.Dict(attribute="fault.params")


class RunOut(StrictSchema):
    """A run: ``plan`` holds the optimizer's plan file, the key figures, and what each order adds."""

    id = fields.Integer()
    org_id = fields.Integer()
    requested_by = fields.Integer()
    requested_at = Moment()
    start_at = Moment()
    end_at = Moment()
    state = fields.String()
    plan = fields.Dict()
    failure = fields.String(allow_none=True)
    confirmed_at = Moment(allow_none=True)


class OutcomeOut(StrictSchema):
    """What became of one order: ``code`` null when it is assigned."""

    order_id = fields.Integer()
    number = fields.String()
    code = fields.String(allow_none=True)
    message = fields.Dict(keys=fields.String(), values=fields.String(), allow_none=True)
    params = fields.Dict()


class CandidateOut(StrictSchema):
    """A vehicle's case for an order: ``code`` null when it could go, else the first reason against it."""

    vehicle_id = fields.Integer()
    driver_id = fields.Integer(allow_none=True)
    cost_fen = fields.Integer(allow_none=True)
    code = fields.String(attribute="fault.code", dump_default=None)
    params = fields.Dict(attribute="fault.params")
