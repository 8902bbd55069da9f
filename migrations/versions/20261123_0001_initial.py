"""First schema: every table of the spine, the audit chain, guards and row-level security."""

from pathlib import Path

from alembic import op
from sqlalchemy import text

from fleetapp.wiring import metadata
from telematics import tables as gps_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def run_sql(name: str) -> None:
    """Run one file of ``migrations/sql`` as it stands, percent and colon signs included."""
    op.get_bind().connection.driver_connection.execute((SQL / name).read_text(encoding="utf-8"))


def upgrade() -> None:
    for extension in ("postgis", "btree_gist"):
        op.execute(text(f"CREATE EXTENSION IF NOT EXISTS {extension}"))
    run_sql("roles.sql")
    gps_tables.create_all(op.get_bind())
    metadata.create_all(op.get_bind())
    for name in ("audit.sql", "guards.sql", "scope.sql"):
        run_sql(name)


FUNCTIONS = (
    "audit_verify", "audit_entry_chain", "audit_entry_hash", "fleet_refuse", "travel_order_frozen", "order_stop_frozen",
    "dispatch_slip_frozen", "number_series_step", "vehicle_odometer", "fleet_visible_orgs", "fleet_sees_all", "fleet_actor_id",
)  # fmt: skip


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(text(f"DROP FUNCTION IF EXISTS {function} CASCADE"))
    gps_tables.drop_all(op.get_bind())
    op.execute(text("DROP TABLE audit_head"))
    metadata.drop_all(op.get_bind())
