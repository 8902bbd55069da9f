"""No room on the disk: the person is told, and nothing of what was sent stays."""

import errno

import psycopg
import pytest
from sqlalchemy import text

from fleetapp.attachments import service as attachments
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.settings import Settings

PICTURE = b"\xff\xd8\xff" + bytes(2000)
FULL = """
    CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER no_room BEFORE INSERT ON attachment FOR EACH ROW EXECUTE FUNCTION no_room()"""


@pytest.fixture
def client(live_database, live_database_url, now):
    """An application with two public addresses that meet a full disk: the database's, and the program's own."""
    app = create_app(Settings(database_url=live_database_url, secret_key="only for tests"), live_database)
    app.testing = True

    def keeps():
        with live_database.transaction(SYSTEM) as session:
            org_id = session.scalar(text("SELECT min(id) FROM organisation"))
            attachments.attach(session, org_id=org_id, subject_type="vehicle", subject_id=1, label="photo", name="a.jpg", content=PICTURE,
                               actor=SYSTEM, now=now)  # fmt: skip
        return "kept"

    def exports():
        raise OSError(errno.ENOSPC, "No space left on device")

    app.view_functions |= {"shell.healthz": keeps, "operations.readyz": exports}
    return app.test_client()


def kept(database):
    query = "SELECT (SELECT count(*) FROM attachment) + (SELECT count(*) FROM attachment_content), (SELECT seq FROM audit_head)"
    with database.transaction(SYSTEM) as session:
        return tuple(session.execute(text(query)).one())


def test_a_full_disk_of_the_database_keeps_nothing_and_says_so(client, live_database, live_database_url):
    with psycopg.connect(live_database_url) as owner:
        owner.execute(FULL)
    before = kept(live_database)
    answer = client.get("/healthz")
    assert answer.status_code == 507
    assert "磁盘空间不足" in answer.text
    assert kept(live_database) == before
    with psycopg.connect(live_database_url) as owner:
        owner.execute("DROP TRIGGER no_room ON attachment")
    assert client.get("/healthz").text == "kept"
    assert kept(live_database) != before


def test_a_full_disk_of_the_program_says_so(client):
    answer = client.get("/readyz")
    assert (answer.status_code, "磁盘空间不足" in answer.text) == (507, True)
