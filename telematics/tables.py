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
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import BIT, JSONB

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
    Column("logged_in_at", MOMENT, comment="Begin of the newest connection."),
    Column("protocol", Text, comment="Version of the header it logged in with last: 2013 or 2019."),
    Column("properties", JSONB, comment="Newest attributes the terminal gave of itself (JT/T 808 0x0107)."),
    Column("properties_at", MOMENT, comment="When they were received."),
    Column("note", Text, nullable=False, server_default=""),
    CheckConstraint("phone <> '' AND phone !~ '^0.'", name="phone"),
    CheckConstraint("kind IN ('jt808', 'phone')", name="kind"),
    CheckConstraint("speed_unit IN ('knots', 'ms', 'kmh')", name="speed_unit"),
    CheckConstraint("token_sha256 ~ '^[0-9a-f]{64}$'", name="token_sha256"),
    postgresql_with={"fillfactor": "60"},
    comment="Devices that may send positions; made by the application, unknown ones are refused.",
)

# Eight-byte columns first, no nulls, no padding: this table takes nearly all of the disk. Its identity is a unique index
# of each partition on (terminal_id, gps_moment(at), digest), see migrations/sql/telematics.sql.
# No foreign key: every new fix also goes through gps_touched, which has one, once per terminal and day.
gps_fix = Table(
    "gps_fix",
    metadata,
    Column("at", MOMENT, nullable=False, comment="Device time."),
    Column("digest", BigInteger, nullable=False, comment="telematics.ingest.digest"),
    Column("terminal_id", Integer, nullable=False),
    Column("lat_e6", Integer, nullable=False, comment="WGS-84, millionths of a degree."),
    Column("lon_e6", Integer, nullable=False, comment="WGS-84, millionths of a degree."),
    Column("rest", LargeBinary, nullable=False, comment="telematics.packed: every other value as reported."),
    postgresql_partition_by="RANGE (at)",
    comment="Positions as reported, append-only, one partition per UTC day.",
)

gps_raw = Table(
    "gps_raw",
    metadata,
    Column("day", Date, nullable=False, comment="UTC day of the fixes."),
    Column("first_terminal", Integer, nullable=False),
    Column("last_terminal", Integer, nullable=False),
    Column("frames", Integer, nullable=False, comment="Frames in it."),
    Column("content", LargeBinary, nullable=False, comment="telematics.frames"),
    postgresql_partition_by="RANGE (day)",
    comment="Frames and bodies as received, the evidence: compressed segments, append-only, one partition per UTC day.",
)

gps_unsealed = Table(
    "gps_unsealed",
    metadata,
    Column("day", Date, primary_key=True, comment="UTC day"),
    Column(
        "touched", BigInteger, nullable=False, comment="Grows with every writing that brought new fixes of the day."
    ),
    postgresql_with={"fillfactor": "60"},
    comment="Days with fixes that no seal covers yet.",
)

gps_seal = Table(
    "gps_seal",
    metadata,
    Column("day", Date, primary_key=True, comment="UTC day of the fixes."),
    Column(
        "as_of", MOMENT, primary_key=True, comment="Covers what was received since the seal before and before this."
    ),
    Column("terminal_id", Integer, primary_key=True, autoincrement=False),
    Column("fixes", Integer, nullable=False),
    Column("sha256", LargeBinary, nullable=False, comment="telematics.seal: over the rows by time and digest."),
    comment="Digest of each terminal's fixes of a day, append-only; the day's root of them stands in the audit chain.",
)

