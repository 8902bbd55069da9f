"""What a backup says of itself: counts, the head of the audit chain, and the SHA-256 of every file."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, LiteralString

from psycopg import Connection, sql

FORMAT = 1
MANIFEST = "manifest.json"
DUMP = "database.dump"
SUMS = "SHA256SUMS"
FILES = "files"
"""Folder beside the backups that holds archive files by their SHA-256, each once for all backups."""

OWN_TABLES: LiteralString = """
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
    ORDER BY c.relname"""
"""Tables that hold rows and that no extension brought, partitions one by one."""

ARCHIVE_FILES: LiteralString = """
    SELECT directory, fix_file, fix_sha256 FROM gps_archive
    UNION ALL SELECT directory, frame_file, frame_sha256 FROM gps_archive ORDER BY 1, 2"""


class Refused(Exception):
    """Why a backup or restore is not done, and what to do, in one sentence of each language."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} / {en}")


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One Parquet file of positions: where the database says it is, and its SHA-256."""

    directory: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of secrets: the setting that names it, the digest of its content, whether the backup holds a copy."""

    setting: str
    name: str
    sha256: str
    copied: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What is compared after a restore: schema, rows of every table, head of the audit chain, files of the archive."""

    revision: str
    rows: dict[str, int]
    chain_seq: int
    chain_hash: str
    archive: tuple[ArchiveFile, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup. Times are UTC in ISO 8601, sizes bytes, digests SHA-256 in hex."""

    format: int
    made_at: str
    server: int
    locale: str
    dump_sha256: str
    dump_bytes: int
    facts: Facts
    keys: tuple[KeyFile, ...]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def facts_of(connection: Connection[Any]) -> Facts:
    """Count everything in one snapshot: the caller has opened a repeatable-read transaction."""
    rows = {}
    for (name,) in connection.execute(OWN_TABLES).fetchall():
        found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("public", name))).fetchone()
        rows[name] = found[0] if found else 0
    revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    head = connection.execute("SELECT seq, encode(hash, 'hex') FROM audit_head").fetchone()
    assert revision is not None
    assert head is not None
    files = tuple(ArchiveFile(*row) for row in connection.execute(ARCHIVE_FILES).fetchall())
    return Facts(revision[0], rows, head[0], head[1], files)


def write(manifest: Manifest, folder: Path) -> None:
    """Write the manifest, and the sums that protect it and the dump; ``sha256sum -c`` reads them too."""
    path = folder / MANIFEST
    path.write_text(json.dumps(asdict(manifest), ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
    sums = [(sha256_of(path), MANIFEST), (manifest.dump_sha256, DUMP)]
    sums += [(key.sha256, f"keys/{key.name}") for key in manifest.keys if key.copied]
    (folder / SUMS).write_text("".join(f"{digest}  {name}\n" for digest, name in sums), encoding="utf-8")


def read(folder: Path) -> Manifest:
    """Read a backup's manifest.

    :raises Refused: not there, altered, or of another format.
    """
    path = folder / MANIFEST
    if not path.is_file() or not (folder / SUMS).is_file():
        raise Refused(
            f"{folder} 不是完整的备份（缺少 {MANIFEST} 或 {SUMS}），请另选一份",
            f"{folder} is no complete backup ({MANIFEST} or {SUMS} is missing): choose another one",
        )
    if f"{sha256_of(path)}  {MANIFEST}" not in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        raise _damaged(path)
    found = json.loads(path.read_text(encoding="utf-8"))
    if found.get("format") != FORMAT or found.keys() != {field.name for field in fields(Manifest)}:
        raise Refused(
            f"备份格式为 {found.get('format')}，本程序只读格式 {FORMAT}：请用做备份的那个版本恢复",
            f"the backup is of format {found.get('format')}, this program reads {FORMAT}: restore with the version that made it",
        )
    archive = tuple(ArchiveFile(**file) for file in found["facts"].pop("archive"))
    keys = tuple(KeyFile(**key) for key in found.pop("keys"))
    return Manifest(**(found | {"facts": Facts(**found["facts"], archive=archive), "keys": keys}))


def check_files(folder: Path, manifest: Manifest) -> None:
    """Read every file of a backup and compare its SHA-256.

    :raises Refused: one is missing or damaged.
    """
    wanted = [(folder / DUMP, manifest.dump_sha256)]
    wanted += [(folder / "keys" / key.name, key.sha256) for key in manifest.keys if key.copied]
    wanted += [(stored(folder.parent, file.sha256), file.sha256) for file in manifest.facts.archive]
    for path, digest in wanted:
        if not path.is_file():
            raise Refused(
                f"备份缺少文件 {path}，未做任何改动：请放回该文件，或另选一份备份",
                f"the backup lacks {path}, nothing was changed: put the file back or choose another backup",
            )
        if sha256_of(path) != digest:
            raise _damaged(path)


def stored(root: Path, digest: str) -> Path:
    """Return where an archive file lies in the folder of backups."""
    return root / FILES / digest[:2] / digest


def _damaged(path: Path) -> Refused:
    return Refused(
        f"备份文件 {path} 已损坏（SHA-256 不符），未做任何改动：请另选一份备份",
        f"{path} of the backup is damaged (its SHA-256 differs), nothing was changed: choose another backup",
    )
