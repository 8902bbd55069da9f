"""Old personal data goes, and the log shows what went; nothing young goes whoever asks."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from fleetapp.accounts.models import SignInFailure
from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.kit.errors import NotAllowed
from fleetapp.retention import jobs, service
from tests import world


@pytest.fixture
def failures(database, now):
    """A wrong password of 184 days ago and one of 182."""
    with database.transaction(SYSTEM) as session:
        session.add_all(
            SignInFailure(username="x", address="192.0.2.1", at=now - timedelta(days=days)) for days in (184, 182)
        )


def ages(database, now):
    with database.transaction(SYSTEM) as session:
        return [(now - at).days for at in session.scalars(select(SignInFailure.at).order_by(SignInFailure.at))]


def test_what_is_older_than_the_figure_goes_once_and_is_logged(database, now, failures):
    assert jobs.forget(database, now) == {"phone_position": 0, "sign_in": 0, "sign_in_failure": 1}
    assert ages(database, now) == [182]
    assert jobs.forget(database, now) == {"phone_position": 0, "sign_in": 0, "sign_in_failure": 0}
    with database.transaction(SYSTEM) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "retention.removed")).one()
        assert session.execute(text("SELECT * FROM audit_verify()")).all() == []
    assert (entry.subject_type, entry.data["number"], entry.data["days"]) == ("sign_in_failure", 1, 183)
    assert len(entry.data["sha256"]) == 64


@pytest.mark.parametrize(("name", "days", "refused"), [
    ("sign_in_failure", 6, IntegrityError), ("vehicle", 400, ProgrammingError), ("audit_entry", 400, ProgrammingError),
])  # fmt: skip
def test_the_database_removes_nothing_young_and_nothing_else(database, now, failures, name, days, refused):
    with pytest.raises(refused), database.transaction(SYSTEM) as session:
        session.execute(service.FORGET, {"name": name, "before": now - timedelta(days=days), "moment": now})
    assert ages(database, now) == [184, 182]


def test_nobody_but_the_system_removes(database, now, failures):
    who = world.actor(database, "system_admin.city")
    with pytest.raises(NotAllowed), database.transaction(who) as session:
        service.forget(session, name="sign_in_failure", actor=who, now=now)
    with pytest.raises(ProgrammingError, match="nothing of"), database.transaction(who) as session:
        session.execute(service.FORGET, {"name": "sign_in_failure", "before": now - timedelta(days=300), "moment": now})
    for table in ("phone_position", "sign_in"):
        with pytest.raises(DBAPIError, match="permission denied"), database.transaction(SYSTEM) as session:
            session.execute(text(f"DELETE FROM {table}"))


def test_a_phones_position_goes_at_its_age_and_by_no_other_way(new_database, now):
    url = new_database()
    owner = make_engine(url, role=None)
    with owner.begin() as connection:  # without a journey: only its age is asked about here
        connection.execute(
            text(
                "ALTER TABLE phone_position DISABLE TRIGGER guard; ALTER TABLE phone_position DROP CONSTRAINT fk_phone_position_assignment_id"
            )
        )
        connection.execute(text(
            "INSERT INTO phone_position (org_id, assignment_id, user_id, at, received_at, lat, lon)"
            " SELECT o.id, 1, u.id, :now - d.days * interval '1 day', :now, 30.2, 120.1 FROM (SELECT min(id) AS id FROM organisation) o,"
            " (SELECT min(id) AS id FROM user_account) u, (VALUES (179), (181)) AS d (days)"), {"now": now})  # fmt: skip
    with pytest.raises(IntegrityError, match="by age alone"), owner.begin() as connection:
        connection.execute(text("DELETE FROM phone_position"))
    with pytest.raises(IntegrityError, match="by age alone"), owner.begin() as connection:
        connection.execute(text("UPDATE phone_position SET lat = 0"))
    engine = make_engine(url)
    database = Database(engine)
    assert jobs.forget(database, now)["phone_position"] == 1
    with database.transaction(SYSTEM) as session:
        assert session.scalars(text("SELECT :now - at FROM phone_position").bindparams(now=now)).all() == [
            timedelta(days=179)
        ]
    engine.dispose()
    owner.dispose()
