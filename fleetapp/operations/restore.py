"""A restore: into a database of another name, compared with the manifest, and renamed only when all of it agrees.

Until then the wanted database stays as it is, so whatever stops a restore leaves nothing half.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql

from fleetapp.operations import manifest, postgres
from fleetapp.operations.manifest import Facts, Manifest, Refused, sha256_of, stored

ROLES = Path(__file__).parents[2] / "migrations" / "sql" / "roles.sql"
SUFFIX = "_restoring"
WHOLE_OR_NOTHING = ["--exit-on-error", "--single-transaction", "--no-owner"]


def restore(
    folder: Path, url: str, *, revision: str, archive_dir: Path | None = None, say: Callable[[str], None] = print
) -> Manifest:  # fmt: skip
    """Restore a backup into the database that ``url`` names, which must be absent or empty; returns what was restored.

    ``url`` must be of a superuser. ``revision`` is the schema that this program works with. Archive files go where the
    database says they are, or to ``archive_dir``.

    :raises Refused: the backup is incomplete, damaged or of another version, the database holds tables, or what came back is
        not what the manifest says; the database and the archive are then as before.
    """
    found = manifest.read(folder)
    if found.facts.revision != revision:
        raise Refused(
            f"备份的数据库结构版本为 {found.facts.revision}，本程序为 {revision}：请用做备份的那个版本恢复，再升级",
            f"the backup's schema is {found.facts.revision}, this program's {revision}: restore with the version that made it, then upgrade",
        )
    say("校验备份文件 / checking the files of the backup")
    manifest.check_files(folder, found)
    name = postgres.database_name(url)
    scratch = f"{name}{SUFFIX}"
    with psycopg.connect(postgres.address(url, "postgres"), autocommit=True) as admin:
        _refuse_unfit(admin, url, name, found)
        missing = _missing(found, archive_dir)
        try:
            _load(admin, folder, url, scratch, found=found, say=say)
            _compare(url, scratch, found)
            with _archived(folder.parent, missing):
                if archive_dir:
                    _move_archive(url, scratch, archive_dir)
                _refuse_occupied(admin, url, name)  # whoever filled it meanwhile keeps it
                _take_place(admin, name, scratch)
        finally:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(scratch)))
    return found


def _refuse_unfit(admin: Connection[Any], url: str, name: str, found: Manifest) -> None:
    server = admin.info.server_version // 10_000
    if server < found.server:
        raise Refused(
            f"备份来自 PostgreSQL {found.server}，此处为 {server}：请使用不低于它的版本",
            f"the backup is from PostgreSQL {found.server}, this is {server}: use one not older",
        )
    _refuse_occupied(admin, url, name)


def _refuse_occupied(admin: Connection[Any], url: str, name: str) -> None:
    if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
        return
    with psycopg.connect(postgres.address(url)) as target:
        tables = [row[0] for row in target.execute(manifest.OWN_TABLES)]
    if tables:
        raise Refused(
            f"数据库 {name} 不是空的（有 {tables[0]} 等 {len(tables)} 张表），不会覆盖：请指定一个新库名",
            f"the database {name} is not empty ({len(tables)} tables, first {tables[0]}) and is not overwritten: name a new one",
        )


def _load(
    admin: Connection[Any], folder: Path, url: str, scratch: str, *, found: Manifest, say: Callable[[str], None]
) -> None:
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(scratch)))
    admin.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE {}").format(
            sql.Identifier(scratch), sql.Literal(found.locale)
        )
    )
    with psycopg.connect(postgres.address(url, scratch)) as connection:
        connection.execute(ROLES.read_bytes())  # a dump holds the rights of roles, but not the roles
    say(f"恢复数据库（{found.dump_bytes >> 20} MB） / restoring the database ({found.dump_bytes >> 20} MB)")
    postgres.run(
        "pg_restore", [*WHOLE_OR_NOTHING, f"--dbname={scratch}", str(folder / manifest.DUMP)], url=url, database=scratch
    )
    say("统计信息与核对 / statistics and comparison")
    with psycopg.connect(postgres.address(url, scratch), autocommit=True) as connection:
        connection.execute("ANALYZE")


def _compare(url: str, scratch: str, found: Manifest) -> None:
    with psycopg.connect(postgres.address(url, scratch)) as connection:
        there = manifest.facts_of(connection)
        if there != found.facts:
            raise _differs(there, found.facts)
        fault = connection.execute("SELECT seq, fault FROM audit_verify() LIMIT 1").fetchone()
    if fault:
        raise Refused(
            f"恢复出的审计链在第 {fault[0]} 条断开（{fault[1]}），未做任何改动：备份前审计日志已被改动，请另选一份",
            f"the audit chain that came back is broken at entry {fault[0]} ({fault[1]}), nothing was changed: it was so when the"
            " backup was made, choose another one",
        )


def _differs(there: Facts, wanted: Facts) -> Refused:
    names = sorted(there.rows.keys() | wanted.rows.keys())
    for name in names:
        if there.rows.get(name) != wanted.rows.get(name):
            what = f"{name}: {there.rows.get(name)} ≠ {wanted.rows.get(name)}"
            break
    else:
        what = f"audit_head: {there.chain_seq} ≠ {wanted.chain_seq}"
    return Refused(
        f"恢复出的数据与清单不符（{what}），未做任何改动：请另选一份备份",
        f"what came back is not what the manifest says ({what}), nothing was changed: choose another backup",
    )


def _missing(found: Manifest, archive_dir: Path | None) -> list[tuple[Path, str]]:
    """Return the archive files that are not in place yet, with their SHA-256.

    :raises Refused: a file of another content is in the place of one.
    """
    wanted = [((archive_dir or Path(file.directory)) / file.name, file.sha256) for file in found.facts.archive]
    for path, digest in wanted:
        if path.exists() and sha256_of(path) != digest:
            raise Refused(
                f"{path} 已存在且内容不同，未做任何改动：请移走它，或用 --archive-dir 指定另一个目录",
                f"{path} is there with other content, nothing was changed: move it away or name another --archive-dir",
            )
    return [(path, digest) for path, digest in wanted if not path.exists()]


@contextmanager
def _archived(root: Path, missing: Sequence[tuple[Path, str]]) -> Iterator[None]:
    """Put the archive files in place; those put there are removed again if the block fails."""
    put: list[Path] = []
    try:
        for path, digest in missing:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.new")
            put.append(draft)
            shutil.copyfile(stored(root, digest), draft)
            path.hardlink_to(draft)  # refused where another came since it was looked for: nothing is overwritten
            put.append(path)
            draft.unlink()
        yield
    except OSError as error:
        _remove(put)
        raise Refused(
            f"归档文件无法写入（{error}），未做任何改动：请检查空间与权限",
            f"the archive files cannot be written ({error}), nothing was changed: check room and permissions",
        ) from error
    except BaseException:
        _remove(put)
        raise


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _move_archive(url: str, scratch: str, archive_dir: Path) -> None:
    """Say where the files are now; the table is append-only for everybody who works with the database later."""
    with psycopg.connect(postgres.address(url, scratch)) as connection:
        connection.execute("ALTER TABLE gps_archive DISABLE TRIGGER append_only")
        connection.execute("UPDATE gps_archive SET directory = %s", [str(archive_dir.resolve())])
        connection.execute("ALTER TABLE gps_archive ENABLE TRIGGER append_only")


def _take_place(admin: Connection[Any], name: str, scratch: str) -> None:
    try:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
    except psycopg.errors.ObjectInUse as error:
        raise Refused(
            f"有程序连接着 {name}，未做任何改动：请先停止网页、网关和后台任务",
            f"programs are connected to {name}, nothing was changed: stop web, gateway and scheduler first",
        ) from error
    admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(scratch), sql.Identifier(name)))
