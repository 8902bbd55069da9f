"""A package is the same whenever it is made of the same state, holds what it should, and every tampering is found and named."""

import io
import json
import random
import zipfile
from pathlib import Path

from sqlalchemy import text

from fleetapp.audit import jobs as heads
from fleetapp.evidence import package as making
from fleetapp.kit import signatures
from fleetapp.kit.actor import SYSTEM
from fleetapp.settings import Settings
from tests.evidence.conftest import verify_evidence

KEPT = Path(__file__).parents[2] / "var" / "evidence"
"""Where the package stays for whoever wants to look at it."""
FILES = {"README.txt", "calendar.json", "case.json", "chain.json", "costs.csv", "cover.pdf", "figures.json", "manifest.json", "map.svg",
         "order.json", "order.txt", "review.json", "signature.json", "slip.pdf", "stays.csv", "track.csv", "track.gpx"}  # fmt: skip


def files_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_a_package_is_whole_verifies_and_is_the_same_next_time(package, verify, database, now):
    answer = package()
    assert answer.status_code == 200, answer.json
    data = answer.data
    files = files_of(data)
    assert set(files) == FILES
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "evidence.zip").write_bytes(data)
    status, said = verify(data)
    assert status == 0, said
    assert "m recomputed from positions" in said
    assert "score" in said
    assert "seal of positions" in said
    assert package(reason="再次核实情况").data == data
    heads.publish(
        database,
        now,
        sign=lambda use, message: signatures.sign(signatures.of(Settings(secret_key="only for tests")), use, message),
    )
    with database.transaction(SYSTEM) as session:
        document = json.loads(session.scalar(text("SELECT document FROM audit_published_head")))
    status, said = verify(package().data, heads=[document])
    assert status == 0, said
    assert "signature of the audit head" in said
    figures = json.loads(files["figures.json"])
    real = [trip for trip in figures["trips"] if f"trip {trip['trip']}: " in said and trip["positions"] > 100]
    assert real
    order = json.loads(files["order.json"])
    assert order["slip"]["number"].startswith("330106-EDU")
    assert files["track.csv"][:3] == b"\xef\xbb\xbf"
    case = json.loads(files["case.json"])
    assert case["parameters"]["figures"]["A-01.min_km"]["source"] == "规则目录 2026.11"


def test_without_a_published_key_it_says_so_and_another_key_is_refused(package, verify):
    data = package().data
    assert verify(data, keys=None)[0] == 3
    other = {key for key, _ in signatures.of(Settings(secret_key="another")).public}
    status, said = verify(data, keys=other)
    assert status == 1
    assert "不符" in said


def test_every_tampering_is_found_and_named(package, verify):
    """One byte of every file, sampled; a file taken out or put in; the manifest made to fit; a key of the forger's own."""
    data = package().data
    files = files_of(data)
    chance = random.Random(1)
    for name, content in files.items():
        for _ in range(2):
            at, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
            changed = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
            status, said = verify(verify_evidence.write_package({**files, name: changed}))
            assert status in {1, 2}, (name, at)
            wanted = "signature" if name in {"signature.json", "manifest.json"} else name
            assert wanted in said or name in said, said
    for name in sorted(FILES):
        status, said = verify(
            verify_evidence.write_package({key: value for key, value in files.items() if key != name})
        )
        assert status in {1, 2}
        assert name in said
    status, said = verify(verify_evidence.write_package({**files, "extra.txt": b"x"}))
    assert status == 1
    assert "extra.txt" in said
    forged = {**files, "case.json": files["case.json"].replace(b"orange", b"yellow")}
    manifest = json.loads(files["manifest.json"])
    for row in manifest["files"]:
        if row["path"] == "case.json":
            row["sha256"], row["sm3"] = making.sha256(forged["case.json"]).hexdigest(), making.sm3(forged["case.json"])
    forged["manifest.json"] = making.as_json(manifest)
    status, said = verify(verify_evidence.write_package(forged))
    assert status == 1
    assert "清单签名" in said.split("不符")[1]
    mine = signatures.of(Settings(secret_key="a forger"))
    forged["signature.json"] = making.as_json(signatures.sign(mine, making.FORM, forged["manifest.json"]))
    status, said = verify(verify_evidence.write_package(forged))
    assert status == 1
    assert "公布的公钥" in said


def test_every_byte_of_the_zip_itself_counts(package, verify):
    data = package().data
    chance = random.Random(2)
    for _ in range(25):
        at = chance.randrange(len(data))
        assert verify(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])[0] in {1, 2}, at
    end = len(data) - 22  # the directory at the end, where a comment or an attribute could hide
    for at in [*range(end - 60, end), *range(end, len(data))]:
        assert verify(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])[0] in {1, 2}, at
    assert verify(data + b"x")[0] in {1, 2}
    assert verify(b"")[0] == verify(b"no zip")[0] == 2


def test_figures_that_do_not_follow_from_the_rows_are_named_though_signed(package, verify):
    """Even a package signed with the right key is recomputed: distance, duration, score."""
    files = files_of(package().data)
    keys = signatures.of(Settings(secret_key="only for tests"))

    def resigned(change):
        figures = json.loads(files["figures.json"])
        change(figures)
        mine = {**files, "figures.json": making.as_json(figures)}
        manifest = json.loads(files["manifest.json"])
        for row in manifest["files"]:
            content = mine[row["path"]]
            row.update(bytes=len(content), sha256=making.sha256(content).hexdigest(), sm3=making.sm3(content))
        mine["manifest.json"] = making.as_json(manifest)
        mine["signature.json"] = making.as_json(signatures.sign(keys, making.FORM, mine["manifest.json"]))
        return verify(verify_evidence.write_package(mine))

    assert resigned(lambda figures: None)[0] == 0
    long_trip = next(i for i, trip in enumerate(json.loads(files["figures.json"])["trips"]) if trip["positions"] > 100)
    scored = next(i for i, row in enumerate(json.loads(files["figures.json"])["matches"]) if row["score"] is not None)
    for change, named in (
        (lambda f: f["trips"][long_trip].update(gps_m=f["trips"][long_trip]["gps_m"] + 50), "m recomputed"),
        (lambda f: f["trips"][0].update(duration_s=1), "durations"),
        (lambda f: f["matches"][scored].update(score=0.11), "recomputed, 0.1100 stated"),
        (lambda f: f["track"].update(fixes=1), "raw frames"),
    ):
        status, said = resigned(change)
        assert status == 1, named
        assert any("BAD" in line and named in line for line in said.splitlines()), said
