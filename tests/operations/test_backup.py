"""A backup proves itself; a restore gives back all of it or leaves everything as it was."""

import json
import subprocess
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from fleetapp.attachments import service as attachments
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.operations import backup, manifest, restore
from fleetapp.operations.__main__ import main
from fleetapp.operations.manifest import Refused
from fleetapp.settings import Settings
from fleetapp.web.shell import newest_revision
from telematics import archive, store
from tests import serving
from tests.conftest import NOW, named
from tests.telematics.made import drive

DAY = date(2026, 5, 20)
START = datetime(2026, 5, 20, tzinfo=UTC)
AT = datetime(2026, 11, 18, 1, 2, 3, tzinfo=UTC)
PICTURE = b"\xff\xd8\xff" + bytes(2000)


def no_news(_line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def source(new_database, tmp_path_factory):
    """Database with positions in tables, raw frames, positions in Parquet files, an attachment and entries of the log."""
    url, folder = new_database(), tmp_path_factory.mktemp("archive")
    with psycopg.connect(url, autocommit=True) as connection:
        terminal = store.add_terminal(connection, phone="backup1")
        for day in (START, START + timedelta(days=1)):
            with connection.transaction():
                store.save(
                    connection, [(terminal, fix, raw) for fix, raw in drive(day, 50, 30, 1)], day + timedelta(hours=3)
                )
        archive.archive_day(connection, DAY, folder, NOW, drop=True)
    with serving.connected(url) as database, database.transaction(SYSTEM) as session:
        org_id = session.execute(text("SELECT min(id) FROM organisation")).scalar_one()
        attachments.attach(session, org_id=org_id, subject_type="vehicle", subject_id=1, label="photo", name="照片.jpg", content=PICTURE,
                           actor=SYSTEM, now=NOW)  # fmt: skip
    return url, folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("backups")


@pytest.fixture(scope="module")
def made(source, root, tmp_path_factory):
    key = tmp_path_factory.mktemp("keys") / "secret_key"
    key.write_text("ab" * 32, encoding="ascii")
    return backup.create(source[0], root, now=AT, keys={"FLEET_SECRET_KEY_FILE": str(key)})


@pytest.fixture
def target(cluster_url):
    """Address of a database that is not there yet."""
    name = f"fleet_back_{uuid.uuid4().hex[:12]}"
    yield named(cluster_url, name)
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def databases(cluster_url, target):
    name = target.rsplit("/", 1)[1]
    with psycopg.connect(cluster_url) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [name])
        return [row[0] for row in found]


@pytest.fixture
def copied(made, root, tmp_path):
    """A copy of the backups that a test may damage."""
    subprocess.run(["cp", "-r", str(root), str(tmp_path / "copy")], check=True)
    return tmp_path / "copy" / made.name


def test_a_restore_gives_back_rows_chain_files_and_rights(made, source, target, tmp_path):
    place = tmp_path / "new place"
    found = restore.restore(made, target, revision=newest_revision(), archive_dir=place, say=no_news)
    with psycopg.connect(target) as there, psycopg.connect(source[0]) as before:
        back, was = manifest.facts_of(there), manifest.facts_of(before)
        assert (back.rows, back.chain_hash, back.chain_seq) == (was.rows, was.chain_hash, was.chain_seq)
        assert back.rows["attachment_content"] == 1
        assert back.rows[f"gps_raw_{START + timedelta(days=1):%Y%m%d}"] > 0
        assert len(found.facts.archive) == 2
        terminal = there.execute("SELECT id FROM gps_terminal WHERE phone = 'backup1'").fetchone()[0]
        span = (terminal, START, START + timedelta(days=2))
        assert archive.read_track(there, *span) == archive.read_track(before, *span)
        assert {row[0] for row in there.execute("SELECT directory FROM gps_archive")} == {str(place)}
        with pytest.raises(psycopg.errors.RestrictViolation):
            there.execute("UPDATE gps_archive SET directory = 'x'")
        there.rollback()
        there.execute("SET ROLE fleet_app")
        assert there.execute("SELECT count(*) FROM vehicle").fetchone()[0] == 0  # row-level security came back
    app = create_app(Settings(database_url=target, secret_key="only for tests"))
    assert app.test_cli_runner().invoke(args=["db-check"]).output == ""
    app.extensions["fleet"].database.engine.dispose()


def test_the_manifest_names_keys_and_holds_no_secret(made):
    found = manifest.read(made)
    assert [(key.setting, key.copied) for key in found.keys] == [("FLEET_SECRET_KEY_FILE", False)]
    assert not (made / "keys").exists()
    assert "ab" * 32 not in (made / manifest.MANIFEST).read_text(encoding="utf-8")
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=made, check=False).returncode == 0


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def files_of(backup_folder: Path) -> list[Path]:
    return sorted(path for path in (backup_folder.parent / "files").glob("*/*"))


