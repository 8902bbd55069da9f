"""Who may have a package: the permission, and for restricted vehicles a second person, in the service and in the database."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict


@pytest.fixture
def secrecy(database):
    def become(value):
        with database.transaction(SYSTEM) as session:
            session.execute(text("UPDATE vehicle SET secrecy = :value WHERE plate = '浙A10001'"), {"value": value})

    return become


@pytest.mark.parametrize(
    ("username", "status"),
    [("auditor.binjiang", 404), ("driver.xhedu", 403), ("fleet_manager.xihu", 403), ("leader.city", 404)],
)
def test_others_get_no_package(package, username, status):
    assert package(username).status_code == status


def test_no_package_without_a_reason(package):
    assert package(reason="看").status_code == 422


def test_a_package_is_recorded_with_its_hash(package, database):
    answer = package()
    assert answer.headers["Content-Disposition"].endswith(".zip")
    with database.transaction(SYSTEM) as session:
        record = session.execute(text("SELECT kind, sha256, reason FROM export_record")).one()
        entry = session.execute(text("SELECT action, data FROM audit_entry ORDER BY seq DESC LIMIT 1")).one()
    assert tuple(record) == ("evidence", answer.headers["X-Content-SHA256"], "核实群众反映")
    assert (entry.action, entry.data["sha256"]) == ("evidence.packaged", record.sha256)


def test_a_restricted_vehicle_needs_another_persons_consent(api, package, made, secrecy, database, now):
    secrecy("restricted")
    auditor, office = api("auditor.city"), api("vehicle_office.city")
    assert package().json["code"] == "evidence.consent_missing"
    asked = auditor("POST", f"/findings/{made.finding_id}/evidence-requests", json={"reason": "专项核查需要"})
    assert asked.status_code == 201, asked.json
    assert (
        auditor("POST", f"/findings/{made.finding_id}/evidence-requests", json={"reason": "专项核查需要"}).status_code
        == 409
    )
    assert package().json["code"] == "evidence.consent_waits"
    path = f"/evidence-requests/{asked.json['id']}/decision"
    assert auditor("POST", path, json={"agreed": True}).json["code"] == "evidence.own_request"
    assert api("auditor.binjiang")("POST", path, json={"agreed": True}).status_code == 404
    assert api("fleet_manager.xihu")("POST", path, json={"agreed": True}).status_code == 404
    assert office("POST", path, json={"agreed": False}).json["code"] == "evidence.note_missing"
    assert [row["state"] for row in office("GET", "/evidence-requests").json] == ["REQUESTED"]
    assert office("POST", path, json={"agreed": True}).status_code == 200
    assert office("POST", path, json={"agreed": True}).json["code"] == "evidence.decided"
    assert package().status_code == 200
    assert package("vehicle_office.city").json["code"] == "evidence.consent_missing"  # whoever consents has not asked
    with database.transaction(SYSTEM) as session:
        actions = session.scalars(
            text("SELECT action FROM audit_entry WHERE action LIKE 'evidence.%' ORDER BY seq")
        ).all()
    assert actions == ["evidence.requested", "evidence.consented", "evidence.packaged"]
    secrecy("secret")
    assert package().status_code == 404


def test_an_ordinary_vehicle_needs_no_request(api, made):
    asked = api("auditor.city")(
        "POST", f"/findings/{made.finding_id}/evidence-requests", json={"reason": "专项核查需要"}
    )
    assert asked.json["code"] == "evidence.no_consent_needed"


def test_the_database_refuses_what_the_service_would_not_do(made, secrecy, database, acting):
    secrecy("restricted")
    auditor, office = acting("auditor.city"), acting("vehicle_office.city")
    insert = text(
        "INSERT INTO evidence_request (org_id, finding_id, reason, requested_by, requested_at, state, decided_by, decided_at, expires_at)"
        " SELECT org_id, id, 'reason', :by, now(), :state, :decider, :decided, :expires FROM finding"
    )
    values = {"by": auditor.user_id, "state": "REQUESTED", "decider": None, "decided": None, "expires": None}
    export = text(
        "INSERT INTO export_record (org_id, actor_id, at, kind, reason, filters, rows, file_name, bytes, sha256)"
        " SELECT org_id, :by, now(), :kind, 'reason', jsonb_build_object('finding', number), 1, 'x', 1, 'x' FROM finding"
    )

    def refused(actor, statement, params, match):
        with pytest.raises((DBAPIError, Conflict), match=match), database.transaction(actor) as session:
            session.execute(statement, params)

    refused(auditor, insert, {**values, "state": "CONSENTED", "decider": office.user_id}, "begins as one")
    refused(auditor, insert, {**values, "by": office.user_id}, "another's name")
    refused(auditor, export, {"by": auditor.user_id, "kind": "evidence"}, "second person")
    with database.transaction(auditor) as session:
        session.execute(insert, values)
    update = "UPDATE evidence_request SET state = 'CONSENTED', decided_by = :by, decided_at = now() - interval '1 min', expires_at = now() + interval '1 h'"
    refused(auditor, text(update), {"by": office.user_id}, "another's name")
    refused(auditor, text(update), {"by": auditor.user_id}, "own_request")
    refused(auditor, export, {"by": auditor.user_id, "kind": "evidence"}, "second person")
    with database.transaction(office) as session:
        session.execute(text(update), {"by": office.user_id})
    refused(office, text("UPDATE evidence_request SET reason = 'other'"), {}, "decided once")
    refused(office, export, {"by": office.user_id, "kind": "evidence"}, "second person")
    refused(auditor, export, {"by": auditor.user_id, "kind": "case"}, "second person")
    with database.transaction(auditor) as session:
        session.execute(export, {"by": auditor.user_id, "kind": "evidence"})


def test_the_pages_lead_through_it(browse, made, secrecy):
    auditor, office = browse("auditor.city"), browse("vehicle_office.city")
    case = auditor.get(auditor.get(f"/findings/{made.finding_id}").location).get_data(as_text=True)
    assert f"/findings/{made.finding_id}/evidence" in case
    secrecy("restricted")
    form = f"/findings/{made.finding_id}/evidence"
    assert "申请同意" in auditor.get(form).get_data(as_text=True)
    assert auditor.submit(f"{form}-request", reason="看").status_code == 422
    assert auditor.submit(f"{form}-request", reason="专项核查需要").status_code == 303
    assert "等待另一人同意" in auditor.get(form).get_data(as_text=True)
    assert "须他人审核" in auditor.get("/evidence").get_data(as_text=True)
    page = office.get("/evidence").get_data(as_text=True)
    number = page.split('action="/evidence/')[1].split('"')[0]
    assert office.submit(f"/evidence/{number}", agreed="true", note="").status_code == 303
    assert "制作取证包" in auditor.get(form).get_data(as_text=True)
    answer = auditor.submit(form, reason="专项核查需要")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    answer.close()
    assert browse("driver.xhedu").get("/evidence").status_code == 403
