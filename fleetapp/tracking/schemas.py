"""Positions, tracks, uploads and terminals outside."""

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.tracking.rules import Carrier, LiveState


class LiveQuery(StrictSchema):
    """Where to go on from."""

    since = Text(
        load_default=None, metadata={"description": "`next` of the answer before; without it everything is sent."}
    )


class WatchedOut(StrictSchema):
    """A vehicle that may be watched."""

    vehicle_id = fields.Integer()
    plate = fields.String()
    org_id = fields.Integer()
    org = fields.String()


class PositionOut(StrictSchema):
    """A vehicle's newest position, WGS-84; ``at`` is the terminal's clock.

    ``state`` holds now. Without a newer position it turns to parked at ``moving_until`` and to offline at ``offline_from``.
    """

    vehicle_id = fields.Integer()
    lat = fields.Float()
    lon = fields.Float()
    at = Moment()
    speed_kmh = fields.Float(allow_none=True)
    direction_deg = fields.Integer(allow_none=True)
    acc = fields.Boolean(allow_none=True)
    state = fields.String(validate=validate.OneOf(list(LiveState)))
    moving_until = Moment(allow_none=True)
    offline_from = Moment()


class LiveOut(StrictSchema):
    """What changed, with the value of ``since`` for the next call.

    ``full``: this is everything there is to see; forget whatever is not in it. ``vehicles`` comes with it alone.
    """

    next = fields.String()
    as_of = Moment()
    full = fields.Boolean()
    vehicles = fields.List(fields.Nested(WatchedOut))
    positions = fields.List(fields.Nested(PositionOut))


class TrackQuery(StrictSchema):
    """Which window, and why: reading a track needs a purpose and is logged."""

    start = Moment(required=True)
    end = Moment(required=True)
    purpose = Text(required=True, validate=validate.Length(2, 200))


class FixOut(StrictSchema):
    """A fix as received."""

    at = Moment()
    lat = fields.Float()
    lon = fields.Float()
    speed_kmh = fields.Float(allow_none=True)
    direction_deg = fields.Integer(allow_none=True)
    acc = fields.Boolean(allow_none=True)
    odometer_m = fields.Integer(allow_none=True)
    source = fields.String()


class UploadOut(StrictSchema):
    """What became of an upload."""

    read = fields.Integer()
    stored = fields.Integer()
    known = fields.Integer()
    rejected = fields.List(fields.Dict())


class TerminalIn(StrictSchema):
    """A device to allow."""

    phone = Text(required=True, validate=validate.Regexp(r"^(?!0+$)[0-9A-Za-z_-]{4,30}$"))
    kind = fields.String(load_default="jt808", validate=validate.OneOf(["jt808", "phone"]))
    speed_unit = fields.String(load_default="knots", validate=validate.OneOf(["knots", "ms", "kmh"]))
    note = Text(load_default="", validate=validate.Length(max=200))


class TerminalOut(StrictSchema):
    """A device; the token of a phone is shown only in the answer that made it."""

    id = fields.Integer()
    phone = fields.String()
    kind = fields.String()
    token = fields.String(allow_none=True)
    last_seen_at = Moment(allow_none=True)


class SimIn(StrictSchema):
    """The SIM card in a terminal; ``valid_until`` is its last day, ``data_mb`` its data a month."""

    iccid = Text(required=True, validate=validate.Length(1, 40))
    carrier = fields.Enum(Carrier, by_value=True, required=True)
    valid_until = fields.Date(required=True)
    data_mb = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(min=1, max=10_000_000))


class SimOut(StrictSchema):
    """The SIM card as it is kept."""

    terminal_id = fields.Integer()
    iccid = fields.String()
    carrier = fields.String()
    valid_until = fields.Date()
    data_mb = fields.Integer(allow_none=True)


class PageQuery(StrictSchema):
    """Which page."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
