"""Published heads: signed, kept by others, and telling when the chain before them was rewritten or cut off."""

import json
from functools import partial

import psycopg
import pytest

from fleetapp.audit import heads, jobs, queries, service
from fleetapp.factory import create_app
from fleetapp.kit import signatures
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import RuleBroken
from fleetapp.settings import Settings

SETTINGS = Settings(secret_key="only for tests")
KEYS = signatures.of(SETTINGS)
SIGN, HOLDS = partial(signatures.sign, KEYS), partial(signatures.holds, KEYS)


def append(database, now, count):
    with database.transaction(SYSTEM) as session:
        for number in range(count):
            service.record(
                session,
                actor=SYSTEM,
                now=now,
                action="test.appended",
                subject_type="test",
                subject_id=number,
                org_id=None,
            )


def test_a_head_is_published_once_a_day_and_its_signature_holds(database, now):
    assert jobs.publish(database, now, sign=SIGN) == {"heads": 1}
    assert jobs.publish(database, now, sign=SIGN) == {"heads": 0}
    with database.transaction(SYSTEM) as session:
        [head] = session.scalars(queries.published_heads())
        kept = heads.read(head.document, holds=HOLDS)
        assert (kept.seq, kept.hash) == (head.seq, head.hash)
        assert heads.compare(session, kept) == []
    forged = json.loads(head.document)
    forged["head"]["seq"] += 1
    with pytest.raises(RuleBroken, match="head_forged"):
        heads.read(json.dumps(forged), holds=HOLDS)
    with pytest.raises(RuleBroken, match="head_unreadable"):
        heads.read("{}", holds=HOLDS)
    other = signatures.of(Settings(secret_key="another"))
    with pytest.raises(RuleBroken, match="head_forged"):
        heads.read(head.document, holds=partial(signatures.holds, other))


def test_a_kept_head_finds_what_a_superuser_hid_completely(live_database, live_database_url, now, tmp_path):
    """The tail is cut and the rest of the database made to agree; in a second drill an entry is rewritten with all after it."""
    append(live_database, now, 5)
    jobs.publish(live_database, now, sign=SIGN)
    with live_database.transaction(SYSTEM) as session:
        [head] = session.scalars(queries.published_heads())
    file = tmp_path / "head.json"
    file.write_text(head.document, encoding="utf-8")
    runner = create_app(
        Settings(database_url=live_database_url, secret_key="only for tests"), live_database
    ).test_cli_runner()
    assert runner.invoke(args=["audit", "verify", "--head", str(file)]).exit_code == 0
    rewrite = """
        DO $$ DECLARE e audit_entry; before bytea; BEGIN
            SELECT hash INTO before FROM audit_entry WHERE seq = {at} - 1;
            FOR e IN SELECT * FROM audit_entry WHERE seq >= {at} ORDER BY seq LOOP
                e.prev_hash := before;
                e.actor_name := CASE WHEN e.seq = {at} THEN 'x' ELSE e.actor_name END;
                before := audit_entry_hash(e);
                UPDATE audit_entry SET prev_hash = e.prev_hash, hash = before, actor_name = e.actor_name WHERE seq = e.seq;
            END LOOP;
            UPDATE audit_head SET hash = before;
        END $$"""
    with psycopg.connect(live_database_url) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(rewrite.format(at=head.seq - 2))
    with live_database.transaction(SYSTEM) as session:
        assert [(fault.seq, fault.fault) for fault in queries.verify(session)] == [(head.seq, "head")]
    with psycopg.connect(live_database_url) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM audit_published_head")
    whole = runner.invoke(args=["audit", "verify"])
    assert whole.exit_code == 0, whole.output  # nothing inside the database tells any more
    told = runner.invoke(args=["audit", "verify", "--head", str(file)])
    assert told.exit_code == 1
    assert f"第 {head.seq} 条" in told.output
    with psycopg.connect(live_database_url) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM audit_entry WHERE seq >= %s", [head.seq])
        owner.execute(
            "UPDATE audit_head SET (seq, hash) = (SELECT seq, hash FROM audit_entry ORDER BY seq DESC LIMIT 1)"
        )
    assert runner.invoke(args=["audit", "verify"]).exit_code == 0
    cut = runner.invoke(args=["audit", "verify", "--head", str(file)])
    assert cut.exit_code == 1
    assert f"应止于第 {head.seq} 条" in cut.output
    file.write_text(head.document.replace(head.hash, "0" * 64), encoding="utf-8")
    assert "签名无效" in runner.invoke(args=["audit", "verify", "--head", str(file)]).output


