"""What studies are asked with and what they look like outside."""

from decimal import Decimal

from marshmallow import fields, validate

from fleetapp.kit.paging import LARGEST_PAGE, PAGE_SIZE
from fleetapp.kit.schema import Moment, StrictSchema
from fleetapp.lab.rules import StudyKind, StudyState


class StudyIn(StrictSchema):
    """A study to make; days are included at both ends, ``budget`` is CNY a year, shares 0 to 1."""

    kind = fields.Enum(StudyKind, by_value=True, required=True)
    org_id = fields.Integer(required=True)
    start_on = fields.Date(required=True)
    end_on = fields.Date(required=True)
    days = fields.Integer(load_default=10)
    seed = fields.Integer(load_default=1, validate=validate.Range(0, 2**31 - 1))
    share = fields.Decimal(load_default=Decimal("0.98"))
    years = fields.Integer(load_default=5)
    budget = fields.Decimal(load_default=Decimal(8_000_000), places=2)
    bought_share = fields.Decimal(load_default=Decimal("0.30"))


class StudyForm(StrictSchema):
    """The page's form: as ``StudyIn``, shares in percent and the budget in 10,000 CNY."""

    kind = fields.Enum(StudyKind, by_value=True, required=True)
    org_id = fields.Integer(required=True)
    start_on = fields.Date(required=True)
    end_on = fields.Date(required=True)
    days = fields.Integer(load_default=10)
    seed = fields.Integer(load_default=1, validate=validate.Range(0, 2**31 - 1))
    share_percent = fields.Decimal(load_default=Decimal(98))
    years = fields.Integer(load_default=5)
    budget_wan = fields.Decimal(load_default=Decimal(800))
    bought_percent = fields.Decimal(load_default=Decimal(30))


class PageQuery(StrictSchema):
    """One page of studies."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 1_000_000))
    size = fields.Integer(load_default=PAGE_SIZE, validate=validate.Range(1, LARGEST_PAGE))


class StudyOut(StrictSchema):
    """A study; ``digest`` is the SHA-256 of what it was computed from."""

    id = fields.Integer()
    org_id = fields.Integer()
    kind = fields.String(validate=validate.OneOf([kind.value for kind in StudyKind]))
    state = fields.String(validate=validate.OneOf([state.value for state in StudyState]))
    asked = fields.Dict()
    requested_at = Moment()
    done_steps = fields.Integer()
    total_steps = fields.Integer()
    result = fields.Dict(allow_none=True)
    digest = fields.String(allow_none=True)
    failure = fields.Dict(allow_none=True)
    ended_at = Moment(allow_none=True)