BROKEN = {
    "dump missing": lambda made: (made / "database.dump").unlink(),
    "dump cut": lambda made: (made / "database.dump").write_bytes((made / "database.dump").read_bytes()[:-100]),
    "dump damaged": lambda made: damage(made / "database.dump"),
    "manifest altered": lambda made: damage(made / "manifest.json"),
    "sums missing": lambda made: (made / "SHA256SUMS").unlink(),
    "archive file missing": lambda made: files_of(made)[0].unlink(),
    "archive file damaged": lambda made: damage(files_of(made)[1]),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_backup_is_refused_and_nothing_is_left(how, copied, cluster_url, target, tmp_path):
    BROKEN[how](copied)
    with pytest.raises(Refused, match="备份"):
        restore.restore(copied, target, revision=newest_revision(), archive_dir=tmp_path / "a", say=no_news)
    assert databases(cluster_url, target) == []
    assert not (tmp_path / "a").exists()


def rewritten(folder, change):
    """Alter a manifest and its sum, as somebody would who knows the format."""
    found = json.loads((folder / manifest.MANIFEST).read_text(encoding="utf-8"))
    change(found)
    (folder / manifest.MANIFEST).write_text(json.dumps(found), encoding="utf-8")
    sums = f"{manifest.sha256_of(folder / manifest.MANIFEST)}  {manifest.MANIFEST}\n"
    (folder / manifest.SUMS).write_text(sums, encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.update(format=9), "格式"),
        (lambda found: found["facts"].update(revision="0042"), "0042"),
        (lambda found: found.update(server=99), "PostgreSQL 99"),
    ],
)
def test_a_backup_of_another_version_is_refused(change, words, copied, cluster_url, target):
    rewritten(copied, change)
    with pytest.raises(Refused, match=words):
        restore.restore(copied, target, revision=newest_revision(), say=no_news)
    assert databases(cluster_url, target) == []


def test_what_came_back_otherwise_than_the_manifest_says_is_thrown_away(copied, cluster_url, target, tmp_path):
    rewritten(copied, lambda found: found["facts"]["rows"].update(vehicle=4711))
    with pytest.raises(Refused, match="vehicle: .* ≠ 4711"):
        restore.restore(copied, target, revision=newest_revision(), archive_dir=tmp_path / "a", say=no_news)
    assert databases(cluster_url, target) == []
    assert not (tmp_path / "a").exists()


def test_a_database_that_holds_something_is_never_overwritten(made, source, database_url):
    with pytest.raises(Refused, match="不是空的"):
        restore.restore(made, database_url, revision=newest_revision(), say=no_news)


def test_an_archive_file_of_other_content_is_never_overwritten(made, cluster_url, target, tmp_path):
    other = tmp_path / manifest.read(made).facts.archive[1].name
    other.parent.mkdir(parents=True)
    other.write_bytes(b"other")
    with pytest.raises(Refused, match="内容不同"):
        restore.restore(made, target, revision=newest_revision(), archive_dir=tmp_path, say=no_news)
    assert other.read_bytes() == b"other"
    assert [path for path in tmp_path.rglob("*.parquet") if path != other] == []
    assert databases(cluster_url, target) == []


def test_a_missing_archive_file_makes_no_backup(source, tmp_path):
    url, folder = source
    lost = next(folder.rglob("frames-*.parquet"))
    kept = lost.rename(lost.with_suffix(".away"))
    try:
        with pytest.raises(Refused, match="归档文件"):
            backup.create(url, tmp_path / "b", now=AT, keys={})
    finally:
        kept.rename(lost)
    assert backup.backups(tmp_path / "b") == {}
    assert list((tmp_path / "b").glob(".*partial")) == []


def test_an_account_that_does_not_see_every_row_makes_no_backup(source, cluster_url, tmp_path):
    name = f"fleet_login_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(cluster_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x' INHERIT IN ROLE fleet_app, pg_read_all_data")
        try:
            url = psycopg.conninfo.make_conninfo(source[0], user=name, password="x")
            with pytest.raises(Refused, match="FLEET_OWNER_DATABASE_URL"):
                backup.create(url, tmp_path / "b", now=AT, keys={})
        finally:
            admin.execute(f"DROP ROLE {name}")
    assert backup.backups(tmp_path / "b") == {}


def test_pruning_keeps_what_the_rotation_says_and_the_files_they_name(copied):
    root = copied.parent
    day_before = root / (AT - timedelta(days=1)).strftime(backup.NAME)
    copied.rename(day_before)
    newest = root / AT.strftime(backup.NAME)
    subprocess.run(["cp", "-r", str(day_before), str(newest)], check=True)
    stray = root / "files" / "00" / ("0" * 64)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"of a backup that is gone")
    gone = backup.prune(root, keep=backup.rules.Keep(daily=1, weekly=0, monthly=0))
    assert gone == [day_before]
    assert list(backup.backups(root).values()) == [newest]
    assert not stray.exists()
    manifest.check_files(newest, manifest.read(newest))


def test_the_commands_of_the_engineer(source, made, monkeypatch, capsys, target):
    def run(*words):
        monkeypatch.setattr("sys.argv", ["operations", *words])
        return main(), *capsys.readouterr()

    monkeypatch.setenv("FLEET_OWNER_DATABASE_URL", source[0])
    assert run("check", "--from", str(made))[0] == 0
    status, _, words = run("restore", "--from", str(made))
    assert (status, "不是空的" in words) == (1, True)
    status, _, words = run("backup", "--to", str(made.parent), "--database-url", target)
    assert (status, "数据库无法连接" in words) == (1, True)
    assert run("prune", "--in", str(made.parent))[:2] == (0, "")
