"""Additional items of a location: known by id and length, everything else kept raw."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.protocols.jt808 import ProtocolError
from telematics.protocols.jt808_items import decode_items, encode_items


@pytest.mark.parametrize(
    ("item", "values"),
    [
        ("0104 000024c7", {"odometer_km": 941.5}),
        ("0202 0037", {"fuel_l": 5.5}),
        ("0202 8041", {"fuel_percent": 65}),
        ("0302 0038", {"recorder_speed_kmh": 5.6}),
        ("0402 0001", {"manual_alarm_id": 1}),
        ("051e 20ff" + "00" * 28, {"tyre_pressures": [0x20, None] + [0] * 28}),
        ("0602 8005", {"cabin_temperature_c": -5}),
        ("0602 0017", {"cabin_temperature_c": 23}),
        ("1101 00", {"overspeed": {"type": 0, "id": None}}),
        ("1105 0100000001", {"overspeed": {"type": 1, "id": 1}}),
        ("1206 010000000201", {"area": {"type": 1, "id": 2, "direction": 1}}),
        ("1307 00000002002201", {"route": {"id": 2, "time_s": 34, "result": 1}}),
        ("1404 00000002", {"video_alarm_bits": 2}),
        ("1504 00000003", {"video_lost_bits": 3}),
        ("1604 00000bfe", {"video_covered_bits": 0xBFE}),
        ("1702 0001", {"storage_fault_bits": 1}),
        ("1802 0004", {"driver_behaviour_bits": 4}),
        ("2504 00000017", {"vehicle_signal_bits": 23}),
        ("2a02 0001", {"io_bits": 1}),
        ("2b04 00f30b29", {"analog": {"ad0": 0x0B29, "ad1": 0x00F3}}),
        ("3001 17", {"signal": 23}),
        ("3101 0c", {"satellites": 12}),
    ],
)
def test_item_is_decoded_by_id_and_length(item, values):
    assert decode_items(bytes.fromhex(item)) == values


@pytest.mark.parametrize(
    "item", ["17 01 02", "18 04 011d0000", "18 03 000100", "01 03 000001", "30 02 0001", "11 02 0001", "62 00"]
)
def test_known_id_of_another_length_stays_raw(item):
    item_id, _, *value = item.split()
    assert decode_items(bytes.fromhex(item)) == {"raw": [{"id": item_id, "hex": "".join(value)}]}


def test_unknown_and_repeated_items_are_kept_in_order():
    items = decode_items(bytes.fromhex("e1020102 310105 310106 e10103 620104"))
    assert items == {
        "satellites": 5,
        "raw": [
            {"id": "e1", "hex": "0102"},
            {"id": "31", "hex": "06"},
            {"id": "e1", "hex": "03"},
            {"id": "62", "hex": "04"},
        ],
    }


@pytest.mark.parametrize("tail", ["010400", "01", "ffff00", "00dd0042"])
def test_length_over_the_end_stops_the_items_and_keeps_the_bytes(tail):
    assert decode_items(bytes.fromhex("310105" + tail)) == {"satellites": 5, "truncated": tail}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80))
def test_items_never_raise_and_lose_no_byte(data):
    items = decode_items(data)
    kept = sum(2 + len(item["hex"]) // 2 for item in items.get("raw", ())) + len(items.get("truncated", "")) // 2
    assert kept <= len(data)
    assert (kept == len(data)) == (not items.keys() - {"raw", "truncated"})


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 0x7FFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 255),
    st.binary(max_size=9),
)
def test_plain_items_survive_a_round_trip(odometer, fuel, speed, satellites, vendor):
    items = {
        "odometer_km": odometer / 10,
        "fuel_l": fuel / 10,
        "recorder_speed_kmh": speed / 10,
        "satellites": satellites,
        "raw": [{"id": "e3", "hex": vendor.hex()}],
    }
    assert decode_items(encode_items(items)) == items


def test_number_too_large_for_its_item_is_refused():
    with pytest.raises(ProtocolError, match="satellites does not fit 1 bytes"):
        encode_items({"satellites": 256})
