"""What notices look like outside; shared by the API and the pages."""

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.notices.rules import ChannelName, DeliveryState


class NoticeQuery(StrictSchema):
    """Which of one's own notices."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))
    unread = fields.Boolean(load_default=False)


class DeliveryQuery(StrictSchema):
    """Filters and page of the list of deliveries."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))
    q = Text(load_default="", validate=validate.Length(max=100))
    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in DeliveryState]))
    channel = fields.String(load_default=None, validate=validate.OneOf([channel.value for channel in ChannelName]))


class CareIn(StrictSchema):
    """Why a delivery is tried again or kept back."""

    reason = Text(required=True, validate=validate.Length(2, 300))


class NoticeOut(StrictSchema):
    """A notice with its words in the reader's language."""

    id = fields.Integer()
    code = fields.String()
    text = fields.String()
    link = fields.String()
    urgent = fields.Boolean()
    created_at = Moment()
    read_at = Moment(allow_none=True)


class DeliveryOut(StrictSchema):
    """A delivery; whom it is for by account, nothing of what it says."""

    id = fields.Integer()
    user_id = fields.Integer()
    code = fields.String()
    channel = fields.String()
    urgent = fields.Boolean()
    state = fields.String()
    attempts = fields.Integer()
    next_at = Moment()
    last_error = fields.String(allow_none=True)
    provider_id = fields.String(allow_none=True)
    created_at = Moment()
    sent_at = Moment(allow_none=True)
