"""Public JT/T 809 frames and bodies; optional data, not ours."""

import json
from pathlib import Path

import pytest

from telematics.protocols import jt809_body as link
from telematics.protocols import jt809_vehicle as moving
from telematics.protocols.jt809 import Cipher, crc16, decode_frame, encode_frame

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "jt809_vectors.jsonl"
pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not VECTORS.exists(), reason="optional JT/T 809 vectors (../shared/data) are not there"),
]
ALL = [json.loads(line) for line in VECTORS.read_text("utf-8").splitlines() if line] if VECTORS.exists() else []
CIPHER = Cipher(30_000_000, 20_000_000, 20_000_000)


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in ALL if v["kind"] == "frame"])
def test_frame_is_decoded_as_computed_and_encoded_alike(vector):
    raw, computed, edition = bytes.fromhex(vector["hex"]), vector["computed"], str(vector["version"])
    frame = decode_frame(raw, edition, CIPHER)
    assert (f"{frame.msg_id:04x}", frame.serial, frame.centre_id) == (
        computed["msg_id"], computed["sn"], computed["access_code"],
    )  # fmt: skip
    assert bytes(frame.version).hex() == computed["version"]
    assert frame.key == (computed["key"] if computed["encrypt"] else None)
    if computed["encrypt"] or not computed["key"]:  # a key without encryption is a stray: we send 0
        assert encode_frame(frame, edition, CIPHER) == raw
    assert f"{crc16(b'123456789'):04x}" == "29b1"
    if frame.msg_id in {link.Id.UP_VEHICLE, link.Id.DOWN_VEHICLE}:
        vehicle = moving.parse_vehicle(frame.body, edition)
        assert moving.encode_vehicle(vehicle, edition) == (frame.msg_id, frame.body)


LINK_TESTS = {"JT809_0x1001Test": 0x1001, "JT809_0x1002Test": 0x1002, "JT809_0x1003Test": 0x1003}


@pytest.mark.parametrize(
    "vector",
    [pytest.param(v, id=v["id"]) for v in ALL if v["kind"] == "body" and Path(v["source_path"]).stem in LINK_TESTS],
)
def test_link_body_is_encoded_alike(vector):
    msg_id, body = LINK_TESTS[Path(vector["source_path"]).stem], bytes.fromhex(vector["hex"])
    edition = str(vector["version"])
    assert link.encode_link_body(link.parse_link_body(msg_id, body, edition), edition) == (msg_id, body)


VEHICLE_TESTS = {
    f"JT809_0x{main}_0x{sub}Test": int(sub, 16)
    for main, subs in {"1200": ("1201", "1202", "1203", "1207", "1209"), "9200": ("9207", "9208", "9209")}.items()
    for sub in subs
}


@pytest.mark.parametrize(
    "vector",
    [pytest.param(v, id=v["id"]) for v in ALL if v["kind"] == "body" and Path(v["source_path"]).stem in VEHICLE_TESTS],
)
def test_vehicle_data_is_encoded_alike(vector):
    sub_type, data = VEHICLE_TESTS[Path(vector["source_path"]).stem], bytes.fromhex(vector["hex"])
    edition = str(vector["version"])
    body = bytes(22) + sub_type.to_bytes(2) + len(data).to_bytes(4) + data
    found = moving.parse_vehicle(body, edition)
    assert not isinstance(found.content, moving.Plain)
    assert moving.encode_vehicle(found, edition)[1] == body
