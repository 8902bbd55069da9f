"""Filters of the audit log."""

from marshmallow import fields, validate

from fleetapp.kit.schema import StrictSchema, Text


class AuditQuery(StrictSchema):
    """Page, text, subject."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=1_000_000))
    q = Text(load_default="")
    subject_type = Text(load_default="")
    subject_id = Text(load_default="")
