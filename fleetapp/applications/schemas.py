"""What applications look like outside: the same for the API and the form."""

from typing import Any

from marshmallow import fields, post_load, validate

from fleetapp.applications import rules
from fleetapp.applications.service import LABELS
from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.orders.rules import OrderKind, Stop
from fleetapp.orders.schemas import OrderIn, filled, one_of
from fleetapp.vehicles.rules import Body


class ApplicationIn(OrderIn):
    """An application; ``overlap_reason`` says why somebody is in two journeys at once."""

    overlap_reason = Text(load_default="", validate=validate.Length(max=200))


class WeeklyIn(ApplicationIn):
    """An application for weekdays (0 is Monday) until a local date, included."""

    weekdays = fields.List(fields.Integer(validate=validate.Range(0, 6)), required=True)
    until = fields.Date(required=True)
    skip_holidays = fields.Boolean(load_default=True)


class TripQuery(StrictSchema):
    """What is known of a trip so far; ``stop`` is ``latitude,longitude``, repeated, the origin first."""

    kind = fields.String(load_default=OrderKind.ORDINARY.value, validate=one_of(OrderKind))
    body = fields.String(load_default=Body.SEDAN.value, validate=one_of(Body))
    passenger_count = fields.Integer(data_key="passenger_count", load_default=1, validate=validate.Range(0, 60))
    start_at = Moment(load_default=None)
    end_at = Moment(load_default=None)
    luggage = Text(load_default="", validate=validate.Length(max=120))
    round_trip = fields.Boolean(load_default=True)
    stop = fields.List(
        fields.String(validate=validate.Regexp(r"^-?[0-9]{1,3}(\.[0-9]+)?,-?[0-9]{1,3}(\.[0-9]+)?$")), load_default=[]
    )

    @post_load
    def typed(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Make the values that the rules know; places outside China are not looked at."""
        pairs = [tuple(map(float, pair.split(","))) for pair in data.pop("stop")]
        stops = [Stop("", lat, lon) for lat, lon in pairs]
        return {
            "kind": OrderKind(data["kind"]), "body": Body(data["body"]), "people": data["passenger_count"],
            "start_at": data["start_at"], "end_at": data["end_at"], "luggage": bool(data["luggage"]),
            "round_trip": data["round_trip"], "stops": [stop for stop in stops if rules.is_inland(stop)],
        }  # fmt: skip


class HintOut(StrictSchema):
    """Something to know; ``code`` with ``params`` is a text of the form."""

    code = fields.String()
    tone = fields.String()
    params = fields.Dict()


class CompanyOut(StrictSchema):
    """Another unit's journey that could share the car."""

    unit = fields.String(attribute="partner.name_zh")
    unit_en = fields.String(attribute="partner.name_en")
    start_at = Moment(attribute="partner.start_at")
    saved_m = fields.Integer()


class AnswerOut(StrictSchema):
    """What may be said of a trip of the caller's unit."""

    fitting = fields.Integer(attribute="free.fitting")
    free = fields.Integer(attribute="free.free")
    earliest_at = Moment(allow_none=True)
    area = fields.String(allow_none=True)
    route_m = fields.Integer(allow_none=True)
    price = fields.Decimal(attribute="price.total", as_string=True, allow_none=True)
    company = fields.List(fields.Nested(CompanyOut))
    hints = fields.List(fields.Nested(HintOut))
    levels = fields.List(fields.String())


class FavouriteIn(StrictSchema):
    """A favourite made of an order."""

    order_id = fields.Integer(required=True)
    name = Text(required=True, validate=filled(40))


class NameIn(StrictSchema):
    """A new name."""

    name = Text(required=True, validate=filled(40))


class FavouriteOut(StrictSchema):
    """A favourite trip."""

    id = fields.Integer()
    name = fields.String()
    content = fields.Dict()


class PaperIn(StrictSchema):
    """What an uploaded paper is."""

    label = fields.String(load_default=LABELS[0], validate=validate.OneOf(LABELS))
