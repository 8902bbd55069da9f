"""Alembic's entry: one history for the application's tables and the GPS library's.

The address comes from ``-x url=...`` or ``FLEET_DATABASE_URL`` and must be of a role that may create tables and
roles; the application itself works as ``fleet_app``.
"""

import os

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import text

from fleetapp.kit.db import make_engine
from fleetapp.wiring import metadata
from telematics import tables as gps_tables

GPS = gps_tables.metadata


def include_object(obj, name, kind, reflected, compare_to):
    """Leave out what PostGIS owns and what ``migrations/sql`` makes (daily partitions)."""
    made = name is not None and name.startswith(("gps_fix_", "gps_raw_"))
    if kind == "table" and (made or name in {"spatial_ref_sys", "apscheduler_jobs"}):
        return False
    return alembic_helpers.include_object(obj, name, kind, reflected, compare_to)


def run(connection):
    """Run the migrations on a connection, one transaction for all."""
    context.configure(
        connection=connection,
        target_metadata=[metadata, GPS],
        include_object=include_object,
        process_revision_directives=alembic_helpers.writer,
        render_item=alembic_helpers.render_item,
        compare_type=False,
    )
    with context.begin_transaction():
        context.execute(text("SET LOCAL lock_timeout = '4s'"))
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True).get("url") or os.environ["FLEET_DATABASE_URL"]
    engine = make_engine(url, role=None)
    with engine.connect() as connection:
        run(connection)
        connection.commit()
    engine.dispose()
