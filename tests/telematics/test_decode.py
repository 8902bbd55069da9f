"""``python -m telematics decode``: hex lines in, JSON lines out."""

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.commands.decode import add_arguments, decode_lines, run
from telematics.model import Fix
from telematics.protocols.jt808 import encode_frame, header_form
from telematics.protocols.jt808_body import (
    Authentication,
    encode_answer,
    encode_authentication,
    encode_batch,
    encode_location,
    encode_server_time,
)

ROOT = Path(__file__).parents[2]
LIKE = header_form("13812345678")
FIX = Fix(
    at=datetime(2026, 3, 2, 1, 30, 5, tzinfo=UTC),
    lat=30.274085,
    lon=120.15507,
    speed_kmh=45.6,
    direction_deg=271,
    altitude_m=12,
    acc=True,
    odometer_m=941_500,
    items={"satellites": 12},
)
LOCATION = encode_frame(0x0200, encode_location(FIX), like=LIKE, serial=7).hex()
HEARTBEAT = encode_frame(0x0002, b"", like=LIKE, serial=8).hex()
ALWAYS = {"line", "ok", "error", "msg_id", "version", "phone", "serial", "locations"}


def decode(*lines: str) -> list[dict]:
    return list(decode_lines(lines))


def decode_one(line: str) -> dict:
    (entry,) = decode(line)
    return entry


def test_location_frame_gives_the_documented_object():
    assert decode_one(LOCATION) == {
        "line": 1,
        "ok": True,
        "error": None,
        "msg_id": "0200",
        "version": "2013",
        "phone": "13812345678",
        "serial": 7,
        "kind": "location",
        "locations": [
            {
                "lat": 30.274085,
                "lon": 120.15507,
                "at": "2026-03-02T01:30:05Z",
                "speed_kmh": 45.6,
                "direction_deg": 271,
                "altitude_m": 12,
                "alarm": 0,
                "status": 3,
                "acc": True,
                "fixed": True,
                "items": {"odometer_km": 941.5, "satellites": 12},
            }
        ],
    }


@pytest.mark.parametrize(
    "line",
    [
        LOCATION.upper(),
        "0x" + LOCATION,
        " ".join(LOCATION[i : i + 2] for i in range(0, len(LOCATION), 2)),
        ", ".join("0X" + LOCATION[i : i + 2] for i in range(0, len(LOCATION), 2)),
        f"\ufeff  {LOCATION}\r\n",
    ],
)
def test_hex_may_be_written_in_any_usual_way(line):
    assert decode_one(line) == decode_one(LOCATION)


def test_empty_lines_are_skipped_and_a_bad_line_does_not_stop_the_next():
    entries = decode("", "zz", "  ", "7e0102", HEARTBEAT)
    assert [(entry["line"], entry["ok"]) for entry in entries] == [(2, False), (4, False), (5, True)]
    assert all(entry.keys() >= ALWAYS for entry in entries)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("zz", "not hexadecimal"),
        ("7e0", "not hexadecimal"),
        ("00", "opening and closing 7e flags are missing"),
        (LOCATION[2:-2], "opening and closing 7e flags are missing"),
        (LOCATION[:-2], "closing 7e flag is missing"),
        ("7e", "no frame between the 7e flags"),
        ("7e7e", "no frame between the 7e flags"),
        (LOCATION[:-4] + "007e", "checksum"),
        ("7e0200007e01007e", "too short"),  # a flag inside a damaged frame does not make it two
    ],
)
def test_frame_that_cannot_be_read_gives_one_object_with_the_reason(line, reason):
    entry = decode_one(line)
    assert (entry["ok"], entry["locations"], entry["msg_id"]) == (False, [], None)
    assert reason in entry["error"]


def test_glued_frames_are_decoded_one_by_one():
    entries = decode(LOCATION + HEARTBEAT + "ff" + LOCATION)
    assert [(entry["line"], entry["ok"], entry["msg_id"]) for entry in entries] == [
        (1, True, "0200"),
        (1, True, "0002"),
        (1, False, None),
        (1, True, "0200"),
    ]


def test_impossible_time_is_reported_with_the_header():
    body = encode_location(FIX)[:22] + bytes(6)
    entry = decode_one(encode_frame(0x0200, body, like=LIKE, serial=9).hex())
    assert (entry["ok"], entry["msg_id"], entry["phone"], entry["serial"]) == (False, "0200", "13812345678", 9)
    assert entry["error"] == "time field 000000000000 is not a date and time"
    assert entry["body_hex"] == body.hex()


def test_encrypted_frame_is_refused_clearly():
    entry = decode_one("7e0801040500123456789002de001a000221757e")
    assert (entry["ok"], entry["locations"]) == (False, [])
    assert "encrypted" in entry["error"]


def test_unknown_message_is_fine_and_keeps_its_body():
    entry = decode_one(encode_frame(0x0F01, b"\x01\x02", like=LIKE, serial=1).hex())
    assert (entry["ok"], entry["kind"], entry["locations"], entry["body_hex"]) == (True, "unknown", [], "0102")


