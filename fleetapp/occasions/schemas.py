"""Events outside; shared by the API and the pages."""

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.orders.rules import OccasionState
from fleetapp.vehicles.rules import Body

IDS = validate.Length(max=500)


class OccasionIn(StrictSchema):
    """A new event over ``[start_at, end_at)``."""

    org_id = fields.Integer(required=True)
    name = Text(required=True, validate=validate.Length(2, 100))
    start_at = Moment(required=True)
    end_at = Moment(required=True)
    note = Text(load_default="", validate=validate.Length(max=500))


class StepIn(StrictSchema):
    """A step with what there is to say."""

    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))


class ReserveIn(StrictSchema):
    """What to keep."""

    vehicle_ids = fields.List(fields.Integer(), load_default=list, validate=IDS)
    driver_ids = fields.List(fields.Integer(), load_default=list, validate=IDS)


class GiveBackIn(StrictSchema):
    """What to give back."""

    hold_ids = fields.List(fields.Integer(), load_default=list, validate=IDS)


class RosterIn(StrictSchema):
    """Who drives a vehicle on the local days ``from_on`` to ``to_on``; nobody clears them."""

    vehicle_id = fields.Integer(required=True)
    driver_id = fields.Integer(load_default=None, allow_none=True)
    from_on = fields.Date(required=True)
    to_on = fields.Date(required=True)


class OccasionQuery(StrictSchema):
    """State and page of the list."""

    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in OccasionState]))
    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))


class OfferQuery(StrictSchema):
    """Which vehicles to offer, and how many free ones to tick."""

    body = fields.Enum(Body, by_value=True, load_default=None, allow_none=True)
    q = Text(load_default="", validate=validate.Length(max=60))
    n = fields.Integer(load_default=0, validate=validate.Range(0, 200))


class ReasonIn(StrictSchema):
    """Why a file is taken out of the system."""

    reason = Text(required=True, validate=validate.Length(4, 500))


class OccasionOut(StrictSchema):
    """An event."""

    id = fields.Integer()
    org_id = fields.Integer()
    number = fields.String()
    name = fields.String()
    start_at = Moment()
    end_at = Moment()
    state = fields.String()
    note = fields.String()
    created_at = Moment()


class HoldOut(StrictSchema):
    """One vehicle or driver kept."""

    id = fields.Integer()
    vehicle_id = fields.Integer(allow_none=True)
    driver_id = fields.Integer(allow_none=True)
    held_at = Moment()


class ShiftOut(StrictSchema):
    """One day of the roster."""

    id = fields.Integer()
    vehicle_id = fields.Integer()
    driver_id = fields.Integer()
    on = fields.Date()


class SummaryOut(StrictSchema):
    """What an event came to; ``cost`` in CNY, null where nothing is known."""

    orders = fields.Integer()
    served = fields.Integer()
    dropped = fields.Integer()
    passengers = fields.Integer()
    vehicles_kept = fields.Integer()
    vehicles_used = fields.Integer()
    drivers_used = fields.Integer()
    metres = fields.Integer()
    cost = fields.Decimal(as_string=True, allow_none=True)
