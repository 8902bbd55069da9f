"""What packages and requests look like outside."""

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text


class ReasonIn(StrictSchema):
    """Why a package is made or asked for; it goes into the audit log."""

    reason = Text(required=True, validate=validate.Length(max=200))


class DecisionIn(StrictSchema):
    """Consent, or refusal with its reason."""

    agreed = fields.Boolean(required=True)
    note = Text(load_default="", validate=validate.Length(max=500))


class PageQuery(StrictSchema):
    """Which page of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))


class RequestOut(StrictSchema):
    """A request for the package of a restricted vehicle."""

    id = fields.Integer()
    finding = fields.String(attribute="finding.number")
    finding_id = fields.Integer()
    reason = fields.String()
    state = fields.String()
    requested_by = fields.Integer()
    requested_at = Moment()
    decided_by = fields.Integer(allow_none=True)
    decided_at = Moment(allow_none=True)
    note = fields.String(allow_none=True)
    expires_at = Moment(allow_none=True)
