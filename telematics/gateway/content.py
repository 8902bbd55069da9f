"""What a message of an authenticated terminal brings for the store."""

from dataclasses import asdict
from datetime import datetime

from telematics import store
from telematics.gateway.directory import Known
from telematics.gateway.writer import Incoming
from telematics.protocols import jt808_body as body
from telematics.protocols import jt808_report as report
from telematics.protocols.jt808 import Message
from telematics.rows import Quarantined
from telematics.terminal_store import Event, Kind, Properties

POSITIONS = frozenset({body.LOCATION, body.BATCH, body.LOCATION_ANSWER, body.VEHICLE_CONTROL_ANSWER})
EVENTS: dict[int, Kind] = {
    report.DRIVER_CARD: "driver_card",
    report.PARAMETERS: "parameters",
    report.TRANSPARENT: "pass_through",
    report.COMPRESSED: "compressed",
}
STORED = POSITIONS | EVENTS.keys() | {report.ATTRIBUTES}
"""Messages that are answered only when what they brought is durable."""


def incoming(terminal: Known, message: Message, content: body.Body, *, now: datetime, peer: str) -> Incoming:
    """Rows of a message of ``STORED`` whose body is ``content``; they are stored together or not at all."""
    if isinstance(content, report.Attributes):
        return Incoming((), properties=[Properties(terminal.id, now, asdict(content))])
    if message.msg_id in EVENTS:
        return Incoming((), events=[_event(terminal, message, content, now)])
    return _positions(terminal, message, content, now=now, peer=peer)


def _event(terminal: Known, message: Message, content: body.Body, now: datetime) -> Event:
    values = asdict(content)
    at = values.pop("at", None)
    # An event with a time of its own is known by its content; any other may be repeated in earnest, with a new serial.
    identity = message.body if at else message.serial.to_bytes(2) + message.body
    return Event(terminal.id, at or now, now, EVENTS[message.msg_id], values, identity, message.raw)


def _positions(terminal: Known, message: Message, content: body.Body, *, now: datetime, peer: str) -> Incoming:
    bad: list[str] = []
    if isinstance(content, body.Batch):
        fixes = zip(content.fixes, content.bodies, strict=True)
        bad += content.skipped
        if content.declared > (held := len(content.fixes) + len(content.skipped)):
            bad.append(f"{content.declared} positions declared, {held} sent")
    else:
        assert isinstance(content, body.Location)
        fixes = zip((content.fix,), (message.raw,), strict=True)
    rows, quarantined = store.split(
        ((terminal.id, fix, raw) for fix, raw in fixes), now, peer=peer, phone=terminal.phone
    )
    if bad:
        quarantined.append(Quarantined(now, peer, terminal.phone, "; ".join(bad), message.raw))
    return Incoming(rows, quarantined)
