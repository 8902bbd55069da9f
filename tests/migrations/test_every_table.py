"""Every table of the live catalogue against the application's role, with nothing but grants and row-level security in the way.

Triggers are switched off and all constraints dropped in a database of its own, so that a refusal can only come
from a policy or a missing grant. Each table gets one row of three units; a table that is new is tried without being named here.
"""

import pytest
from psycopg import errors, sql
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, become, make_engine
from tests import world
from tests.conftest import NOW

ROW = "CAST(tableoid AS text) || CAST(ctid AS text)"
UNITS = ("xhedu", "xhhealth", "bjwater")  # two of one district, one of another

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

MACHINERY = {
    "alembic_version": "the schema's version",
    "spatial_ref_sys": "PostGIS",
    "number_series": "running numbers without a name; a trigger lets them go up by one only",
    "derive_cursor": "how far a job has come",
    "gps_terminal": "devices before they belong to a vehicle",
    "gps_touched": "windows of work without a position",
    "gps_unsealed": "days of work without a position",
    "gps_quarantine": "refused frames; the pages read them by permission",
    "gps_link": "the gateway's own state",
    "gps_gateway": "which gateways live",
    "gps_upstream": "superior platforms",
    "gps_upstream_queue": "what the gateway will send on",
    "gps_upstream_sent": "what it has sent on",
    "gps_upstream_gap": "what it could not",
}
"""Without row-level security: rows that belong to nobody."""

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


