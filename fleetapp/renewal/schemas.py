"""What plans look like outside."""

from decimal import Decimal

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema

SHARE = validate.Range(Decimal(0), Decimal(1))


class PlanIn(StrictSchema):
    """A plan to make; ``budget`` is CNY a year, shares 0 to 1."""

    org_id = fields.Integer(required=True)
    years = fields.Integer(load_default=5, validate=validate.Range(1, 10))
    budget = fields.Decimal(required=True, places=2, validate=validate.Range(Decimal(0), Decimal("99999999999.99")))
    stock_share = fields.Decimal(required=True, validate=SHARE)
    bought_share = fields.Decimal(required=True, validate=SHARE)
    charging_places = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 1000))


class PlanForm(StrictSchema):
    """The page's form: as ``PlanIn``, the budget in 10,000 CNY and shares in percent."""

    org_id = fields.Integer(required=True)
    years = fields.Integer(load_default=5, validate=validate.Range(1, 10))
    budget_wan = fields.Decimal(required=True, validate=validate.Range(Decimal(0), Decimal(9999999)))
    stock_percent = fields.Decimal(required=True, validate=validate.Range(Decimal(0), Decimal(100)))
    bought_percent = fields.Decimal(required=True, validate=validate.Range(Decimal(0), Decimal(100)))
    charging_places = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 1000))


class PathQuery(StrictSchema):
    """Whose path."""

    org_id = fields.Integer(load_default=None, allow_none=True)


class ShareOut(StrictSchema):
    """Shares of one year."""

    year = fields.Integer()
    stock = fields.Integer()
    stock_nev = fields.Integer()
    stock_share = fields.Float(allow_none=True)
    bought = fields.Integer()
    bought_nev = fields.Integer()
    bought_share = fields.Float(allow_none=True)


class RunOut(StrictSchema):
    """A plan."""

    id = fields.Integer()
    org_id = fields.Integer()
    requested_at = Moment()
    first_year = fields.Integer()
    years = fields.Integer()
    asked = fields.Dict()
    result = fields.Dict()
    gap = fields.Decimal(as_string=True)
