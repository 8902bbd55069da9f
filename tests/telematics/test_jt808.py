"""Frames, headers, splitting and joining; every rule has a frame made by hand."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.protocols.jt808 import (
    BODY_MAX_BYTES,
    PIECE_MAX_BYTES,
    BadPiece,
    FrameError,
    FrameSplitter,
    Message,
    Reassembly,
    decode_frame,
    encode_frame,
    escape,
    header_form,
    unescape,
)

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HEARTBEAT = bytes.fromhex("7e0002000001234567890100008a7e")
PHONE_2013, PHONE_2019 = header_form("13812345678"), header_form("13812345678", "2019")

phones = st.text("0123456789", min_size=1, max_size=12)
versions = st.sampled_from(["2013", "2019"])
# Many 7d, 7e, 01 and 02, so that escapes meet.
nasty = st.lists(st.sampled_from(b"\x7d\x7e\x01\x02\x00\xff"), max_size=60).map(bytes)
bodies = nasty | st.binary(max_size=BODY_MAX_BYTES)


def with_check(content: str) -> bytes:
    """Whole frame around a header and body given as hex, check byte computed plainly."""
    data = bytes.fromhex(content)
    check = 0
    for byte in data:
        check ^= byte
    return b"\x7e" + escape(data + bytes([check])) + b"\x7e"


def sub_package(body: bytes, *, total: int, index: int, serial: int = 0, phone: str = "012345678901") -> Message:
    content = f"0704{0x2000 | len(body):04x}{phone}{serial:04x}{total:04x}{index:04x}{body.hex()}"
    return decode_frame(with_check(content))


# -- escape


def test_escape_gives_the_example_of_the_standard():
    assert escape(bytes.fromhex("307e087d55")) == bytes.fromhex("307d02087d0155")


@settings(max_examples=60, deadline=None)
@given(bodies)
def test_unescape_undoes_escape_and_no_flag_is_left_inside(data):
    assert b"\x7e" not in escape(data)
    assert unescape(escape(data)) == data


@pytest.mark.parametrize("data", ["7d7d", "7d03", "017d7d02", "7d007d01"])
def test_7d_before_anything_but_01_or_02_is_refused(data):
    with pytest.raises(FrameError, match="7d is not followed by 01 or 02"):
        unescape(bytes.fromhex(data))


def test_check_byte_that_was_not_escaped_is_accepted_only_if_it_is_right():
    assert decode_frame(bytes.fromhex("7e0002000000000000067900007d7e")).phone == "679"
    with pytest.raises(FrameError, match="checksum is 7d, computed 7c"):
        decode_frame(bytes.fromhex("7e0002000000000000067900017d7e"))


# -- frame and header


def test_heartbeat_of_2013_is_decoded():
    message = decode_frame(HEARTBEAT)
    assert message == Message(
        msg_id=0x0002,
        version="2013",
        protocol_version=0,
        phone="12345678901",
        phone_raw=bytes.fromhex("012345678901"),
        serial=0,
        body=b"",
        raw=HEARTBEAT,
    )


def test_header_of_2019_has_a_protocol_version_and_a_phone_of_ten_bytes():
    message = decode_frame(with_check("0002 4000 01 00000000013812345678 0087"))
    assert (message.version, message.protocol_version, message.phone) == ("2019", 1, "13812345678")
    assert (message.serial, message.phone_raw.hex()) == (0x87, "00000000013812345678")


def test_vendor_identity_that_is_not_decimal_is_kept_as_text():
    assert decode_frame(with_check("0002 0000 0a1b2c3d4e5f 0001")).phone == "a1b2c3d4e5f"


def test_phone_of_zeros_is_zero():
    assert decode_frame(with_check("0002 0000 000000000000 0001")).phone == "0"


def test_frame_is_decoded_with_both_flags_or_with_none():
    assert decode_frame(HEARTBEAT[1:-1]) == decode_frame(HEARTBEAT)


def test_encrypted_frame_is_decoded_and_says_so():
    assert decode_frame(with_check("0801 0405 001234567890 02de 001a000221")).encrypted
    assert not decode_frame(HEARTBEAT).encrypted


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "0 bytes are too short"),
        (b"\x7e", "one of the two 7e flags is missing"),
        (HEARTBEAT[:-1], "one of the two 7e flags is missing"),
        (HEARTBEAT[1:], "one of the two 7e flags is missing"),
        (HEARTBEAT + HEARTBEAT, "a 7e flag stands inside"),
        (bytes.fromhex("7e01017e"), "2 bytes are too short"),
        (bytes.fromhex("7e0002000001234567890100008b7e"), "checksum is 8b, computed 8a"),
        (bytes.fromhex("7e000200000123456789017d008a7e"), "7d is not followed by 01 or 02"),
        (with_check("0200 0005 012345678901 0000 01020304"), "a body of 5 bytes, the frame has 4"),
        (with_check("0200 0000 012345678901 0000 01"), "a body of 0 bytes, the frame has 1"),
        (with_check("0002 4000 01 0000000001381234 00"), "too short for this header: at least 18"),
        (with_check("0704 2000 012345678901 0000"), "too short for this header: at least 17"),
        (with_check("0704 2000 012345678901 0000 0002 0003"), "sub-package 3 of 2 does not exist"),
        (with_check("0704 2000 012345678901 0000 0002 0000"), "sub-package 0 of 2 does not exist"),
    ],
)
def test_what_is_not_a_frame_is_refused_with_its_reason(frame, reason):
    with pytest.raises(FrameError, match=reason):
        decode_frame(frame)


def test_2019_header_without_the_version_flag_is_not_read_as_a_short_phone():
    with pytest.raises(FrameError, match="a body of 0 bytes, the frame has 5"):
        decode_frame(bytes.fromhex("7e81040000010000000001234567891000011c7e"))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 0xFFFF), bodies, phones, versions, st.integers(0, 0xFFFF))
def test_decode_undoes_encode(msg_id, body, phone, version, serial):
    message = decode_frame(encode_frame(msg_id, body, like=header_form(phone, version), serial=serial))
    assert (message.msg_id, message.body, message.serial, message.version) == (msg_id, body, serial, version)
    assert message.phone == (phone.lstrip("0") or "0")


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=6, max_size=6), st.binary(min_size=10, max_size=10), st.integers(0, 255))
def test_answer_repeats_the_header_form_of_the_terminal(phone_2013, phone_2019, protocol_version):
    for content in (f"00020000{phone_2013.hex()}0001", f"00024000{protocol_version:02x}{phone_2019.hex()}0001"):
        asked = decode_frame(with_check(content))
        answer = decode_frame(encode_frame(0x8001, b"\0\1\0\2\0", like=asked, serial=9))
        assert (answer.version, answer.protocol_version) == (asked.version, asked.protocol_version)
        assert answer.phone_raw == asked.phone_raw


@settings(max_examples=60, deadline=None)
@given(bodies, st.integers(0, 10_000), st.integers(1, 255))
def test_one_wrong_byte_never_passes(body, position, change):
    frame = bytearray(encode_frame(0x0200, body, like=PHONE_2013, serial=1))
    frame[position % len(frame)] ^= change
    with pytest.raises(FrameError):
        decode_frame(bytes(frame))


def test_serial_wraps_at_65536():
    assert decode_frame(encode_frame(2, b"", like=PHONE_2013, serial=65536 + 7)).serial == 7


def test_longest_body_fits_and_one_byte_more_is_refused():
    frame = encode_frame(0x0900, b"\x7e" * BODY_MAX_BYTES, like=PHONE_2019, serial=0x7E7E)
    assert len(decode_frame(frame).body) == BODY_MAX_BYTES
    with pytest.raises(FrameError, match="1024 bytes does not fit"):
        encode_frame(0x0900, bytes(BODY_MAX_BYTES + 1), like=PHONE_2019, serial=0)


@pytest.mark.parametrize(
    ("phone", "version"), [("", "2013"), ("12a", "2013"), ("1" * 13, "2013"), ("1" * 21, "2019"), ("１", "2013")]
)
def test_terminal_number_that_no_header_can_hold_is_refused(phone, version):
    with pytest.raises(FrameError, match="decimal digits"):
        header_form(phone, version)


# -- splitting a stream


def feed_all(stream: bytes, sizes: list[int]) -> list[Message | BadPiece]:
    splitter, found, at = FrameSplitter(), [], 0
    for size in [*sizes, len(stream)]:
        found += splitter.feed(stream[at : at + size])
        at += size
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(bodies, max_size=6), st.lists(st.integers(0, 40), max_size=40), st.booleans())
def test_frames_come_out_whole_however_the_stream_is_cut(sent, sizes, share_flags):
    frames = [encode_frame(0x0900, body, like=PHONE_2013, serial=i) for i, body in enumerate(sent)]
    stream = b"".join(frames)
    if share_flags:
        stream = stream.replace(b"\x7e\x7e", b"\x7e")
    assert [piece.body for piece in feed_all(stream, sizes)] == sent


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.binary(max_size=30).map(lambda junk: junk.replace(b"\x7e", b"")), nasty), max_size=6),
    st.lists(st.integers(0, 40), max_size=40),
)
def test_garbage_between_frames_costs_no_frame(sent, sizes):
    frames = [junk + encode_frame(0x0900, body, like=PHONE_2013, serial=i) for i, (junk, body) in enumerate(sent)]
    found = feed_all(b"".join(frames), sizes)
    assert [piece.body for piece in found if isinstance(piece, Message)] == [body for _, body in sent]
    assert [piece.raw for piece in found if isinstance(piece, BadPiece)] == [junk for junk, _ in sent if junk]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=5000) | nasty, max_size=8))
def test_no_input_raises_and_the_buffer_stays_bounded(chunks):
    splitter = FrameSplitter()
    for chunk in chunks:
        for piece in splitter.feed(chunk):
            assert isinstance(piece, Message) or piece.reason
        assert len(splitter.pending) <= PIECE_MAX_BYTES


def test_bytes_before_the_first_flag_are_never_a_frame():
    found = FrameSplitter().feed(HEARTBEAT[1:] + HEARTBEAT)
    assert [type(piece) for piece in found] == [BadPiece, Message]
    assert found[0].reason == "bytes before the first 7e flag"


def test_endless_piece_is_reported_once_and_the_next_frame_is_read():
    splitter = FrameSplitter()
    found = [piece for _ in range(50) for piece in splitter.feed(b"x" * 1000)]
    assert len(found) == 1
    assert "no flag within" in found[0].reason
    assert splitter.feed(HEARTBEAT) == [decode_frame(HEARTBEAT)]


def test_frame_with_a_wrong_checksum_does_not_harm_its_neighbours():
    wrong = HEARTBEAT[:-2] + b"\x00\x7e"
    found = FrameSplitter().feed(HEARTBEAT + wrong + HEARTBEAT)
    assert [type(piece) for piece in found] == [Message, BadPiece, Message]
    assert found[1].raw == wrong[1:-1]


# -- sub-packages


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.binary(max_size=20), min_size=1, max_size=8).flatmap(
        lambda b: st.tuples(st.just(b), st.permutations(range(len(b))))
    )
)
def test_pieces_are_joined_in_any_order_and_whatever_their_serials(case):
    contents, order = case
    reassembly = Reassembly()
    pieces = [
        sub_package(content, total=len(contents), index=i, serial=40 * i) for i, content in enumerate(contents, start=1)
    ]
    results = [reassembly.add(pieces[i], now=NOW) for i in order]
    assert results[:-1] == [None] * (len(contents) - 1)
    assert results[-1].body == b"".join(contents)
    assert results[-1].raw == b"".join(piece.raw for piece in pieces)
    assert (results[-1].sub_package, results[-1].serial) == (None, pieces[order[-1]].serial)
    assert reassembly.give_up(now=NOW + timedelta(days=1)) == []


def test_message_without_sub_packages_passes_through():
    message = decode_frame(HEARTBEAT)
    assert Reassembly().add(message, now=NOW) is message


def test_repeated_piece_changes_nothing():
    reassembly = Reassembly()
    for _ in range(3):
        assert reassembly.add(sub_package(b"a", total=2, index=1), now=NOW) is None
    assert reassembly.add(sub_package(b"b", total=2, index=2), now=NOW).body == b"ab"


def test_other_content_in_the_same_place_starts_the_message_anew():
    reassembly = Reassembly()
    reassembly.add(sub_package(b"old", total=3, index=1), now=NOW)
    reassembly.add(sub_package(b"old", total=3, index=2), now=NOW)
    reassembly.add(sub_package(b"new", total=3, index=1), now=NOW)
    reassembly.add(sub_package(b"new", total=3, index=2), now=NOW)
    assert reassembly.add(sub_package(b"new", total=3, index=3), now=NOW).body == b"newnewnew"
    (old,) = reassembly.give_up(now=NOW)
    assert old.missing == (3,)


def test_terminals_do_not_mix():
    reassembly = Reassembly()
    reassembly.add(sub_package(b"a", total=2, index=1, phone="000000000001"), now=NOW)
    assert reassembly.add(sub_package(b"b", total=2, index=2, phone="000000000002"), now=NOW) is None


def test_pieces_that_wait_too_long_are_given_up_and_named():
    reassembly = Reassembly(wait_s=60)
    piece = sub_package(b"a", total=3, index=2)
    reassembly.add(piece, now=NOW)
    assert reassembly.give_up(now=NOW + timedelta(seconds=59)) == []
    (lost,) = reassembly.give_up(now=NOW + timedelta(seconds=60))
    assert (lost.phone, lost.msg_id, lost.total, lost.missing, lost.raw) == (
        "12345678901",
        0x0704,
        3,
        (1, 3),
        piece.raw,
    )
    assert reassembly.add(sub_package(b"b", total=3, index=1), now=NOW + timedelta(seconds=61)) is None


def test_the_group_that_waited_longest_makes_room():
    reassembly = Reassembly(max_bytes=300)
    for number in range(1, 4):
        phone = f"{number:012d}"
        reassembly.add(sub_package(bytes(90), total=2, index=1, phone=phone), now=NOW + timedelta(seconds=number))
    assert [lost.phone for lost in reassembly.give_up(now=NOW)] == ["1"]
    assert reassembly.add(sub_package(b"x", total=2, index=2, phone=f"{3:012d}"), now=NOW).body == bytes(90) + b"x"
