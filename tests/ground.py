"""A database with a row in every table: the world's, stripped of its triggers and constraints, so that any row will do."""

import re

from sqlalchemy import text

from fleetapp.kit.db import Database
from tests import world
from tests.conftest import NOW

ROW = "CAST(tableoid AS text) || CAST(ctid AS text)"
UNITS = ("xhedu", "xhhealth", "bjwater")  # two of one district, one of another

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

ALLOWED = re.compile(r"'([^']*)'::text")
"""The values in a CHECK that a column is one of several."""


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

    dropped = "cfpux"
    """Kinds of constraints that are taken away (``pg_constraint.contype``)."""

    def __init__(self, engine, owner, units=UNITS):
        self.database, self.owner, self.units = Database(engine), owner, units
        self.places, self.rows, self.columns = {}, {}, {}

    def person(self, table, column, unit):
        """Return the account that a column of the unit's row names."""
        return self.places[unit]["user_account"]

    def beforehand(self, connection, unit):
        """Name rows that are there already and stand for the unit's, by table."""

    def default(self, table, column, number):
        """Return some value of a column as SQL: one that a dropped CHECK would have allowed, else any of its type."""
        choices = self.choices.get((table, column.name))
        return f"'{choices[0]}'" if choices else value(column.kind, number)

    def strip(self, connection):
        connection.execute(
            text("SELECT gps_ensure_partition(CAST(:day AS date) + n) FROM generate_series(0, 3) n"),
            {"day": NOW.date()},
        )
        self.links = references(connection)
        self.choices = {}
        for table, column, words in connection.execute(
            text(
                "SELECT c.conrelid::regclass::text, a.attname, pg_get_constraintdef(c.oid) FROM pg_constraint c"
                " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]"
                " WHERE c.contype = 'c' AND cardinality(c.conkey) = 1 AND c.connamespace = 'public'::regnamespace"
            )
        ):
            if "ANY" in words and (found := ALLOWED.findall(words)):
                self.choices[table, column] = found
        for table, name in connection.execute(
            text(
                "SELECT c.conrelid::regclass::text, c.conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
                " WHERE strpos(:kinds, CAST(c.contype AS text)) > 0 AND c.connamespace = 'public'::regnamespace AND c.coninhcount = 0"
                " AND t.relname <> 'spatial_ref_sys' ORDER BY c.contype <> 'f'"
            ),
            {"kinds": self.dropped},
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
        for number, unit in enumerate(self.units, start=1):
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
            self.beforehand(connection, unit)
            if "gps_terminal" not in self.places[unit]:
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
                for unit in self.units:
                    if table not in self.places[unit]:
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
            if target == "user_account":
                given[column.name] = str(self.person(table, column.name, unit))
            elif target != table and place.get(target) is not None:
                given[column.name] = str(place[target])
            elif column.name in {"terminal_id", "first_terminal", "last_terminal"}:
                given[column.name] = str(place["gps_terminal"])
            elif column.name == "terminal_ids":
                given[column.name] = f"ARRAY[{place['gps_terminal']}]::bigint[]"
            elif column.needed and not column.identity:
                given[column.name] = self.default(table, column, place["number"])
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
        return {unit for unit in self.units if self.rows[table, unit] in there}