def columns_of(connection, table):
    return connection.execute(
        text(
            "SELECT a.attname AS name, format_type(a.atttypid, NULL) AS kind, a.attnotnull AND NOT a.atthasdef AS needed,"
            " a.attidentity <> '' AS identity, a.attgenerated <> '' AS computed"
            " FROM pg_attribute a WHERE a.attrelid = CAST(:t AS regclass) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        ),
        {"t": table},
    ).all()


def references(connection):
    """Return by table which column points to which table; only keys of one column."""
    rows = connection.execute(
        text(
            "SELECT c.conrelid::regclass::text AS source, a.attname AS name, c.confrelid::regclass::text AS target FROM pg_constraint c"
            " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]"
            " WHERE c.contype = 'f' AND cardinality(c.conkey) = 1 AND c.connamespace = 'public'::regnamespace"
        )
    )
    found = {}
    for row in rows:
        found.setdefault(row.source, {})[row.name] = row.target
    return found


def value(kind, number):
    """Return some value of a type as SQL; different for every unit."""
    moment = f"timestamptz '{NOW.isoformat()}' + interval '{number} hours'"
    return {
        "bigint": str(9000 + number), "integer": str(number), "smallint": str(number), "boolean": "false", "text": f"'t{number}'",
        "character varying": f"'t{number}'", "numeric": "1", "double precision": "0.5", "real": "0.5", "bytea": f"'\\x0{number}'::bytea",
        "jsonb": "'{}'::jsonb", "date": f"date '{NOW.date()}' + {number}", "timestamp with time zone": moment, "time without time zone": "time '08:00'",
        "tstzrange": f"tstzrange({moment}, NULL)", "daterange": f"daterange(date '{NOW.date()}' + {number}, NULL)", "bit": f"B'{number:096b}'",
        "uuid": f"'00000000-0000-0000-0000-00000000000{number}'::uuid", "geometry": "ST_SetSRID(ST_MakePoint(120.1, 30.2), 4326)",
        "text[]": "'{}'::text[]", "bigint[]": "'{}'::bigint[]", "double precision[]": "'{}'::double precision[]", "interval": "interval '1 hour'",
        "int4range": f"int4range({10 * number}, {10 * number + 5})", "integer[]": "'{}'::integer[]", "real[]": "'{}'::real[]", "inet": f"inet '10.0.0.{number}'",
    }[kind]  # fmt: skip


SHAPES = {"parking_area": ("area", "POLYGON"), "trip": ("path", "LINESTRING"), "order_route": ("path", "LINESTRING")}


class Ground:
    """The stripped database: which tables there are, and each unit's row in each of them."""

    def __init__(self, engine, owner):
        self.database, self.owner = Database(engine), owner
        self.places, self.rows, self.columns = {}, {}, {}

    def strip(self, connection):
        connection.execute(
            text("SELECT gps_ensure_partition(CAST(:day AS date) + n) FROM generate_series(0, 3) n"),
            {"day": NOW.date()},
        )
        self.links = references(connection)
        for table, name in connection.execute(
            text(
                "SELECT c.conrelid::regclass::text, c.conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
                " WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') AND c.connamespace = 'public'::regnamespace AND c.coninhcount = 0"
                " AND t.relname <> 'spatial_ref_sys' ORDER BY c.contype <> 'f'"
            )
        ).all():
            connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))
        self.tables = connection.scalars(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
                " AND NOT relispartition ORDER BY relname"
            )
        ).all()
        for table in self.tables:
            if table not in MACHINERY:
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))

    def seed(self, connection):
        """Give every unit a row in every table, each pointing to the unit's own rows."""
        for number, unit in enumerate(UNITS, start=1):
            name = next(zh for key, _, _, _, zh, _, _ in world.ORGS if key == unit)
            org = connection.scalar(text("SELECT id FROM organisation WHERE name_zh = :n"), {"n": name})
            who = connection.scalar(
                text("SELECT id FROM user_account WHERE username = :u"), {"u": f"unit_admin.{unit}"}
            )
            self.places[unit] = {"organisation": org, "user_account": who, "number": number}
            for table, column, key in (
                ("organisation", "id", org),
                ("user_account", "id", who),
                ("role_grant", "user_id", who),
            ):
                self.columns[table] = columns_of(connection, table)
                self.rows[table, unit] = connection.scalar(text(f"SELECT {ROW} FROM {table} WHERE {column} = {key}"))
            self.insert(connection, "gps_terminal", unit)
        left = [
            table
            for table in self.tables
            if table not in {"organisation", "user_account", "role_grant", "audit_head", *MACHINERY}
        ]
        while left:  # what others point to comes first
            ready = [
                table
                for table in left
                if not {target for target in self.links.get(table, {}).values() if target != table} & set(left)
            ] or left[:1]
            for table in ready:
                for unit in UNITS:
                    self.insert(connection, table, unit)
            left = [table for table in left if table not in ready]

    def insert(self, connection, table, unit):
        place = self.places[unit]
        columns = self.columns[table] = columns_of(connection, table)
        links = self.links.get(table, {})
        given = {}
        for column in columns:
            if column.computed:
                continue
            target = "organisation" if column.name == "org_id" else links.get(column.name)
            if target != table and place.get(target) is not None:
                given[column.name] = str(place[target])
            elif column.name in {"terminal_id", "first_terminal", "last_terminal"}:
                given[column.name] = str(place["gps_terminal"])
            elif column.name == "terminal_ids":
                given[column.name] = f"ARRAY[{place['gps_terminal']}]::bigint[]"
            elif column.needed and not column.identity:
                given[column.name] = value(column.kind, place["number"])
        if table in SHAPES:
            column, kind = SHAPES[table]
            ends = (
                "120.1 30.2, 120.2 30.3" if kind == "LINESTRING" else "(120.1 30.2, 120.2 30.2, 120.2 30.3, 120.1 30.2)"
            )
            given[column] = f"ST_GeomFromText('{kind}({ends})', 4326)"
        if table == "attachment":
            given["sha256"] = f"'t{place['number']}'"
        if not given:  # every column has a default
            first = next(column for column in columns if not column.computed and not column.identity)
            given[first.name] = value(first.kind, place["number"])
        names = ", ".join(f'"{name}"' for name in given)
        returning = "id" if any(column.name == "id" for column in columns) else "NULL::bigint"
        made = connection.execute(
            text(
                f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({', '.join(given.values())})"
                f" RETURNING {ROW}, {returning}".replace(":", "\\:")
            )
        ).one()
        self.rows[table, unit], place[table] = made

    def first_column(self, table):
        """Return the first column of a table that can be written."""
        return next(
            (column.name for column in self.columns.get(table, ()) if not column.computed and not column.identity), "id"
        )

    def seen(self, session, table):
        """Return the units whose row this transaction sees."""
        there = set(session.scalars(text(f"SELECT {ROW} FROM {table}")).all())
        return {unit for unit in UNITS if self.rows[table, unit] in there}


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
