"""Every table of the live catalogue against the application's role, with nothing but grants and row-level security in the way.

Triggers are switched off and all constraints dropped in a database of its own, so that a refusal can only come
from a policy or a missing grant. Each table gets one row of three units; a table that is new is tried without being named here.
"""

import pytest
from psycopg import errors, sql
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import become, make_engine
from tests import world
from tests.ground import MACHINERY, ROW, UNITS, Ground

DIRECTORY = {
    "organisation": "the tree that every form offers",
    "user_account": "names beside what people did; lists are narrowed by visible_to, password hashes by column",
    "role_grant": "who decides on what is told to whoever asks for it",
    "place": "the gazetteer",
    "calendar_day": "the working-day calendar",
    "approval_chain": "who will decide is told before one asks",
    "approval_level": "part of a chain",
    "approval_delegation": "who decides for whom",
    "policy_value": "figures of law and policy are public",
    "price_book": "a published price list is public",
    "notice_route": "which ways notices go",
    "audit_published_head": "hashes that outsiders keep",
    "audit_head": "the newest hash",
    "gps_archive": "where a day's files are",
    "gps_archive_event": "what happened to them",
    "sample_run": "which weeks were sampled, without a case",
    "exchange_link": "whether the superior platform answers",
    "exchange_interface": "which interfaces are on or paused",
    "exchange_cursor": "how far each of them has come",
    "exchange_replay": "which periods were reported again and why; the pages ask for the permission",
}
"""Read by everybody signed in, and why; writing is refused all the same."""

PERSONAL = {
    "sign_in", "second_factor", "recovery_code", "external_identity", "favourite_trip", "report_task", "report_piece", "notice", "notice_address", "notice_preference",
}  # fmt: skip
"""Whoever it is about sees it and nobody above."""

OWN_ALONE = {"favourite_trip"}
"""Not even the system's."""

SYSTEMS = {"gps_seal", "sign_in_failure", "logout_token", "password_reset", "job_run", "scheduler_lead", "chain_check"}
"""Seen by the system alone; a password's reset also by the two administrators who look after the account."""

TOLD = {"notice", "attachment_content", "audit_entry"}
"""Rows that one person leaves for another: inserted freely, read by whom they are for (the audit log by its auditors)."""


@pytest.fixture(scope="module")
def ground(new_database):
    url = new_database()
    owner = make_engine(url, role=None)
    engine = make_engine(url)
    made = Ground(engine, owner)
    with owner.begin() as connection:
        made.strip(connection)
        made.seed(connection)
    yield made
    engine.dispose()
    owner.dispose()


def business(ground):
    """Every table but the machinery."""
    return [table for table in ground.tables if table not in MACHINERY]


READERS = {
    "unit_admin.xhedu": {"xhedu"},
    "dispatcher.xihu": {"xhedu", "xhhealth"},
    "dispatcher.city": set(UNITS),
    "auditor.city": set(UNITS),
    "auditor.binjiang": {"bjwater"},
}


@pytest.mark.parametrize("username", READERS)
def test_everybody_reads_the_own_part_of_the_tree_in_every_table(ground, username):
    wrong = {}
    with ground.database.transaction(world.actor(ground.database, username)) as session:
        for table in business(ground):
            if table in DIRECTORY:
                continue
            expected = READERS[username]
            if table in SYSTEMS or (table in PERSONAL and not username.startswith("unit_admin")):
                expected = set()
            if (found := ground.seen(session, table)) != expected:
                wrong[table] = found
    assert not wrong, str(wrong)


def test_the_system_reads_everything_and_without_a_scope_there_is_nothing(ground):
    with ground.database.transaction(SYSTEM) as session:
        for table in business(ground):
            if table not in DIRECTORY and table not in OWN_ALONE:
                assert ground.seen(session, table) == set(UNITS), table
    with ground.database.engine.connect() as connection:
        for table in business(ground):
            if table not in DIRECTORY:
                assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table


WRITERS = {
    "unit_admin.xhedu": "xhhealth",
    "dispatcher.xihu": "bjwater",
    "fleet_manager.binjiang": "xhedu",
    None: "xhedu",
}


def attempt(ground, who, statement):
    """Run a statement as somebody and take it back; returns the rows it touched, or the refusal."""
    with ground.database.engine.connect() as connection:
        with ground.database._sessions(bind=connection) as session:
            if who is not None:
                become(session, who)
            raw = session.connection().connection.driver_connection
            try:
                return raw.execute(statement).rowcount
            except errors.InsufficientPrivilege as refused:
                return refused
            finally:
                session.rollback()


@pytest.mark.parametrize("username", WRITERS)
def test_nobody_writes_into_another_part_of_the_tree_in_any_table(ground, username):
    who = world.actor(ground.database, username) if username else None
    unit = WRITERS[username]
    owner_rows = copies(ground, unit)
    open_to_writing = []
    for table in business(ground):
        place = ground.rows.get((table, unit))
        named = sql.Identifier(table)
        if place is not None:
            column, where, place = sql.Identifier(ground.first_column(table)), sql.SQL(ROW), sql.Literal(place)
            change = sql.SQL("UPDATE {} SET {} = {} WHERE {} = {}").format(named, column, column, where, place)
            removal = sql.SQL("DELETE FROM {} WHERE {} = {}").format(named, where, place)
            open_to_writing += [
                f"{kind} {table}"
                for kind, statement in (("UPDATE", change), ("DELETE", removal))
                if attempt(ground, who, statement) in (1, 2)
            ]
        if table in owner_rows and table not in TOLD:
            found = attempt(ground, who, owner_rows[table])
            if not isinstance(found, errors.InsufficientPrivilege):
                open_to_writing.append(f"INSERT {table}")
    assert not open_to_writing, ", ".join(open_to_writing)


def copies(ground, unit):
    """Return by table the statement that adds the unit's row once more."""
    found = {}
    with ground.owner.connect() as connection:
        raw = connection.connection.driver_connection
        for table in business(ground):
            place = ground.rows.get((table, unit))
            columns = ground.columns.get(table)
            if place is None or columns is None:
                continue
            names = [column.name for column in columns if not column.computed and not column.identity]
            row = raw.execute(
                sql.SQL("SELECT {} FROM {} WHERE {} = {}").format(
                    sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names),
                    sql.Identifier(table), sql.SQL(ROW), sql.Literal(place),
                )
            ).fetchone()  # fmt: skip
            kinds = {column.name: column.kind for column in columns}
            cells = [
                sql.SQL("{}::{}").format(sql.Literal(cell), sql.SQL("bit(96)" if kinds[name] == "bit" else kinds[name]))
                for name, cell in zip(names, row, strict=True)
            ]
            found[table] = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(cells)
            )
    return found


def test_every_table_without_row_level_security_is_named_with_a_reason(ground):
    with ground.database.engine.connect() as connection:
        bare = set(connection.scalars(text(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relrowsecurity AND NOT relispartition")))  # fmt: skip
    assert bare <= MACHINERY.keys() | {"organisation", "place", "calendar_day", "audit_head"}, (
        "enable row-level security in migrations/sql"
    )
    assert (MACHINERY.keys() | DIRECTORY.keys()) <= set(ground.tables), "a name on the lists is no table any more"
