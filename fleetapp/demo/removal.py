"""What in a database with the demo city is not the demo's: kept from being removed with it."""

from sqlalchemy import text
from sqlalchemy.orm import Session

SEEDED = "demo.seeded"
NAMED = {"organisation": "code", "user_account": "username", "vehicle": "plate", "gps_terminal": "phone"}
"""What tells real data from the demo's: whatever its own people do stays among these."""


def last_ids(session: Session) -> dict[str, int]:
    """Return the last id of every table of ``NAMED``."""
    return {table: session.scalar(text(f"SELECT coalesce(max(id), 0) FROM {table}")) for table in NAMED}  # noqa: S608 -- our own names


def not_of_the_demo(session: Session) -> dict[str, str]:
    """Return what was entered after the demo was made and is no work of its own people: names of some, by table.

    :raises LookupError: the database was not filled with the demo to the end, or by an earlier version of this program.
    """
    entry = session.execute(text("SELECT data FROM audit_entry WHERE action = :action"), {"action": SEEDED}).first()
    if entry is None or "last_ids" not in entry.data:
        raise LookupError(
            "数据库中没有完整的演示数据，未做任何改动。The database does not hold the whole demo of this version: nothing was changed."
        )
    found = {}
    for table, column in NAMED.items():
        query = text(f"SELECT {column} FROM {table} WHERE id > :last ORDER BY id LIMIT 4")  # noqa: S608 -- names of our own
        if names := session.scalars(query, {"last": entry.data["last_ids"][table]}).all():
            found[table] = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return found
