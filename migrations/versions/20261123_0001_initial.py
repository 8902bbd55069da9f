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


OWN_ROUTINES = """
    SELECT p.oid::regprocedure FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')"""
"""Every function and procedure that no extension brought."""


def upgrade() -> None:
    for extension in ("postgis", "btree_gist", "pg_trgm"):
        op.execute(text(f"CREATE EXTENSION IF NOT EXISTS {extension}"))
    run_sql("roles.sql")
    gps_tables.create_all(op.get_bind())
    metadata.create_all(op.get_bind())
    for name in ("audit.sql", "guards.sql", "scope.sql"):
        run_sql(name)
    for path in sorted((SQL / "slices").glob("*.sql")):
        run_sql(f"slices/{path.name}")


POLICIES = "SELECT format('DROP POLICY %I ON %I', policyname, tablename) FROM pg_policies WHERE schemaname = 'public'"
"""They name other tables, which could not go before them; nor could those whose rows a routine takes."""


def downgrade() -> None:
    for statement in op.get_bind().scalars(text(POLICIES)).all():
        op.execute(text(statement))
    for routine in op.get_bind().scalars(text(OWN_ROUTINES)).all():
        op.execute(text(f"DROP ROUTINE IF EXISTS {routine} CASCADE"))
    gps_tables.drop_all(op.get_bind())
    op.execute(text("DROP TABLE audit_head"))
    metadata.drop_all(op.get_bind())
