"""Tables of the GPS store, on their own ``metadata``; what SQLAlchemy cannot say is in ``migrations/sql/telematics.sql``.

``gps_fix`` is append-only and partitioned by UTC day of ``at``. It has no default partition: fixes with absurd times
(before 2000, more than a day ahead) go to ``gps_quarantine`` instead, because a default partition would have to be
locked and scanned whenever a day is added.
"""

from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL

SQL = Path(__file__).parents[1] / "migrations" / "sql" / "telematics.sql"

metadata = MetaData(
    schema=None,
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

MOMENT = DateTime(timezone=True)

gps_terminal = Table(
    "gps_terminal",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("phone", Text, nullable=False, unique=True, comment="Identity on the wire, leading zeros stripped."),
    Column("kind", Text, nullable=False, server_default="jt808"),
    Column("auth_code", Text, comment="JT/T 808 authentication code, made at the first registration."),
    Column("token_sha256", Text, comment="Hex SHA-256 of a phone's token; the token itself is never stored."),
    Column("speed_unit", Text, nullable=False, server_default="knots", comment="Unit of a phone's speed parameter."),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("registered_at", MOMENT),
    Column("last_seen_at", MOMENT),
    Column("note", Text, nullable=False, server_default=""),
    CheckConstraint("phone <> '' AND phone !~ '^0.'", name="phone"),
    CheckConstraint("kind IN ('jt808', 'phone')", name="kind"),
    CheckConstraint("speed_unit IN ('knots', 'ms', 'kmh')", name="speed_unit"),
    CheckConstraint("token_sha256 ~ '^[0-9a-f]{64}$'", name="token_sha256"),
    comment="Devices that may send positions; made by the application, unknown ones are refused.",
)

# Eight-byte columns first: no padding in the table that takes nearly all of the disk. Speed, direction and altitude
# are wider than their meaning needs because terminals send 0xFFFF for "unknown" and values are never altered.
# No foreign key: every new fix also goes through gps_touched, which has one, once per terminal and day.
gps_fix = Table(
    "gps_fix",
    metadata,
    Column("terminal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", MOMENT, primary_key=True, comment="Device time."),
    Column("digest", BigInteger, primary_key=True, autoincrement=False, comment="telematics.ingest.digest"),
    Column("received_at", MOMENT, nullable=False),
    Column("odometer_m", BigInteger),
    Column("alarm", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("lat_e6", Integer, nullable=False, comment="WGS-84, millionths of a degree."),
    Column("lon_e6", Integer, nullable=False, comment="WGS-84, millionths of a degree."),
    Column("speed_dkmh", Integer, comment="0.1 km/h"),
    Column("direction_deg", Integer),
    Column("altitude_m", Integer),
    Column("accuracy_m", REAL),
    Column("acc", Boolean),
    Column("fixed", Boolean, nullable=False),
    Column("mock", Boolean, nullable=False),
    Column("blind", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("items", JSONB),
    Column("raw", LargeBinary, comment="Frame or body as received, the evidence."),
    postgresql_partition_by="RANGE (at)",
    comment="Positions as reported, append-only, one partition per UTC day.",
)

gps_last = Table(
    "gps_last",
    metadata,
    Column("terminal_id", BigInteger, ForeignKey(gps_terminal.c.id), primary_key=True, autoincrement=False),
    Column("at", MOMENT, nullable=False),
    Column("received_at", MOMENT, nullable=False),
    Column("odometer_m", BigInteger),
    Column("lat_e6", Integer, nullable=False),
    Column("lon_e6", Integer, nullable=False),
    Column("speed_dkmh", Integer),
    Column("direction_deg", Integer),
    Column("acc", Boolean),
    Column("fixed", Boolean, nullable=False),
    postgresql_with={"fillfactor": "60"},
    comment="Newest plausible position of each terminal.",
)

gps_touched = Table(
    "gps_touched",
    metadata,
    Column("terminal_id", BigInteger, ForeignKey(gps_terminal.c.id), primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True, comment="UTC day"),
    Column("first_at", MOMENT, nullable=False),
    Column("last_at", MOMENT, nullable=False),
    Column("touched_at", MOMENT, nullable=False, comment="Grows with every change of the row."),
    postgresql_with={"fillfactor": "60"},
    comment="Windows with new fixes, waiting for their trips to be derived again.",
)

gps_quarantine = Table(
    "gps_quarantine",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("received_at", MOMENT, nullable=False, index=True),
    Column("peer", Text, nullable=False),
    Column("phone", Text),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    comment="What arrived and could not be taken as a fix, with the reason; append-only.",
)


def create_all(connection: Connection) -> None:
    """Create every table, function, trigger and grant of the store in an empty database."""
    metadata.create_all(connection)
    driver = connection.connection.driver_connection
    assert driver is not None
    # Through the driver: the file holds several statements, with colons and percent signs as they stand.
    driver.execute(SQL.read_text(encoding="utf-8"))


def drop_all(connection: Connection) -> None:
    """Drop everything ``create_all`` made, data included."""
    metadata.drop_all(connection)
    connection.execute(text("DROP FUNCTION IF EXISTS gps_ensure_partition, gps_refuse"))
