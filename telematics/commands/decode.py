"""Read JT/T 808 frames as hex, one a line, and print one JSON object a line.

Input: wire form with both 7e flags; blanks, commas, 0x and upper case are tolerated, empty lines are skipped. A line
may hold several frames glued together: each gives its own object. If no frame of a line can be read, the line gives
one object with "ok": false and the reason. "line" is the line number.

Output keys, always present: line, ok, error, msg_id, version ("2013" stands for 2011 too: one header), phone, serial,
locations. Where they apply: kind, protocol_version, body (fields of a registration and the like), body_hex (content
not decoded), batch, skipped (batch items that gave no position), sub_package ([total, index]; the piece that completes
a message carries the content of all, with "assembled": true).

Times are UTC. The exit status is 0 whenever the input could be read, whatever the frames hold.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from telematics.model import Fix
from telematics.protocols.jt808 import FLAG, BadPiece, FrameSplitter, Message, Reassembly
from telematics.protocols.jt808_body import Batch, Location, Plain, parse_body
from telematics.protocols.jt808_fields import BodyError

NOISE = re.compile(r"0x|[\s,\ufeff]", re.IGNORECASE)
KINDS = {
    0x0001: "answer",
    0x0002: "heartbeat",
    0x0003: "logout",
    0x0004: "time query",
    0x0005: "resend request",
    0x0100: "register",
    0x0102: "authenticate",
    0x0104: "parameters",
    0x0107: "attributes",
    0x0200: "location",
    0x0201: "location answer",
    0x0500: "vehicle control answer",
    0x0702: "driver card",
    0x0704: "batch",
    0x0900: "pass-through",
    0x0901: "compressed",
    0x8001: "platform answer",
    0x8004: "server time",
    0x8100: "register answer",
}
UNREAD: dict[str, Any] = {
    "ok": False,
    "error": None,
    "msg_id": None,
    "version": None,
    "phone": None,
    "serial": None,
    "locations": [],
}
NO_CLOCK = datetime(2000, 1, 1, tzinfo=UTC)  # pieces of one input never time out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="file of hex lines; standard input if left out")


def run(args: argparse.Namespace) -> int:
    """Decode FILE or standard input; 2 if it cannot be read."""
    if args.file in (None, "-"):
        return _print_all(sys.stdin.buffer)
    try:
        with Path(args.file).open("rb") as lines:
            return _print_all(lines)
    except OSError as error:
        print(f"cannot read {args.file}: {error.strerror}", file=sys.stderr)
        return 2


def _print_all(lines: BinaryIO) -> int:
    try:
        for entry in decode_lines(line.decode("utf-8", errors="replace") for line in lines):
            print(json.dumps(entry, ensure_ascii=False), flush=True)
    except BrokenPipeError:
        # The reader had enough; keep the interpreter from complaining about it when it closes standard output.
        sys.stdout = None
    return 0


def decode_lines(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """JSON-able objects of hex lines, in order; never raises for what a line holds."""
    reassembly = Reassembly()
    for number, line in enumerate(lines, start=1):
        digits = NOISE.sub("", line)
        if digits:
            for entry in _decode_line(digits, reassembly):
                yield {"line": number, **entry}


def _decode_line(digits: str, reassembly: Reassembly) -> list[dict[str, Any]]:
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        return [UNREAD | {"error": "not hexadecimal: two digits 0-9 a-f for each byte are needed"}]
    splitter = FrameSplitter()
    pieces = splitter.feed(data)
    if splitter.pending:
        missing = "opening and closing 7e flags are" if FLAG not in data else "closing 7e flag is"
        pieces.append(BadPiece(splitter.pending, f"{missing} missing"))
    if not pieces:
        return [UNREAD | {"error": "no frame between the 7e flags"}]
    entries = [_unread(piece) if isinstance(piece, BadPiece) else _entry(piece, reassembly) for piece in pieces]
    # A flag inside a damaged frame cuts it in several bad pieces: still one damaged frame.
    return entries[:1] if all(isinstance(piece, BadPiece) for piece in pieces) else entries


def _unread(piece: BadPiece) -> dict[str, Any]:
    return UNREAD | {"error": piece.reason}


def _entry(message: Message, reassembly: Reassembly) -> dict[str, Any]:
    entry = UNREAD | {
        "msg_id": f"{message.msg_id:04x}",
        "version": message.version,
        "phone": message.phone,
        "serial": message.serial,
        "kind": KINDS.get(message.msg_id, "unknown"),
    }
    if message.version == "2019":
        entry["protocol_version"] = message.protocol_version
    if message.sub_package and not message.encrypted:
        entry["sub_package"] = list(message.sub_package)
        whole = reassembly.add(message, now=NO_CLOCK)
        if whole is None:
            return entry | {"ok": True, "body_hex": message.body.hex()}
        entry["assembled"], message = True, whole
    try:
        return entry | {"ok": True} | _content(message)
    except BodyError as error:
        return entry | {"error": str(error), "body_hex": message.body.hex()}


def _content(message: Message) -> dict[str, Any]:
    body = parse_body(message)
    if isinstance(body, Location):
        serial = {} if body.serial is None else {"body": {"serial": body.serial}}
        return {"locations": [_location(body.fix)], **serial}
    if isinstance(body, Batch):
        if body.skipped and not body.fixes:
            raise BodyError(f"no position of the batch can be read: {'; '.join(body.skipped)}")
        return {
            "locations": [_location(fix) for fix in body.fixes],
            "batch": {"declared": body.declared, "blind": body.blind},
            "skipped": list(body.skipped),
        }
    if isinstance(body, Plain):
        return {"body_hex": message.body.hex()} if message.body else {}
    return {
        "body": {name: _utc(value) if isinstance(value, datetime) else value for name, value in asdict(body).items()}
    }


def _location(fix: Fix) -> dict[str, Any]:
    return {
        "lat": fix.lat,
        "lon": fix.lon,
        "at": _utc(fix.at),
        "speed_kmh": fix.speed_kmh,
        "direction_deg": fix.direction_deg,
        "altitude_m": fix.altitude_m,
        "alarm": fix.alarm,
        "status": fix.status,
        "acc": fix.acc,
        "fixed": fix.fixed,
        "items": fix.items,
    }


def _utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
