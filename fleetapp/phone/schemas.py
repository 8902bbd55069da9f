"""What a phone sends, by kind."""

from decimal import Decimal
from typing import Any

from marshmallow import fields, pre_load, validate

from fleetapp.duty.rules import ExpenseKind
from fleetapp.kit.errors import Invalid
from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.phone.rules import Kind, Part
from fleetapp.phone.service import Sent
from fleetapp.web.forms import load

KEY = validate.Regexp(r"^[0-9A-Za-z-]{8,64}$")
NOTE = validate.Length(max=200)


class ActionIn(StrictSchema):
    """One action; ``body`` is by kind, ``tapped_at`` and ``sent_at`` are by the phone's clock."""

    kind = fields.Enum(Kind, by_value=True, required=True)
    key = Text(required=True, validate=KEY)
    tapped_at = Moment(required=True)
    sent_at = Moment(required=True)
    assignment_id = fields.Integer(strict=True, validate=validate.Range(1, 2**62), load_default=None, allow_none=True)
    body = fields.Dict(keys=fields.String(), load_default=dict)
    lat = fields.Float(validate=validate.Range(-90, 90), load_default=None, allow_none=True)
    lon = fields.Float(validate=validate.Range(-180, 180), load_default=None, allow_none=True)
    accuracy_m = fields.Float(validate=validate.Range(0, 100_000), load_default=None, allow_none=True)


class NothingIn(StrictSchema):
    """An action that needs no more words."""

    note = Text(validate=NOTE)


class StepIn(NothingIn):
    """A step; at check-out and check-in with the odometer (km) and how full the tank or battery is (%)."""

    odometer_m = fields.Integer(data_key="odometer_km")
    level_percent = fields.Integer(validate=validate.Range(0, 100))

    @pre_load
    def in_metres(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Take kilometres as the dashboard shows them, commas and all."""
        if "odometer_km" not in data:
            return data
        try:
            km = Decimal(str(data["odometer_km"]).replace(",", "").strip())
        except ArithmeticError:
            return data
        return {**data, "odometer_km": int(km * 1000)} if 0 <= km <= 9_999_999 else {**data, "odometer_km": "?"}


class ScanIn(StrictSchema):
    """What the camera read, or what was typed."""

    code = Text(required=True, validate=validate.Length(4, 400))


class DefectIn(StrictSchema):
    """A part that is not in order and what is wrong with it."""

    part = fields.Enum(Part, by_value=True, required=True)
    note = Text(required=True, validate=validate.Length(2, 100))


class WalkIn(StrictSchema):
    """A walk-round: every part is good or has a defect."""

    good = fields.List(fields.Enum(Part, by_value=True), load_default=list)
    defects = fields.List(fields.Nested(DefectIn), load_default=list, validate=validate.Length(max=8))


class ExpenseIn(NothingIn):
    """What was paid, CNY."""

    kind = fields.Enum(ExpenseKind, by_value=True, required=True)
    amount = fields.Decimal(required=True, allow_nan=False, validate=validate.Range(Decimal(0), Decimal(10_000_000)))


class AccidentIn(StrictSchema):
    """An accident as the driver sees it."""

    place = Text(required=True, validate=validate.Length(2, 120))
    account = Text(required=True, validate=validate.Length(2, 300))
    other_party = Text(validate=NOTE)
    injured = fields.Boolean(load_default=False)


class LeaveIn(StrictSchema):
    """Days of leave wished for, both included."""

    from_on = fields.Date(required=True)
    until_on = fields.Date(required=True)
    reason = Text(required=True, validate=validate.Length(2, 100))


BODIES: dict[Kind, type[StrictSchema]] = {
    Kind.ACCEPT: StepIn, Kind.CHECK_OUT: StepIn, Kind.ARRIVE: StepIn, Kind.CHECK_IN: StepIn, Kind.SCAN: ScanIn,
    Kind.WALK_ROUND: WalkIn, Kind.BOARD: NothingIn, Kind.EXPENSE: ExpenseIn, Kind.ACCIDENT: AccidentIn, Kind.LEAVE: LeaveIn,
    Kind.SOS: NothingIn,
}  # fmt: skip
MOST_PHOTOS = 6


def sent(data: Any, photos: list[tuple[str, bytes]]) -> Sent:
    """Return an action as the service takes it.

    :raises Invalid: with the messages of each field, those of the body under ``body``.
    """
    if not isinstance(data, dict):
        raise Invalid(fields={"action": ["Not a valid mapping."]})
    if len(photos) > MOST_PHOTOS:
        raise Invalid("phone.photos_many", most=MOST_PHOTOS)
    loaded = load(ActionIn(), data)
    said = loaded.pop("body")
    try:
        body = load(BODIES[loaded["kind"]](), said)
    except Invalid as error:
        raise Invalid(fields={"body": error.fields}) from error
    return Sent(**loaded, body=body, said=said, photos=tuple(photos))


class ActionForm(StrictSchema):
    """The form that an action comes in: JSON of ``ActionIn``, beside files ``photo``."""

    action = fields.String(required=True, validate=validate.Length(max=20_000))


class KeptOut(StrictSchema):
    """How many positions were taken."""

    kept = fields.Integer()


class PositionIn(StrictSchema):
    """Where the phone was, WGS-84, by its own clock."""

    at = Moment(required=True)
    lat = fields.Float(required=True, validate=validate.Range(-90, 90))
    lon = fields.Float(required=True, validate=validate.Range(-180, 180))
    accuracy_m = fields.Float(validate=validate.Range(0, 100_000))


class PositionsIn(StrictSchema):
    """Positions of one journey."""

    assignment_id = fields.Integer(required=True, strict=True, validate=validate.Range(1, 2**62))
    sent_at = Moment(required=True)
    positions = fields.List(fields.Nested(PositionIn), required=True, validate=validate.Length(1, 200))


class CodesQuery(StrictSchema):
    """Part of a plate and the page of a list."""

    q = Text(load_default="", validate=validate.Length(max=20))
    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))


class CodesIn(StrictSchema):
    """Vehicles that get a new code."""

    vehicle = fields.List(
        fields.Integer(validate=validate.Range(1, 2**62)), required=True, validate=validate.Length(1, 200)
    )


class SheetQuery(StrictSchema):
    """Vehicles whose codes are printed."""

    vehicle = fields.List(
        fields.Integer(validate=validate.Range(1, 2**62)), required=True, validate=validate.Length(1, 200)
    )
