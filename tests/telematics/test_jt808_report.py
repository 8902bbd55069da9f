"""Bodies without a position and commands; the examples are built by hand from the tables of the standard."""

from datetime import UTC, datetime

import pytest

from telematics.protocols import jt808_report as report
from telematics.protocols.jt808_command import CommandError, encode_command, encode_resend
from telematics.protocols.jt808_fields import BodyError

INSERTED = datetime(2024, 5, 20, 1, 2, 3, tzinfo=UTC)
TIME = bytes.fromhex("240520090203")  # GMT+8
DRIVER = b"\x04" + "张三".encode("gbk") + b"L1".ljust(20, b"\0") + b"\x04" + "交通".encode("gbk")


def test_a_driver_card_of_2013_and_2019():
    content = b"\x01" + TIME + b"\x00" + DRIVER + bytes.fromhex("20270131")
    expected = report.DriverCard("in", INSERTED, 0, "张三", "L1", "交通", "2027-01-31")
    assert report.parse_driver_card(content, "2013") == expected
    of_2019 = report.parse_driver_card(content + b"330100".ljust(20, b"\0"), "2019")
    assert (of_2019.name, of_2019.id_card) == ("张三", "330100")
    assert report.parse_driver_card(b"\x02" + TIME, "2013") == report.DriverCard("out", INSERTED)
    assert report.parse_driver_card(b"\x01" + TIME + b"\x03", "2013") == report.DriverCard("in", INSERTED, 3)


def test_a_driver_card_of_2011_has_no_time():
    content = b"\x04" + "张三".encode("gbk") + b"330100".ljust(20, b"\0") + b"Q9".ljust(40, b"\0") + b"\x02AB"
    expected = report.DriverCard("in", None, name="张三", licence="Q9", agency="AB", id_card="330100")
    assert report.parse_driver_card(content, "2013") == expected


@pytest.mark.parametrize(
    "content", [b"", b"\x01", b"\x01" + TIME + b"\x00\xff", b"\x01\x99\x99\x99\x99\x99\x99", b"\xff" * 9]
)
def test_a_driver_card_that_is_none(content):
    with pytest.raises(BodyError):
        report.parse_driver_card(content, "2013")


@pytest.mark.parametrize(("version", "widths"), [("2013", (5, 20, 7)), ("2019", (5, 30, 30)), ("2019", (11, 30, 30))])
def test_attributes_in_every_layout(version, widths):
    texts = b"".join(text.ljust(width, b"\0") for text, width in zip((b"MAKER", b"MODEL", b"ID7"), widths, strict=True))
    content = b"\x00\x07" + texts + bytes.fromhex("89860012345678901234") + b"\x02H1\x03F22\x03\x20"
    assert report.parse_attributes(content, version) == report.Attributes(
        7, "MAKER", "MODEL", "ID7", "89860012345678901234", "H1", "F22", 3, 0x20
    )
    with pytest.raises(BodyError, match="fits no layout"):
        report.parse_attributes(content[:-1], version)


def test_parameters_are_written_and_read_alike():
    given = {"0029": 30, "0013": "10.0.0.1", "0081": 33, "0084": 1, "f001": {"hex": "00ff"}}
    command = encode_command("set_parameters", {"parameters": given}, "2013")
    assert command.msg_id == 0x8103
    assert command.body[:10] == bytes.fromhex("05 00000029 04 0000001e")
    assert report.parse_parameters(b"\x00\x07" + command.body, "2013") == report.Parameters(7, 5, given)
    with pytest.raises(BodyError, match="runs over"):
        report.parse_parameters(b"\x00\x07\x01" + command.body[1:-1], "2013")


@pytest.mark.parametrize(
    ("kind", "given", "version", "msg_id", "body"),
    [
        ("query_parameters", {}, "2013", 0x8104, ""),
        ("query_parameters", {"ids": ["0029", "0013"]}, "2013", 0x8106, "02 00000029 00000013"),
        ("query_attributes", {}, "2013", 0x8107, ""),
        ("query_position", {}, "2019", 0x8201, ""),
        ("track", {"interval_s": 5, "duration_s": 600}, "2013", 0x8202, "0005 00000258"),
        ("track", {"interval_s": 0}, "2013", 0x8202, "0000"),
        ("text", {"text": "停车", "urgent": True, "speak": True}, "2013", 0x8300, "0d cda3b3b5"),
        ("text", {"text": "a", "display": False}, "2019", 0x8300, "00 01 61"),
        ("control", {"lock": True}, "2013", 0x8500, "01"),
        ("control", {"lock": False}, "2019", 0x8500, "0001 0001 00"),
    ],
)
def test_commands_are_encoded_as_the_tables_say(kind, given, version, msg_id, body):
    command = encode_command(kind, given, version)
    assert (command.msg_id, command.body) == (msg_id, bytes.fromhex(body))


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("explode", {}),
        ("text", {}),
        ("text", {"text": ""}),
        ("text", {"text": "x" * 1025}),
        ("text", {"text": 5}),
        ("track", {"interval_s": 70_000, "duration_s": 1}),
        ("track", {"interval_s": 5}),
        ("control", {}),
        ("set_parameters", {"parameters": {}}),
        ("set_parameters", {"parameters": {"0013": "x" * 256}}),
        ("set_parameters", {"parameters": {"zz": 1}}),
        ("set_parameters", {"parameters": [1]}),
    ],
)
def test_unusable_parameters_are_named(kind, given):
    with pytest.raises(CommandError):
        encode_command(kind, given, "2013")


def test_resend_requests_of_both_editions_read_back():
    assert encode_resend(0x1234, [2, 5], "2013") == bytes.fromhex("1234 02 0002 0005")
    assert encode_resend(0x1234, [2, 5], "2019") == bytes.fromhex("1234 0002 0002 0005")
    for version in ("2013", "2019"):
        assert report.parse_resend(encode_resend(9, [2, 5], version), version) == report.Resend(9, (2, 5))
    with pytest.raises(BodyError):
        report.parse_resend(b"\x00\x01\x05\x00", "2019")


def test_passed_through_data_stays_as_it_came():
    assert report.parse_transparent(b"\x41abc", "2013") == report.Transparent(0x41, "616263")
    assert report.parse_compressed(b"\x00\x00\x00\x02\x1f\x8b", "2013") == report.Compressed(2, "1f8b")