def test_batch_gives_every_position_and_counts_the_rest():
    body = encode_batch([FIX, FIX], blind=True) + b"\0\5short"
    entry = decode_one(encode_frame(0x0704, body, like=LIKE, serial=1).hex())
    assert (entry["ok"], len(entry["locations"]), entry["batch"]) == (True, 2, {"declared": 2, "blind": True})
    assert len(entry["skipped"]) == 1


def test_batch_without_any_position_is_an_error():
    entry = decode_one(encode_frame(0x0704, b"\0\1\0\0\5short", like=LIKE, serial=1).hex())
    assert (entry["ok"], "no position of the batch" in entry["error"]) == (False, True)


def test_other_bodies_are_shown_by_name():
    like = header_form("1", "2019")
    authentication = encode_authentication(Authentication("code", "123456789012345", "v1"), "2019")
    shown = [
        decode_one(encode_frame(msg_id, body, like=like, serial=1).hex())
        for msg_id, body in [
            (0x0102, authentication),
            (0x8001, encode_answer(serial=5, msg_id=0x0200, result=0)),
            (0x8004, encode_server_time(FIX.at)),
            (0x0201, b"\0\5" + encode_location(FIX)),
        ]
    ]
    assert [entry["body"] for entry in shown] == [
        {"code": "code", "imei": "123456789012345", "software": "v1"},
        {"serial": 5, "msg_id": 0x0200, "result": 0},
        {"at": "2026-03-02T01:30:05Z"},
        {"serial": 5},
    ]
    assert {(entry["version"], entry["protocol_version"]) for entry in shown} == {("2019", 1)}


def test_sub_packages_are_joined_over_lines():
    body = encode_batch([FIX])
    pieces = []
    for index, part in enumerate((body[:20], body[20:]), start=1):
        data = bytes.fromhex(f"0704{0x2000 | len(part):04x}013812345678{index:04x}0002{index:04x}") + part
        check = 0
        for byte in data:
            check ^= byte
        pieces.append(("7e" + (data + bytes([check])).hex() + "7e").lower())
    assert all("7e" not in piece[2:-2] or "7d" not in piece for piece in pieces)
    first, second = decode(*pieces)
    assert (first["ok"], first["sub_package"], first["locations"]) == (True, [2, 1], [])
    assert (second["ok"], second["sub_package"], second["assembled"]) == (True, [2, 2], True)
    assert [place["lat"] for place in second["locations"]] == [FIX.lat]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40) | st.binary(max_size=60).map(bytes.hex), max_size=5))
def test_no_line_raises_and_every_line_with_content_is_answered(lines):
    entries = decode(*lines)
    assert {entry["line"] for entry in entries} >= {
        number
        for number, line in enumerate(lines, start=1)
        if any(sign in "0123456789abcdef" for sign in line.strip("0xX ,"))
    }
    json.dumps(entries, allow_nan=False)


# -- as a program


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_file_argument_is_read(tmp_path, capsys):
    path = tmp_path / "frames.hex"
    path.write_bytes(b"\xef\xbb\xbf" + LOCATION.encode() + b"\r\n\xff\xfe\n")
    assert run(parsed(str(path))) == 0
    assert [json.loads(line)["ok"] for line in capsys.readouterr().out.splitlines()] == [True, False]


def test_missing_file_is_one_plain_sentence(tmp_path, capsys):
    assert run(parsed(str(tmp_path / "none.hex"))) == 2
    assert capsys.readouterr().err == f"cannot read {tmp_path / 'none.hex'}: No such file or directory\n"


def test_program_answers_line_by_line():
    """The answer to one line comes before the next line is sent."""
    program = subprocess.Popen(
        [sys.executable, "-m", "telematics", "decode"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        for line, expected in ((LOCATION, True), ("zz", False), (HEARTBEAT, True)):
            program.stdin.write(line + "\n")
            program.stdin.flush()
            answer = program.stdout.readline()
            assert answer, program.stderr.read()
            assert json.loads(answer)["ok"] is expected
        assert program.communicate() == ("", "")
    assert program.returncode == 0


def test_reports_and_resend_requests_are_decoded():
    card = b"\x02" + bytes.fromhex("240520090203")
    frames = [encode_frame(msg_id, content, like=LIKE, serial=1).hex() for msg_id, content in (
        (0x0702, card), (0x0900, b"\x41ab"), (0x0104, bytes.fromhex("0007 01 00000029 04 0000001e")),
        (0x0005, bytes.fromhex("0009 01 0002")), (0x0107, b"\x00"),
    )]  # fmt: skip
    driver, passed, parameters, resend, attributes = decode(*frames)
    assert (driver["kind"], driver["body"]["status"], driver["body"]["at"]) == (
        "driver card",
        "out",
        "2024-05-20T01:02:03Z",
    )
    assert (passed["kind"], passed["body"]) == ("pass-through", {"type": 0x41, "hex": "6162"})
    assert parameters["body"] == {"serial": 7, "declared": 1, "parameters": {"0029": 30}}
    assert json.dumps(resend["body"]) == '{"serial": 9, "indexes": [2]}'
    assert (attributes["ok"], attributes["body_hex"]) == (False, "00")