gps_archive = Table(
    "gps_archive",
    metadata,
    Column("day", Date, primary_key=True, comment="UTC day of the fixes."),
    Column("part", Integer, primary_key=True, autoincrement=False, comment="1, then what came late."),
    Column("fixes", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("content_sha256", Text, nullable=False, comment="Over all rows, telematics.seal.row_bytes."),
    Column("directory", Text, nullable=False, comment="Absolute path it was written to."),
    Column("fix_file", Text, nullable=False),
    Column("fix_sha256", Text, nullable=False),
    Column("frame_file", Text, nullable=False),
    Column("frame_sha256", Text, nullable=False),
    Column("archived_at", MOMENT, nullable=False),
    comment="Parquet files that hold a day, read back and compared when written; append-only.",
)

gps_archive_event = Table(
    "gps_archive_event",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("day", Date, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("action", Text, nullable=False),
    Column("fixes", Integer, nullable=False),
    CheckConstraint("action IN ('dropped', 'restored')", name="action"),
    comment="Partitions dropped after archiving and brought back; append-only.",
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
    Column(
        "changed",
        BigInteger,
        nullable=False,
        server_default=text("pg_current_xact_id()::text::bigint"),
        comment="Transaction that wrote the row last; with a snapshot it tells what a reader has not seen.",
    ),
    postgresql_with={"fillfactor": "60"},
    comment="Newest plausible position of each terminal.",
)

gps_day = Table(
    "gps_day",
    metadata,
    Column("terminal_id", BigInteger, ForeignKey(gps_terminal.c.id), primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True, comment="UTC day of the device time."),
    Column("received_at", MOMENT, nullable=False, comment="When the newest of them came in."),
    Column("least_delay_ms", BigInteger, nullable=False, comment="Least time from device clock to receipt."),
    Column("alarms", BigInteger, nullable=False, comment="Bits of every alarm word of the day, together."),
    Column("fixes", Integer, nullable=False),
    Column("unfixed", Integer, nullable=False, comment="Those without a satellite fix."),
    Column("satellites", Integer, nullable=False, comment="Sum over the fixes that name their number."),
    Column("with_satellites", Integer, nullable=False, comment="How many name it."),
    Column("heard", BIT(96), nullable=False, comment="Quarters of an hour of the day with a fix."),
    postgresql_with={"fillfactor": "60"},
    comment="What each terminal's fixes of a day say of its health, written with the fixes.",
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

gps_link = Table(
    "gps_link",
    metadata,
    Column("terminal_id", BigInteger, ForeignKey(gps_terminal.c.id), primary_key=True, autoincrement=False),
    Column("gateway", Text, nullable=False, comment="Run of a gateway process: each has another name."),
    Column("number", BigInteger, nullable=False, comment="Grows with every login: the highest is the newest link."),
    Column("since", MOMENT, nullable=False, comment="When it logged in, by the gateway's clock."),
    postgresql_with={"fillfactor": "60"},
    comment="Which of several gateways holds the newest link of a terminal; it alone carries commands.",
)

gps_gateway = Table(
    "gps_gateway",
    metadata,
    Column("place", Text, primary_key=True, comment="Host and port of terminals: the same after a restart."),
    Column("gateway", Text, nullable=False, comment="Run of the process, as in gps_link."),
    Column("since", MOMENT, nullable=False),
    Column("seen_at", MOMENT, nullable=False, comment="Last time it said that it lives, every half minute."),
    Column("ended_at", MOMENT, comment="When it was stopped in order; empty while it works or after it was killed."),
    comment="Which gateways live, for those who watch over them.",
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

terminal_event = Table(
    "terminal_event",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("terminal_id", BigInteger, ForeignKey(gps_terminal.c.id), nullable=False),
    Column("at", MOMENT, nullable=False, comment="Time the terminal gives, else when it was received."),
    Column("received_at", MOMENT, nullable=False),
    Column("kind", Text, nullable=False),
    Column("digest", BigInteger, nullable=False, comment="Of the content: the same again within an hour is a copy."),
    Column("body", JSONB, nullable=False),
    Column("raw", LargeBinary, nullable=False, comment="Frames as received, the evidence."),
    CheckConstraint("kind IN ('driver_card', 'parameters', 'pass_through', 'compressed')", name="kind"),
    Index("ix_terminal_event_terminal_id_at", "terminal_id", "at"),
    comment="What terminals report beside positions; append-only.",
)

terminal_command = Table(
    "terminal_command",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("terminal_id", BigInteger, ForeignKey(gps_terminal.c.id), nullable=False),
    Column("kind", Text, nullable=False, comment="telematics.protocols.jt808_command.ENCODERS"),
    Column("parameters", JSONB, nullable=False, server_default="{}"),
    Column("asked_by", BigInteger, comment="The application's account; null: the command line."),
    Column("reason", Text, nullable=False, server_default=""),
    Column("created_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False, comment="Not sent at or after it: a late unlocking is a wrong one."),
    Column("sent_at", MOMENT, comment="Set before the bytes leave, so that no restart sends it twice."),
    Column("answered_at", MOMENT),
    Column("result", Text, comment="ok, failed, bad message, unsupported, no answer, not connected, refused: why"),
    Column("answer", JSONB, comment="Content of the terminal's own answer, where it has one."),
    CheckConstraint(
        "kind IN ('set_parameters', 'query_parameters', 'query_attributes', 'query_position', 'track', 'text', 'control')",
        name="kind",
    ),
    CheckConstraint("expires_at > created_at", name="expires_at"),
    CheckConstraint("answered_at IS NULL OR (sent_at IS NOT NULL AND result IS NOT NULL)", name="answered_at"),
    Index("ix_terminal_command_open", "id", postgresql_where=text("result IS NULL")),
    comment="What terminals are asked to do, each once; made by the application, carried by the gateway.",
)

gps_upstream = Table(
    "gps_upstream",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("since", MOMENT, nullable=False),
    comment="Superior platforms that get our positions (JT/T 809); every new fix is queued for each of them.",
)

# A queue and no cursor over gps_fix: fixes of a transaction that commits late lie behind any cursor by time or number.
gps_upstream_queue = Table(
    "gps_upstream_queue",
    metadata,
    Column("upstream_id", ForeignKey(gps_upstream.c.id, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("terminal_id", BigInteger, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("digest", BigInteger, nullable=False),
    Column("sent", BigInteger, comment="Number of the sending in this login; null: still to be sent."),
    Column("again", Boolean, nullable=False, server_default=text("false"), comment="Sent before and not confirmed."),
    comment="Fixes a superior platform has not got for certain; written with the fix, removed once confirmed.",
)
Index(
    "ix_gps_upstream_queue_unsent",
    gps_upstream_queue.c.upstream_id,
    gps_upstream_queue.c.id,
    postgresql_where=gps_upstream_queue.c.sent.is_(None),
)

gps_upstream_sent = Table(
    "gps_upstream_sent",
    metadata,
    Column("upstream_id", ForeignKey(gps_upstream.c.id, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", MOMENT, nullable=False),
    Column("positions", Integer, nullable=False),
    comment="How many positions were sent when, kept for a week to be compared with the superior platform's counts.",
)
Index("ix_gps_upstream_sent_at", gps_upstream_sent.c.upstream_id, gps_upstream_sent.c.at)

gps_upstream_gap = Table(
    "gps_upstream_gap",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("upstream", Text, nullable=False),
    Column("noticed_at", MOMENT, nullable=False),
    Column("start_at", MOMENT, nullable=False),
    Column("end_at", MOMENT, nullable=False),
    Column("received", BigInteger, nullable=False, comment="What the superior platform says it received."),
    Column("sent_least", BigInteger, nullable=False),
    Column("sent_most", BigInteger, nullable=False),
    comment="Counts of a superior platform that do not agree with what was sent; append-only.",
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
    connection.execute(
        text(
            "DROP FUNCTION IF EXISTS gps_ensure_partition, gps_settle_day, gps_swap_raw, gps_drop_day, gps_refuse, gps_moment,"
            " terminal_command_keep"
        )
    )
