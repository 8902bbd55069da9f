"""What sign-in, accounts and organisations look like outside."""

from marshmallow import fields, validate

from fleetapp.kit.actor import Role
from fleetapp.kit.schema import Moment, StrictSchema, Text


class SignInForm(StrictSchema):
    """Username and password; ``next`` is the page to go on to."""

    username = Text(required=True, validate=validate.Length(1, 64))
    password = fields.String(required=True, validate=validate.Length(1, 200), load_only=True)
    next = Text()


class TokenRequest(StrictSchema):
    """Asks for a bearer token."""

    username = Text(required=True, validate=validate.Length(1, 64))
    password = fields.String(required=True, validate=validate.Length(1, 200), load_only=True)
    code = Text(load_default="", validate=validate.Length(max=40))


class TokenOut(StrictSchema):
    """A bearer token and how long it is good for."""

    token = fields.String()
    expires_in_s = fields.Integer()


class CodeForm(StrictSchema):
    """A code of the second factor; ``next`` is the page to go on to."""

    code = Text(required=True, validate=validate.Length(6, 40))
    next = Text()


class PasswordForm(StrictSchema):
    """The own password, old and new."""

    old = fields.String(required=True, validate=validate.Length(1, 200), load_only=True)
    new = fields.String(required=True, validate=validate.Length(1, 200), load_only=True)


class RenewForm(StrictSchema):
    """A password in the place of a one-time secret; ``next`` is the page to go on to."""

    new = fields.String(required=True, validate=validate.Length(1, 200), load_only=True)
    next = Text()


class GrantForm(StrictSchema):
    """A role to give, where and why."""

    role = fields.String(
        required=True, validate=validate.OneOf([role.value for role in Role if role is not Role.SYSTEM])
    )
    org_id = fields.Integer(required=True)
    reason = Text(required=True, validate=validate.Length(4, 200))


class ReasonForm(StrictSchema):
    """Why."""

    reason = Text(required=True, validate=validate.Length(4, 200))


class OrgOut(StrictSchema):
    """An organisation."""

    id = fields.Integer()
    parent_id = fields.Integer(allow_none=True)
    code = fields.String()
    kind = fields.String()
    name_zh = fields.String()
    name_en = fields.String()
    adcode = fields.String(allow_none=True)


class GrantOut(StrictSchema):
    """A role and where."""

    id = fields.Integer()
    role = fields.String()
    org_id = fields.Integer()


class MeOut(StrictSchema):
    """Who the token belongs to."""

    user_id = fields.Integer()
    name = fields.String()
    org_id = fields.Integer()
    grants = fields.List(fields.Nested(GrantOut))


class GrantIn(StrictSchema):
    """A role to give at an organisation."""

    role = fields.String(
        required=True, validate=validate.OneOf([role.value for role in Role if role is not Role.SYSTEM])
    )
    org_id = fields.Integer(required=True, strict=False)


class UserIn(StrictSchema):
    """A new account."""

    username = Text(required=True, validate=validate.Length(2, 64))
    name_zh = Text(required=True, validate=validate.Length(1, 60))
    name_en = Text(required=True, validate=validate.Length(1, 60))
    org_id = fields.Integer(required=True)
    phone = Text(validate=validate.Length(max=20))
    password = fields.String(required=True, load_only=True, validate=validate.Length(1, 200))
    grants = fields.List(fields.Nested(GrantIn), load_default=list)


class UserForm(StrictSchema):
    """The page's form for a new account; its roles are another administrator's to give."""

    username = Text(required=True, validate=validate.Length(2, 64))
    name_zh = Text(required=True, validate=validate.Length(1, 60))
    name_en = Text(required=True, validate=validate.Length(1, 60))
    org_id = fields.Integer(required=True)
    password = fields.String(required=True, validate=validate.Length(1, 200))


class UserOut(StrictSchema):
    """An account."""

    id = fields.Integer()
    username = fields.String()
    name_zh = fields.String()
    name_en = fields.String()
    org_id = fields.Integer()
    closed_at = Moment(allow_none=True)
    last_sign_in_at = Moment(allow_none=True)
    grants = fields.List(fields.Nested(GrantOut))


class PageQuery(StrictSchema):
    """Which page of a list, and a search text."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="")
