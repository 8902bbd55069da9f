"""PostgreSQL's own programs, given an address without its password showing in the list of processes."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from fleetapp.operations.manifest import Refused

VARIABLES = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
    "dbname": "PGDATABASE", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "passfile": "PGPASSFILE",
}  # fmt: skip


def address(url: str, database: str | None = None) -> str:
    """Return an address as psycopg reads it, of another database if one is named."""
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    return make_conninfo(plain, dbname=database) if database else make_conninfo(plain)


def database_name(url: str) -> str:
    """Return the database that an address names.

    :raises Refused: none.
    """
    name = conninfo_to_dict(address(url)).get("dbname")
    if not name:
        raise Refused("数据库地址没有写库名", "the database address names no database")
    return str(name)


def run(program: str, arguments: Sequence[str], *, url: str, database: str | None = None, log: Path | None = None) -> None:  # fmt: skip
    """Run ``pg_dump`` or ``pg_restore``.

    :raises Refused: it is not installed, or fails; the sentence has its last line.
    """
    given = conninfo_to_dict(address(url, database))
    env = os.environ | {VARIABLES[name]: str(value) for name, value in given.items() if name in VARIABLES}
    try:
        done = subprocess.run([program, *arguments], env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Refused(
            f"找不到 {program}：请安装 postgresql-client", f"{program} is not installed: install postgresql-client"
        ) from None
    if log is not None:
        log.write_text(done.stderr, encoding="utf-8")
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in lines if "error:" in line), lines[-1] if lines else "?")
        raise Refused(f"{program} 失败：{said}", f"{program} failed: {said}")
