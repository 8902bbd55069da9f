"""Duties, steps and expenses outside."""

from decimal import Decimal
from typing import Any

from marshmallow import fields, pre_load, validate

from fleetapp.duty.rules import DutyAction, ExpenseKind
from fleetapp.kit import clock
from fleetapp.kit.schema import Moment, StrictSchema, Text


class StepIn(StrictSchema):
    """One step of a duty; ``odometer_km`` as the dashboard shows it."""

    action = fields.Enum(DutyAction, by_value=True, required=True)
    idempotency_key = Text(required=True, validate=validate.Regexp(r"^[0-9A-Za-z-]{8,64}$"))
    at = Moment()
    odometer_km = fields.Float(validate=validate.Range(min=0, max=9_999_999))
    lat = fields.Float(validate=validate.Range(min=-90, max=90))
    lon = fields.Float(validate=validate.Range(min=-180, max=180))
    accuracy_m = fields.Float(validate=validate.Range(min=0, max=100_000))
    note = Text(validate=validate.Length(max=200))

    @pre_load
    def without_commas(self, data: Any, **_: Any) -> Any:
        """Take ``12,345.6`` as a person types it."""
        if isinstance(data, dict) and isinstance(data.get("odometer_km"), str):
            return {**data, "odometer_km": data["odometer_km"].replace(",", "").strip()}
        return data


def as_arguments(step: dict[str, Any]) -> dict[str, Any]:
    """Return a loaded step as the service's arguments: kilometres become metres."""
    arguments = dict(step)
    if "odometer_km" in arguments:
        arguments["odometer_m"] = round(arguments.pop("odometer_km") * 1000)
    return arguments


class EventOut(StrictSchema):
    """A step as stored."""

    id = fields.Integer()
    assignment_id = fields.Integer()
    action = fields.String()
    at = Moment()
    received_at = Moment()
    odometer_m = fields.Integer(allow_none=True)
    lat = fields.Float(allow_none=True)
    lon = fields.Float(allow_none=True)
    note = fields.String(allow_none=True)


class StopOut(StrictSchema):
    """A stop of a duty in its turn, WGS-84; ``planned_at`` is an estimate, on shared journeys only."""

    name = fields.String()
    order_number = fields.String()
    planned_at = Moment(allow_none=True)
    lat = fields.Float()
    lon = fields.Float()


class DutyOut(StrictSchema):
    """A duty of the signed-in driver; ``orders`` are the numbers of those that share the journey, itself too."""

    assignment_id = fields.Integer()
    order_id = fields.Integer()
    order_number = fields.String()
    slip = fields.String()
    journey = fields.Integer()
    orders = fields.List(fields.String())
    state = fields.String()
    plate = fields.String()
    start_at = Moment()
    end_at = Moment()
    passenger_count = fields.Integer()
    contact = fields.String()
    stops = fields.List(fields.Nested(StopOut))
    next_steps = fields.List(fields.String())


class DutyQuery(StrictSchema):
    """Which local day; today if none."""

    on = fields.Date(load_default=None)


class ExpenseIn(StrictSchema):
    """What was paid, CNY; the photograph of the receipt comes beside it as a file ``photo``."""

    kind = fields.Enum(ExpenseKind, by_value=True, required=True)
    amount = fields.Decimal(required=True, allow_nan=False, validate=validate.Range(Decimal(0), Decimal(10_000_000)))
    at = Moment()
    note = Text(validate=validate.Length(max=200))
    idempotency_key = Text(required=True, validate=validate.Regexp(r"^[0-9A-Za-z-]{8,64}$"))


class VoidIn(StrictSchema):
    """Why an expense is wrong."""

    reason = Text(required=True, validate=validate.Length(2, 200))


class ExpenseOut(StrictSchema):
    """An expense as stored; ``twin_id`` is an earlier one that looks the same."""

    id = fields.Integer()
    assignment_id = fields.Integer()
    kind = fields.String()
    amount = fields.Decimal(places=2, as_string=True)
    at = Moment()
    received_at = Moment()
    note = fields.String(allow_none=True)
    twin_id = fields.Integer(allow_none=True)
    void_at = Moment(allow_none=True)
    void_reason = fields.String(allow_none=True)


def as_filters(query: dict[str, Any]) -> dict[str, Any]:
    """Return a loaded query as the filters of a list: local days become a time ``[start, end)``."""
    return {
        "kind": query["kind"], "twins": query["twins"],
        "start": clock.day_span(query["start_on"])[0] if query["start_on"] else None,
        "end": clock.day_span(query["end_on"])[1] if query["end_on"] else None,
    }  # fmt: skip


class ExpenseQuery(StrictSchema):
    """Filters and page of a list of expenses; ``twins`` keeps those that look like another one."""

    kind = fields.String(load_default=None, validate=validate.OneOf([kind.value for kind in ExpenseKind]))
    twins = fields.Boolean(load_default=False)
    start_on = fields.Date(load_default=None)
    end_on = fields.Date(load_default=None)
    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
