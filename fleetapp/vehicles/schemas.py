"""What vehicles look like outside; one set of fields for the API and the pages."""

from decimal import Decimal
from typing import Any

from marshmallow import fields, post_load, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.vehicles.rules import (
    Acquired,
    Body,
    Category,
    DocumentKind,
    Energy,
    ManagementMode,
    Secrecy,
    VehicleState,
)

MONEY = validate.Range(Decimal(0), Decimal("9999999.99"))
STORE = validate.Range(Decimal("0.1"), Decimal(2000))


class VehicleFields(StrictSchema):
    """Facts that may be corrected later. ``range_km`` is the full electric range."""

    plate = Text(required=True, validate=validate.Length(7, 12))
    vin = Text(required=True, validate=validate.Length(1, 40))
    category = fields.Enum(Category, by_value=True, required=True)
    body = fields.Enum(Body, by_value=True, required=True)
    energy = fields.Enum(Energy, by_value=True, required=True)
    seats = fields.Integer(required=True, validate=validate.Range(1, 60))
    model = Text(required=True, validate=validate.Length(1, 80))
    registered_on = fields.Date(required=True)
    secrecy = fields.Enum(Secrecy, by_value=True, load_default=Secrecy.NORMAL)
    range_km = fields.Integer(allow_none=True, validate=validate.Range(1, 2000))
    parking_id = fields.Integer(allow_none=True)
    acquired_by = fields.Enum(Acquired, by_value=True)
    acquired_on = fields.Date(allow_none=True)
    made_on = fields.Date(allow_none=True)
    domestic = fields.Boolean()
    price_ex_tax = fields.Decimal(allow_none=True, places=2, validate=MONEY)
    purchase_tax = fields.Decimal(allow_none=True, places=2, validate=MONEY)
    engine_no = Text(allow_none=True, validate=validate.Length(1, 40))
    displacement_ml = fields.Integer(allow_none=True, validate=validate.Range(1, 20_000))
    tank_l = fields.Decimal(allow_none=True, places=1, validate=STORE)
    fuel_grade = Text(allow_none=True, validate=validate.Length(1, 20))
    battery_kwh = fields.Decimal(allow_none=True, places=1, validate=STORE)
    colour = Text(allow_none=True, validate=validate.Length(1, 20))


class VehicleIn(VehicleFields):
    """A new vehicle; ``terminal_phone`` is the identity of its terminal on the wire."""

    org_id = fields.Integer(required=True)
    odometer_m = fields.Integer(load_default=0, validate=validate.Range(0, 5_000_000_000))
    terminal_phone = Text(validate=validate.Length(max=40))
    management_mode = fields.Enum(ManagementMode, by_value=True)


class VehicleForm(VehicleFields):
    """The page's form for a new vehicle: as ``VehicleIn``, the odometer in kilometres."""

    org_id = fields.Integer(required=True)
    odometer_km = fields.Integer(load_default=0, validate=validate.Range(0, 5_000_000))
    terminal_phone = Text(validate=validate.Length(max=40))
    management_mode = fields.Enum(ManagementMode, by_value=True)

    @post_load
    def metres(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Turn kilometres into metres."""
        data["odometer_m"] = data.pop("odometer_km") * 1000
        return data


class VehiclePatch(VehicleFields):
    """Corrections: any of the facts; ``version`` as read guards against overwriting somebody else's."""

    version = fields.Integer()


class StateIn(StrictSchema):
    """A move to another state with its reason."""

    to = fields.Enum(VehicleState, by_value=True, required=True)
    reason = Text(required=True, validate=validate.Length(1, 500))
    version = fields.Integer()


class DocumentIn(StrictSchema):
    """A paper in force over ``[valid_from, valid_to)``, or the reason why none is needed."""

    kind = fields.Enum(DocumentKind, by_value=True, required=True)
    number = Text(load_default=None, allow_none=True, validate=validate.Length(1, 80))
    issuer = Text(load_default=None, allow_none=True, validate=validate.Length(max=120))
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(load_default=None, allow_none=True)
    exempt_reason = Text(load_default=None, allow_none=True, validate=validate.Length(4, 200))
    fee = fields.Decimal(
        load_default=None, allow_none=True, places=2, validate=validate.Range(Decimal(0), Decimal("9999999.99"))
    )


class DocumentVoidIn(StrictSchema):
    """Why a paper on record is void."""

    reason = Text(required=True, validate=validate.Length(4, 200))


class DocumentOut(StrictSchema):
    """A paper on record."""

    id = fields.Integer()
    vehicle_id = fields.Integer()
    kind = fields.String()
    number = fields.String(allow_none=True)
    issuer = fields.String(allow_none=True)
    valid_from = fields.Date()
    valid_to = fields.Date(allow_none=True)
    exempt_reason = fields.String(allow_none=True)
    fee = fields.Decimal(as_string=True, allow_none=True)
    attachment_id = fields.Integer(allow_none=True)
    void_at = Moment(allow_none=True)
    void_reason = fields.String(allow_none=True)


class TerminalIn(StrictSchema):
    """The terminal to fit; null takes the present one out."""

    phone = Text(required=True, allow_none=True, validate=validate.Length(max=40))


class VehicleOut(StrictSchema):
    """A vehicle as the registry has it."""

    id = fields.Integer()
    org_id = fields.Integer()
    plate = fields.String()
    vin = fields.String()
    category = fields.String()
    body = fields.String()
    energy = fields.String()
    seats = fields.Integer()
    model = fields.String()
    state = fields.String()
    secrecy = fields.String()
    range_km = fields.Integer(allow_none=True)
    odometer_m = fields.Integer()
    registered_on = fields.Date()
    parking_id = fields.Integer(allow_none=True)
    management_mode = fields.String()
    acquired_by = fields.String()
    acquired_on = fields.Date(allow_none=True)
    made_on = fields.Date(allow_none=True)
    domestic = fields.Boolean()
    price_ex_tax = fields.Decimal(as_string=True, allow_none=True)
    purchase_tax = fields.Decimal(as_string=True, allow_none=True)
    engine_no = fields.String(allow_none=True)
    displacement_ml = fields.Integer(allow_none=True)
    tank_l = fields.Decimal(as_string=True, allow_none=True)
    fuel_grade = fields.String(allow_none=True)
    battery_kwh = fields.Decimal(as_string=True, allow_none=True)
    colour = fields.String(allow_none=True)
    created_at = Moment()
    version = fields.Integer()


class VehicleQuery(StrictSchema):
    """Text, filters and page of the list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))
    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in VehicleState]))
    category = fields.String(load_default=None, validate=validate.OneOf([category.value for category in Category]))
    energy = fields.String(load_default=None, validate=validate.OneOf([energy.value for energy in Energy]))
    org_id = fields.Integer(load_default=None)
