"""What the board is asked."""

from typing import Any

from marshmallow import fields, post_load, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.planning.rules import MOST_ORDERS
from fleetapp.planning.schemas import DayQuery, PlanIn

NAMES = validate.Length(max=300)
MOST_ROWS = 60
"""Rows of a page: with more the time line of the page takes long to appear and no longer scrolls smoothly."""


class BoardQuery(DayQuery):
    """Which local days, from which on, which vehicles the board shows, and what they stand under."""

    days = fields.Integer(load_default=1, validate=validate.Range(1, 3))
    size = fields.Integer(load_default=MOST_ROWS, validate=validate.Range(20, MOST_ROWS))
    by = fields.String(load_default="org", validate=validate.OneOf(["org", "pool", "yard"]))


class BoardPlanIn(PlanIn):
    """What to plan from now on, and what is different in a what-if: plates, drivers and an order like another one."""

    time_limit_s = fields.Integer(load_default=20, validate=validate.Range(1, 60))
    vehicles_out = Text(load_default="", validate=NAMES)
    drivers_out = Text(load_default="", validate=NAMES)
    extra_number = Text(load_default="", validate=validate.Length(max=40))
    extra_at = Moment(load_default=None, allow_none=True)

    @post_load
    def split(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return names as lists: separated by blanks or commas, Chinese ones too."""
        for name in ("vehicles_out", "drivers_out"):
            data[name] = [
                one for one in data[name].replace("，", " ").replace("、", " ").replace(",", " ").split() if one
            ]
        return data


class AcceptIn(StrictSchema):
    """Which orders of a run to take over: at most all that waited and all that were given."""

    order_ids = fields.List(fields.Integer(), required=True, validate=validate.Length(1, 2 * MOST_ORDERS))


class DecisionIn(StrictSchema):
    """A decision on leave with a word about it."""

    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=200))


class HandIn(StrictSchema):
    """What to do about an exception of an assignment; ``seen`` is the assignment that the dispatcher saw."""

    seen = fields.Integer(required=True)


class SubstituteIn(HandIn):
    """Which vehicle takes over, with which driver, why; whether the old vehicle is to be repaired."""

    vehicle_id = fields.Integer(required=True)
    driver_id = fields.Integer(load_default=None, allow_none=True)
    reason = Text(required=True, validate=validate.Length(min=2, max=200))
    repair = fields.Boolean(load_default=False)
