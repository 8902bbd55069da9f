"""The one database, the one place that commits.

Every transaction tells PostgreSQL who acts (``fleet.actor_id``) and what part of the organisation tree that person
may see (``fleet.scope``); row-level security reads both. The connection works as the role ``fleet_app``, which owns
nothing and cannot bypass row-level security.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import Connection, Engine, Executable, MetaData, create_engine, event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction, sessionmaker
from structlog.contextvars import get_contextvars

from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict

APP_ROLE = "fleet_app"
AT_COMMIT, MARKS = "at_commit", "marks"
"""What a session's ``info`` keeps: statements for the end of its transaction, and how many there were when a savepoint began."""


class Base(DeclarativeBase):
    """Base of every table of the application; constraint names are stable so that errors can be told apart."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def driver_url(url: str) -> str:
    """Return the address with SQLAlchemy's driver named: ``postgresql://`` becomes ``postgresql+psycopg://``."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def make_engine(url: str, *, role: str | None = APP_ROLE, **options: Any) -> Engine:
    """Make an engine whose connections work as ``role``; ``None`` keeps the role of the address (set-up only)."""
    engine = create_engine(driver_url(url), pool_pre_ping=True, hide_parameters=True, **options)
    if role is not None:

        @event.listens_for(engine, "connect")
        def work_as_role(connection: Any, _record: Any) -> None:
            connection.autocommit = True
            connection.execute(f'SET ROLE "{role}"')
            connection.execute("SET TIME ZONE 'UTC'")
            # Row-level security makes short statements look dear to the planner; compiling them takes longer than running them.
            connection.execute("SET jit = off")
            # A plan made without knowing the values also forgets how few rows row-level security leaves: twice the time on the dashboard.
            connection.execute("SET plan_cache_mode = force_custom_plan")
            connection.autocommit = False

    return engine


class Database:
    """An engine (or one connection) with its sessions. ``constraint_errors`` maps a constraint's name to the error code it means."""

    def __init__(self, engine: Engine | Connection, constraint_errors: dict[str, str] | None = None) -> None:
        self.engine = engine
        self.constraint_errors = constraint_errors or {}
        # On a connection with a transaction of its own (tests) each of ours becomes a savepoint of it.
        self._sessions = sessionmaker(engine, expire_on_commit=False, join_transaction_mode="create_savepoint")

    @contextmanager
    def transaction(self, actor: Actor) -> Iterator[Session]:
        """Open a transaction as ``actor``; commits at the end of the block, rolls back on any error.

        :raises Conflict: a constraint that has an error code refused a row.
        """
        with self._sessions() as session:
            try:
                become(session, actor)
                yield session
                session.flush()
                for statement, values in session.info.pop(AT_COMMIT, ()):
                    session.execute(statement, values)
                session.commit()
            except (IntegrityError, psycopg.IntegrityError) as error:
                session.rollback()
                refused = error.orig if isinstance(error, IntegrityError) else error  # the libraries use psycopg itself
                name = getattr(getattr(refused, "diag", None), "constraint_name", None) or ""
                if name in self.constraint_errors:
                    raise Conflict(self.constraint_errors[name]) from error
                raise


def at_commit(session: Session, statement: Executable, values: Mapping[str, Any]) -> None:
    """Run a statement as the last of the transaction, in the order given: for a row whose lock everybody waits for.

    What a savepoint gave is forgotten when it is rolled back.
    """
    session.info.setdefault(AT_COMMIT, []).append((statement, values))


@event.listens_for(Session, "after_transaction_create")
def _mark(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        marks = session.info.setdefault(MARKS, WeakKeyDictionary())
        marks[transaction] = len(session.info.get(AT_COMMIT, ()))


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, ended: SessionTransaction) -> None:
    if ended.nested or ended.parent is None:
        del session.info.get(AT_COMMIT, [])[session.info.get(MARKS, {}).pop(ended, 0) :]


def become(session: Session, actor: Actor) -> None:
    """Tell the database who acts for the rest of this transaction, and in which request: its own log and views show that."""
    session.execute(
        text(
            "SELECT set_config('fleet.scope', :scope, true), set_config('fleet.actor_id', :actor, true),"
            " set_config('fleet.actor_name', :name, true), set_config('application_name', :request, true)"
        ),
        {
            "request": f"fleet {get_contextvars().get('request_id', '-')}"[:63],
            "scope": ",".join(actor.paths()),
            "actor": str(actor.user_id or ""),
            "name": actor.name,
        },
    )
    session.info["actor"] = actor


def missing_columns(session: Session, metadata: MetaData) -> list[str]:
    """Return the "table.column" of a schema that the database lacks: it was made by another version of the program."""
    rows = session.execute(
        text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
    )
    there = {(row.table_name, row.column_name) for row in rows}
    wanted = ((table.name, column.name) for table in metadata.sorted_tables for column in table.columns)
    return [f"{table}.{column}" for table, column in wanted if (table, column) not in there]
