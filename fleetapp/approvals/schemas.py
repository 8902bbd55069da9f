"""What chains and periods look like outside: the same for the API and the forms."""

from typing import Any

from marshmallow import fields, post_load, validate

from fleetapp.approvals import rules
from fleetapp.approvals.rules import Facts, Level
from fleetapp.kit.schema import Moment, StrictSchema, Text


class LevelIn(StrictSchema):
    """A level; ``over_km`` there and back. Without any condition it is always needed."""

    name = Text(required=True, validate=validate.Length(1, 60))
    role = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf([role.value for role in rules.CHAIN_ROLES])
    )
    place = fields.String(load_default="unit", validate=validate.OneOf([place.value for place in rules.Place]))
    user_ids = fields.List(fields.Integer(), load_default=list)
    mode = fields.String(load_default="any", validate=validate.OneOf([mode.value for mode in rules.Mode]))
    deadline_h = fields.Integer(load_default=24, validate=validate.Range(1, 720))
    over_km = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 5_000))
    areas = fields.List(fields.String(validate=validate.OneOf(rules.AREAS)), load_default=list)
    kinds = fields.List(fields.String(validate=validate.OneOf(rules.KINDS)), load_default=list)
    flags = fields.List(fields.String(validate=validate.OneOf([flag.value for flag in rules.Flag])), load_default=list)

    @post_load
    def level(self, data: dict[str, Any], **_: Any) -> Level:
        """Make the value that the rules know."""
        over_km = data.pop("over_km")
        lists: dict[str, Any] = {name: tuple(data.pop(name)) for name in ("user_ids", "areas", "kinds", "flags")}
        return Level(**data, **lists, over_m=None if over_km is None else over_km * 1_000)


class ChainIn(StrictSchema):
    """A new version of an organisation's chain, from a local day on."""

    org_id = fields.Integer(required=True)
    valid_from = fields.Date(required=True)
    note = Text(required=True, validate=validate.Length(1, 300))
    levels = fields.List(fields.Nested(LevelIn), required=True, validate=validate.Length(1, rules.MOST_LEVELS))


class SampleIn(StrictSchema):
    """An order to try a chain with; ``route_km`` there and back."""

    kind = fields.String(load_default="ordinary", validate=validate.OneOf(rules.KINDS))
    route_km = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 5_000))
    area = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(rules.AREAS))
    sample_flags = fields.List(
        fields.String(validate=validate.OneOf([flag.value for flag in rules.Flag])), load_default=list
    )

    @post_load
    def facts(self, data: dict[str, Any], **_: Any) -> Facts:
        """Make the value that the rules know."""
        route_km = data["route_km"]
        return Facts(
            data["kind"], None if route_km is None else route_km * 1_000, data["area"], frozenset(data["sample_flags"])
        )


class DelegationIn(StrictSchema):
    """A period ``[start_at, end_at)``; without a deputy the person is away. Without a delegator it is one's own."""

    org_id = fields.Integer(required=True)
    delegator_id = fields.Integer(load_default=None, allow_none=True)
    delegate_id = fields.Integer(load_default=None, allow_none=True)
    start_at = Moment(required=True)
    end_at = Moment(required=True)


class LevelOut(StrictSchema):
    """A level, metres there and back."""

    position = fields.Integer()
    name = fields.String()
    role = fields.String(allow_none=True)
    place = fields.String()
    user_ids = fields.List(fields.Integer())
    mode = fields.String()
    deadline_h = fields.Integer()
    over_m = fields.Integer(allow_none=True)
    areas = fields.List(fields.String())
    kinds = fields.List(fields.String())
    flags = fields.List(fields.String())


class ChainOut(StrictSchema):
    """A version of a chain."""

    id = fields.Integer()
    org_id = fields.Integer()
    version = fields.Integer()
    valid_from = fields.Date()
    note = fields.String()
    published_by = fields.Integer(allow_none=True)
    published_at = Moment()
    levels = fields.List(fields.Nested(LevelOut))


class DelegationOut(StrictSchema):
    """A period in which somebody stands in, or nobody does."""

    id = fields.Integer()
    org_id = fields.Integer()
    delegator_id = fields.Integer()
    delegate_id = fields.Integer(allow_none=True)
    start_at = Moment(attribute="during.lower")
    end_at = Moment(attribute="during.upper")
    ended_at = Moment(allow_none=True)


class ChainQuery(StrictSchema):
    """Whose chains."""

    org_id = fields.Integer(load_default=None, allow_none=True)


class NothingIn(StrictSchema):
    """No fields."""