def test_a_range_is_verified_by_number_and_by_day_and_a_fault_outside_it_is_not_looked_for(
    live_database, live_database_url, now
):
    append(live_database, now, 6)
    with live_database.transaction(SYSTEM) as session:
        end = queries.head(session).seq
    with psycopg.connect(live_database_url) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE audit_entry SET actor_name = 'x' WHERE seq = %s", [end - 3])
    runner = create_app(
        Settings(database_url=live_database_url, secret_key="only for tests"), live_database
    ).test_cli_runner()

    def status(*arguments):
        return runner.invoke(args=["audit", "verify", *arguments]).exit_code

    assert status("--from", str(end - 2)) == 0
    assert status("--to", str(end - 4)) == 0
    assert status("--from", str(end - 3), "--to", str(end - 3)) == 1
    assert status("--from", "2026-11-18", "--to", "2026-11-18") == 1
    assert status("--from", "2027-01-01") == 0
    assert status("--from", "gestern") == 2


def test_heads_are_for_auditors_and_keys_for_everybody(database, browse, api, now):
    jobs.publish(database, now, sign=SIGN)
    auditor = browse("auditor.city")
    page = auditor.get("/audit/heads").get_data(as_text=True)
    assert "一致" in page
    file = auditor.get("/audit/heads/2026-11-18.json")
    assert heads.read(file.get_data(as_text=True), holds=HOLDS).day == "2026-11-18"
    assert auditor.get("/audit/heads/2026-11-17.json").status_code == 404
    assert auditor.get("/audit/heads/x.json").status_code == 422
    for path in ("/audit/heads", "/audit/heads/2026-11-18.json", "/audit/verify/piece?first=1&last=9&at=1"):
        assert browse("dispatcher.city").get(path).status_code == 403, path
    call, refused = api("auditor.city"), api("dispatcher.city")
    [listed] = call("GET", "/audit/heads").json
    assert listed["document"] == file.get_data(as_text=True)
    answer = call("GET", "/audit/verify").json
    assert (answer["first"], answer["faults"], answer["next"]) == (1, [], None)
    assert refused("GET", "/audit/heads").status_code == refused("GET", "/audit/verify").status_code == 403
    published = auditor.get("/evidence/keys.json").json["keys"]
    assert published[0]["public"] == signatures.base64url(KEYS.public[0][0])
    assert "seed" not in auditor.get("/evidence/keys.json").get_data(as_text=True)


def test_an_auditor_of_a_district_verifies_the_whole_chain(database, browse, now):
    jobs.publish(database, now, sign=SIGN)
    page = browse("auditor.binjiang").get("/audit/heads").get_data(as_text=True)
    assert "一致" in page
    assert "不一致" not in page


def test_keys_are_renewed_and_old_signatures_still_hold(now):
    first = signatures.read(signatures.renewed(None, b"\1" * 32, now))
    second = signatures.read(signatures.renewed(first, b"\2" * 32, now))
    signed = signatures.sign(first, "use", b"message")
    assert signatures.holds(second, "use", b"message", signed)
    assert not signatures.holds(second, "other use", b"message", signed)
    assert not signatures.holds(first, "use", b"message", signatures.sign(second, "use", b"message"))
    with pytest.raises(ValueError, match="seed"):
        signatures.read(signatures.renewed(first, b"\3" * 32, now).replace("03" * 32, "04" * 32))
