"""Download of a file; every slice lists its own."""

from flask import Blueprint, Response

from fleetapp.attachments import queries
from fleetapp.attachments.rules import SHOWN
from fleetapp.kit import permits
from fleetapp.web.downloads import named
from fleetapp.web.request import actor, transaction

blueprint = Blueprint("attachments", __name__)


@blueprint.get("/attachments/<int:attachment_id>")
def show(attachment_id: int) -> Response:
    """Send a file: pictures and PDF in place, others as a download; nothing in it can run as a page of ours."""
    permits.require("attachments.read", actor())
    with transaction() as s:
        found, content = queries.get_content(s, attachment_id=attachment_id, actor=actor())
        response = named(Response(content, mimetype=found.media_type), found.name, inline=found.media_type in SHOWN)
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        return response
