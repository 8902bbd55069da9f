"""What plans and activations look like outside; shared by the API and the pages."""

from marshmallow import fields, validate

from fleetapp.emergency.rules import HOURS
from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.reserves.rules import Level
from fleetapp.reserves.schemas import BODIES


class CallIn(StrictSchema):
    """So many vehicles of a body from a pool."""

    pool_id = fields.Integer(required=True)
    body = fields.String(required=True, validate=validate.OneOf(BODIES))
    vehicles = fields.Integer(required=True, validate=validate.Range(0, 200))


class PlanIn(StrictSchema):
    """A plan."""

    org_id = fields.Integer(required=True)
    title = Text(required=True, validate=validate.Length(2, 100))


class LevelIn(StrictSchema):
    """What a plan does at a level."""

    level = fields.Enum(Level, by_value=True, required=True)
    instructions = Text(required=True, validate=validate.Length(2, 2000))
    hours = fields.Integer(required=True, validate=validate.Range(*HOURS))
    goes = fields.Boolean(load_default=False)
    calls = fields.List(fields.Nested(CallIn), required=True, validate=validate.Length(1, 20))


class OfficerIn(StrictSchema):
    """Who is told and may lead on the spot."""

    user_id = fields.Integer(required=True)
    task = Text(required=True, validate=validate.Length(2, 100))


class ActivationIn(StrictSchema):
    """An activation or drill to be previewed; the place in WGS-84 degrees."""

    plan_id = fields.Integer(required=True)
    level = fields.Enum(Level, by_value=True, required=True)
    drill = fields.Boolean(load_default=False)
    reason = Text(required=True, validate=validate.Length(2, 300))
    place = Text(required=True, validate=validate.Length(2, 120))
    lat = fields.Float(required=True, validate=validate.Range(3.8, 53.6))
    lon = fields.Float(required=True, validate=validate.Range(73.5, 135.1))
    hours = fields.Integer(required=True, validate=validate.Range(*HOURS))
    goes = fields.Boolean(load_default=False)
    wanted = fields.List(fields.Nested(CallIn), required=True, validate=validate.Length(1, 20))
    leader_id = fields.Integer(required=True)
    officer_id = fields.Integer(required=True)


class CallUpIn(StrictSchema):
    """The vehicles to call, and the orders that the preview said would lose theirs."""

    vehicle_ids = fields.List(fields.Integer(), required=True, validate=validate.Length(1, 300))
    bumped = fields.List(fields.Integer(), load_default=list, validate=validate.Length(max=1000))


class SendIn(StrictSchema):
    """Vehicles that stand by and are to go."""

    car_ids = fields.List(fields.Integer(), required=True, validate=validate.Length(1, 300))


class ChangeIn(StrictSchema):
    """Another level and why."""

    level = fields.Enum(Level, by_value=True, required=True)
    note = Text(required=True, validate=validate.Length(2, 300))


class NoteIn(StrictSchema):
    """A step that says why."""

    note = Text(required=True, validate=validate.Length(2, 300))


class ListQuery(StrictSchema):
    """Which list, and its page."""

    drill = fields.Boolean(load_default=None, allow_none=True)
    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))


class YearQuery(StrictSchema):
    """A year."""

    year = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(2000, 2200))


class ActivationOut(StrictSchema):
    """An activation or drill."""

    id = fields.Integer()
    org_id = fields.Integer()
    plan_id = fields.Integer()
    number = fields.String()
    drill = fields.Boolean()
    level = fields.String()
    reason = fields.String()
    place = fields.String()
    lat = fields.Float()
    lon = fields.Float()
    hours = fields.Integer()
    goes = fields.Boolean()
    wanted = fields.List(fields.Nested(CallIn))
    state = fields.String()
    leader_id = fields.Integer()
    officer_id = fields.Integer()
    confirmed_at = Moment(allow_none=True)
    signed_at = Moment(allow_none=True)
    ended_at = Moment(allow_none=True)


class CandidateOut(StrictSchema):
    """A vehicle that could be called; ``way`` is position (as of ``seen_at``) or yard."""

    vehicle_id = fields.Integer(attribute="vehicle.id")
    plate = fields.String(attribute="vehicle.plate")
    body = fields.String(attribute="vehicle.body")
    standing = fields.String()
    eta_s = fields.Integer()
    distance_m = fields.Integer()
    way = fields.String()
    seen_at = Moment(allow_none=True)
    chosen = fields.Boolean()
    orders = fields.Pluck("BookingOut", "order_id", many=True, attribute="bookings")


class BookingOut(StrictSchema):
    """An order that a vehicle is on."""

    order_id = fields.Integer()


class LineOut(StrictSchema):
    """A line of the call-up."""

    pool_id = fields.Integer()
    body = fields.String()
    vehicles = fields.Integer()
    missing = fields.Integer()
    candidates = fields.List(fields.Nested(CandidateOut))


class EffectOut(StrictSchema):
    """An order that would lose its vehicle, and how many could take it over."""

    order_id = fields.Integer(attribute="order.id")
    number = fields.String(attribute="order.number")
    plate = fields.String(attribute="vehicle.plate")
    substitutes = fields.Integer()
    substitute = fields.String(attribute="substitute.plate", allow_none=True)


class PreviewOut(StrictSchema):
    """What a call-up would do."""

    lines = fields.List(fields.Nested(LineOut))
    effects = fields.List(fields.Nested(EffectOut))


class CarOut(StrictSchema):
    """A vehicle called up, with the minutes from the call to each step."""

    id = fields.Integer()
    vehicle_id = fields.Integer()
    plate = fields.String(attribute="vehicle.plate")
    driver_id = fields.Integer()
    order_id = fields.Integer(allow_none=True)
    eta_s = fields.Integer()
    distance_m = fields.Integer()
    way = fields.String()
    called_at = Moment()
    sent_at = Moment(allow_none=True)
    released_at = Moment(allow_none=True)


class FiguresOut(StrictSchema):
    """Response figures; medians in minutes over those that got so far, the share of all called."""

    called = fields.Integer()
    accepted = fields.Integer()
    left = fields.Integer()
    arrived = fields.Integer()
    accept_min = fields.Float(allow_none=True)
    leave_min = fields.Float(allow_none=True)
    arrive_min = fields.Float(allow_none=True)
    within = fields.Integer()
    share = fields.Float(allow_none=True)


class CarsOut(StrictSchema):
    """The vehicles of an activation with its figures."""

    cars = fields.List(fields.Nested(CarOut))
    figures = fields.Nested(FiguresOut)
