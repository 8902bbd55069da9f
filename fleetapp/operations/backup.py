"""A backup: the database as one snapshot, the archive files it names, the list of keys, a manifest over all of it.

Everything is written under a name that no restore accepts, read back, and named at the end: a backup that is there is whole.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psycopg

from fleetapp.operations import manifest, postgres, rules
from fleetapp.operations.manifest import ArchiveFile, Facts, KeyFile, Manifest, Refused, sha256_of, stored

KEYS = ("FLEET_SECRET_KEY_FILE", "FLEET_SLIP_KEYS_FILE", "FLEET_EVIDENCE_KEYS_FILE")
NAME = "%Y%m%dT%H%M%SZ"
SPARE_BYTES = 256 * 1024 * 1024


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep other backups and prunings out of a folder.

    :raises Refused: one is at work.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"{root} 中另一个备份正在进行，请稍后再试", f"another backup is at work in {root}: try again later"
            ) from None
        yield


def create(url: str, root: Path, *, now: datetime, keys: Mapping[str, str], with_keys: bool = False) -> Path:
    """Back up the database at ``url`` and what belongs to it into a new folder of ``root``; returns that folder.

    ``url`` must be of a role that may read every row: the owner or a superuser. ``keys`` are files by their setting.

    :raises Refused: no room, a file of the archive is missing or damaged, PostgreSQL's programs fail; nothing is left.
    """
    with alone(root):
        made, draft = root / now.strftime(NAME), root / f".{now.strftime(NAME)}.partial"
        if made.exists():
            raise Refused(f"{made} 已存在", f"{made} is there already")
        for left in root.glob(".*.partial"):
            shutil.rmtree(left)
        draft.mkdir(mode=0o700)
        try:
            _fill(url, root, draft, now=now, keys=keys, with_keys=with_keys)
        except OSError as error:
            raise Refused(
                f"无法写入备份（{error}），没有留下备份：请检查 {root} 的空间与权限",
                f"the backup cannot be written ({error}), none is left: check room and permissions of {root}",
            ) from error
        else:
            draft.rename(made)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        _sync(root)
        return made


def _fill(url: str, root: Path, draft: Path, *, now: datetime, keys: Mapping[str, str], with_keys: bool) -> None:
    kept = tuple(_keep_key(draft, setting, Path(name), copy=with_keys) for setting, name in keys.items())
    with psycopg.connect(postgres.address(url), autocommit=True) as connection:
        connection.execute(
            "SET row_security = off"
        )  # an address that may not see every row fails here instead of leaving some out
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute(
            "SELECT pg_export_snapshot(), pg_database_size(current_database()), datcollate, current_setting('server_version_num')::int"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        snapshot, size, locale, server = row
        _refuse_no_room(root, size // 4 + SPARE_BYTES)
        try:
            facts = manifest.facts_of(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Refused(
                "该数据库账号看不到全部数据，备份必须用所有者账号（FLEET_OWNER_DATABASE_URL）",
                "this account does not see every row: back up as the owner of the tables (FLEET_OWNER_DATABASE_URL)",
            ) from error
        dump = draft / manifest.DUMP
        postgres.run("pg_dump", ["--format=custom", f"--snapshot={snapshot}", f"--file={dump}"], url=url)
        connection.execute("COMMIT")
    postgres.run(
        "pg_restore", ["--list", f"--file={os.devnull}", str(dump)], url=url
    )  # its table of contents reads back
    for file in facts.archive:
        _keep_file(root, file)
    manifest.write(_manifest(draft, facts, now=now, server=server // 10_000, locale=locale, keys=kept), draft)
    for path in (draft / manifest.MANIFEST, draft / manifest.SUMS, dump, draft):
        _sync(path)


def _manifest(
    draft: Path, facts: Facts, *, now: datetime, server: int, locale: str, keys: tuple[KeyFile, ...]
) -> Manifest:
    dump = draft / manifest.DUMP
    return Manifest(manifest.FORMAT, now.isoformat(), server, locale, sha256_of(dump), dump.stat().st_size, facts, keys)


def _refuse_no_room(root: Path, wanted: int) -> None:
    free = shutil.disk_usage(root).free
    if free < wanted:
        raise Refused(
            f"{root} 只剩 {free >> 20} MB，备份约需 {wanted >> 20} MB：请清理旧备份（prune）或换一处",
            f"{root} has {free >> 20} MB left and the backup needs some {wanted >> 20} MB: prune old ones or choose another place",
        )


def _keep_key(draft: Path, setting: str, path: Path, *, copy: bool) -> KeyFile:
    if not path.is_file():
        raise Refused(f"{setting} 指向的 {path} 不存在", f"{setting} names {path}, which is not there")
    name = f"{setting.lower()}-{path.name}"
    if copy:
        (draft / "keys").mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(path, draft / "keys" / name)
        (draft / "keys" / name).chmod(0o600)
    return KeyFile(setting, name, sha256_of(path), copy)


def _keep_file(root: Path, file: ArchiveFile) -> None:
    """Copy an archive file to where its content belongs, unless an earlier backup did."""
    there, source = stored(root, file.sha256), Path(file.directory) / file.name
    if there.is_file() and sha256_of(there) == file.sha256:
        return
    there.parent.mkdir(parents=True, exist_ok=True)
    draft = there.with_suffix(".new")
    if source.is_file():
        shutil.copyfile(source, draft)
    if not draft.is_file() or sha256_of(draft) != file.sha256:  # the copy is what counts, so it is what is read
        draft.unlink(missing_ok=True)
        raise Refused(
            f"归档文件 {source} 不存在或已损坏，没有留下备份：请先从较早的备份放回",
            f"the archive file {source} is missing or damaged, no backup is left: put it back from an earlier one first",
        )
    _sync(draft)
    draft.replace(there)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def backups(root: Path) -> dict[datetime, Path]:
    """Return the complete backups of a folder by their moment."""
    found = {}
    for path in sorted(root.glob("*Z")):
        with suppress(ValueError):
            at = datetime.strptime(f"{path.name}+0000", f"{NAME}%z")
            if (path / manifest.SUMS).is_file():
                found[at] = path
    return found


def prune(root: Path, *, keep: rules.Keep) -> list[Path]:
    """Remove backups that the rotation does not keep, then archive files that no backup names; returns the former."""
    with alone(root):
        there = backups(root)
        wanted = rules.kept(there, keep)
        gone = [path for at, path in there.items() if at not in wanted]
        # The rest is read first: a manifest that cannot be read must not make its files look unneeded.
        needed = {file.sha256 for at in wanted for file in manifest.read(there[at]).facts.archive}
        for path in gone:
            (path / manifest.SUMS).unlink()
            shutil.rmtree(path)
        for path in (root / manifest.FILES).glob("*/*"):
            if path.name not in needed:
                path.unlink()
        return gone
