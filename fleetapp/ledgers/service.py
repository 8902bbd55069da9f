"""Writing of imports: upload, check and commit in the background, discard; and the export of a ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.attachments import service as attachments
from fleetapp.attachments.rules import digest as content_digest
from fleetapp.audit import exports
from fleetapp.audit import service as audit
from fleetapp.audit.models import ExportRecord
from fleetapp.audit.rules import check_reason
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.kit.errors import Conflict, FleetError, NotAllowed, RuleBroken
from fleetapp.kit.sheets import safe_name
from fleetapp.ledgers import plans, queries, quotas, reading, rules, vehicles
from fleetapp.ledgers.columns import COLUMNS, FAULTS
from fleetapp.ledgers.models import LedgerImport
from fleetapp.ledgers.plans import CHUNK, Plan, Progress, Words
from fleetapp.ledgers.rules import Choices, Column, ImportState, LedgerKind, Row, half_width
from fleetapp.vehicles import queries as registry
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState

LANGUAGES = ("zh", "en")
NEEDS = {LedgerKind.VEHICLES: "vehicles.register", LedgerKind.QUOTAS: "quota.edit"}
"""What whoever commits a ledger must also be allowed to do by hand."""


class Module(Protocol):
    """What a ledger's own module does."""

    def check(self, session: Session, rows: Sequence[Row], *, actor: Actor, today: Any) -> Plan:
        """Compare rows with what is there."""

    def write(
        self,
        session: Session,
        plan: Plan,
        *,
        source: Mapping[str, Any],
        actor: Actor,
        now: datetime,
        progress: Progress,
    ) -> None:
        """Write what is right."""


MODULES: Mapping[LedgerKind, Module] = {LedgerKind.VEHICLES: vehicles, LedgerKind.QUOTAS: quotas}


def heads_of(columns: Sequence[Column], words: Words) -> list[list[str]]:
    """Return the columns' heads in each language, that of the column of faults last."""
    return [[words(f"ledgers.col.{column.key}", lang) for column in (*columns, FAULTS)] for lang in LANGUAGES]


def choices_of(columns: Sequence[Column], words: Words) -> Choices:
    """Return the code of each word that may stand in a column of codes."""
    return {
        column.key: {
            half_width(word).lower(): code
            for code in column.choices
            for word in (code, *(words(f"{column.prefix}.{code}", lang) for lang in LANGUAGES))
        }
        for column in columns if column.choices
    }  # fmt: skip


# ---- what people do -----------------------------------------------------------------------------------------------------


def upload(
    session: Session, *, kind: LedgerKind, name: str, content: bytes, words: Words, most_rows: int, actor: Actor, now: datetime
) -> LedgerImport:  # fmt: skip
    """Take a filled-in ledger for its check.

    :raises NotAllowed: the actor may not import.
    :raises RuleBroken: ``attachments.*`` or ``ledgers.file_*``: no such file, too large, too many rows, other heads.
    :raises Conflict: at the end, ``ledgers.there``: the same content is being imported already.
    """
    permits.require("ledgers.import", actor)
    if actor.org_id is None or actor.user_id is None:
        raise NotAllowed("kit.not_allowed", action="ledgers.import")
    if not name.lower().endswith((".xlsx", ".csv")):
        raise RuleBroken("ledgers.file_kind")
    columns = COLUMNS[kind]
    made = LedgerImport(org_id=actor.org_id, kind=kind, state=ImportState.UPLOADED, file_name=name[-120:], sha256=content_digest(content),
                        uploaded_by=actor.user_id, uploaded_at=now)  # fmt: skip
    if content:
        reading.check(name, content, columns, heads_of(columns, words), most_rows)
    session.add(made)
    session.flush()
    kept = attachments.attach(session, org_id=actor.org_id, subject_type="ledger_import", subject_id=made.id, label=kind, name=name,
                              content=content, actor=actor, now=now)  # fmt: skip
    made.attachment_id = kept.id
    _record(session, made, "uploaded", actor=actor, now=now, kind=kind, file_name=made.file_name, sha256=made.sha256)
    return made


def confirm(session: Session, *, import_id: int, actor: Actor, now: datetime, partial: bool = False) -> LedgerImport:
    """Have a checked file written; with ``partial`` its right rows though it has wrong ones. The scheduler does it.

    :raises NotAllowed: the actor may not write everything that whoever uploaded it may fill in.
    :raises RuleBroken: ``ledgers.wrong_step``, ``ledgers.has_rejected``, ``ledgers.nothing_to_do``.
    """
    one = queries.get_import(session, import_id=import_id, actor=actor, lock=True)
    filler = _actor(session, one.uploaded_by)
    for path in filler.paths(permits.table()["ledgers.import"].roles) or (one.org.path,):
        permits.require("ledgers.commit", actor, org_path=path)
        permits.require(NEEDS[LedgerKind(one.kind)], actor, org_path=path)
    after = rules.next_state(one.state, ImportState.COMMITTING)
    rules.check_commit(new=one.new_rows, changed=one.changed_rows, rejected=one.rejected_rows, partial=partial)
    one.state, one.partial, one.committed_by, one.done_rows, one.failure = after, partial, actor.user_id, 0, None
    _record(session, one, "confirmed", actor=actor, now=now, partial=partial)
    return one


def check_again(session: Session, *, import_id: int, actor: Actor, now: datetime) -> LedgerImport:
    """Have a checked file checked once more against the ledger as it is now.

    :raises RuleBroken: ``ledgers.wrong_step``.
    """
    one = queries.get_import(session, import_id=import_id, actor=actor, lock=True)
    permits.require("ledgers.import", actor, org_path=one.org.path)
    one.state, one.done_rows, one.failure = rules.next_state(one.state, ImportState.UPLOADED), 0, None
    _record(session, one, "check_repeated", actor=actor, now=now)
    return one


def discard(session: Session, *, import_id: int, actor: Actor, now: datetime) -> LedgerImport:
    """Give an import up; the file stays on record, nothing is written.

    :raises RuleBroken: ``ledgers.wrong_step``.
    """
    one = queries.get_import(session, import_id=import_id, actor=actor, lock=True)
    permits.require("ledgers.import", actor, org_path=one.org.path)
    one.state = rules.next_state(one.state, ImportState.DISCARDED)
    _record(session, one, "discarded", actor=actor, now=now)
    return one


# ---- what the scheduler does --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Task:
    """An import as the background sees it, with who uploaded it and who commits it."""

    id: int
    kind: LedgerKind
    state: ImportState
    name: str
    content: bytes
    filler: Actor
    committer: Actor | None
    digest: str | None


def work(database: Database, *, words: Words, most_rows: int, now: datetime) -> int:
    """Check and commit whatever waits; returns how many steps were done. Stopped at any point, the next call begins the step anew."""
    steps = 0
    while (task := _next(database)) is not None:
        try:
            if task.state is ImportState.COMMITTING:
                _commit(database, task, words=words, most_rows=most_rows, now=now)
            else:
                _check(database, task, words=words, most_rows=most_rows, now=now)
        except RuleBroken as refused:  # the file as a whole
            _end(database, task, ImportState.REFUSED, refused, now=now)
        except (FleetError, StaleDataError) as error:  # overtaken between the check and the commit
            told = error if isinstance(error, FleetError) else Conflict("kit.changed_meanwhile")
            _end(database, task, ImportState.CHECKED, told, now=now)
        except Exception:
            _end(database, task, ImportState.FAILED, RuleBroken("ledgers.broke"), now=now)
            raise
        steps += 1
    return steps


def _next(database: Database) -> _Task | None:
    with database.transaction(SYSTEM) as session:
        one = queries.next_at_work(session)
        if one is None:
            return None
        if one.state == ImportState.UPLOADED:
            one.state = ImportState.CHECKING
        return _Task(
            one.id, LedgerKind(one.kind), ImportState(one.state), one.file_name, queries.content(session, one.sha256),
            _actor(session, one.uploaded_by), _actor(session, one.committed_by) if one.committed_by else None, one.digest,
        )  # fmt: skip


def _actor(session: Session, user_id: int) -> Actor:
    return accounts.actor_of(accounts.get_user(session, user_id=user_id, actor=SYSTEM))


def _rows(task: _Task, words: Words, most_rows: int, progress: Callable[[int, int], None]) -> list[Row]:
    columns = COLUMNS[task.kind]
    choices = choices_of(columns, words)
    file = reading.read(task.name, task.content, columns, heads_of(columns, words), most_rows)
    found = []
    for done, (number, cells) in enumerate(file.rows):
        if done % CHUNK == 0:
            progress(done, file.total)
        found.append(Row(number, *rules.read_row(columns, cells, choices)))
    return found


def _note(database: Database, task: _Task, actor: Actor, done: int, total: int) -> None:
    """Note how far it is, in a transaction of its own: progress is no business fact, so the log does not tell it."""
    with database.transaction(actor) as session:
        one = session.get(LedgerImport, task.id)
        if one is not None and one.state == task.state:
            one.done_rows, one.total_rows = done, max(total, done)


def _check(database: Database, task: _Task, *, words: Words, most_rows: int, now: datetime) -> None:
    rows = _rows(task, words, most_rows, lambda done, total: _note(database, task, task.filler, done, total))
    with database.transaction(task.filler) as session:
        plan = MODULES[task.kind].check(session, rows, actor=task.filler, today=clock.local_date(now))
        one = queries.get_import(session, import_id=task.id, actor=task.filler, lock=True)
        if one.state == task.state:
            _keep(one, plan, plan.told())
            _record(session, one, "checked", actor=SYSTEM, now=now, **_counts(one))


def _keep(one: LedgerImport, plan: Plan, told: Mapping[str, Any]) -> None:
    """Put the result of a check into the import."""
    one.state, one.total_rows, one.done_rows = ImportState.CHECKED, len(plan.rows), len(plan.rows)
    one.new_rows, one.changed_rows, one.unchanged_rows = len(plan.new), len(plan.changes), plan.unchanged
    one.rejected_rows, one.faults, one.changes = len(told["faults"]), told["faults"], told["changes"]
    one.digest, one.failure = plans.digest(told), None


def _commit(database: Database, task: _Task, *, words: Words, most_rows: int, now: datetime) -> None:
    """Check once more and write, all in one transaction; another result than the one that was confirmed is shown again instead."""
    actor = task.committer
    if actor is None:
        raise NotAllowed("kit.not_allowed", action="ledgers.commit")
    rows = _rows(task, words, most_rows, lambda _done, _total: None)
    with database.transaction(actor) as session:
        plan = MODULES[task.kind].check(session, rows, actor=task.filler, today=clock.local_date(now))
        told = plan.told()
        overtaken = plans.digest(told) != task.digest
        if not overtaken:
            MODULES[task.kind].write(session, plan, source={"ledger_import": task.id}, actor=actor, now=now,
                                     progress=lambda done: _note(database, task, actor, done, len(rows)))  # fmt: skip
        one = queries.get_import(session, import_id=task.id, actor=actor, lock=True)
        if one.state != task.state:
            raise Conflict("kit.changed_meanwhile")
        if overtaken:
            _keep(one, plan, told)
            one.failure = {"code": "ledgers.overtaken", "params": {}}
            _record(session, one, "overtaken", actor=actor, now=now, **_counts(one))
        else:
            one.state, one.done_rows, one.committed_at = ImportState.DONE, one.total_rows, now
            _record(
                session, one, "committed", actor=actor, now=now, sha256=one.sha256, partial=one.partial, **_counts(one)
            )


def _end(database: Database, task: _Task, state: ImportState, why: FleetError, *, now: datetime) -> None:
    """Stop an import, or give it back, with the reason."""
    if task.state is ImportState.COMMITTING and state is ImportState.REFUSED:
        state = ImportState.CHECKED
    with database.transaction(SYSTEM) as session:
        one = queries.get_import(session, import_id=task.id, actor=SYSTEM, lock=True)
        if one.state == task.state:
            one.state, one.failure = state, {"code": why.code, "params": why.params}
            _record(session, one, "stopped", actor=SYSTEM, now=now, state=state, code=why.code)


def _counts(one: LedgerImport) -> dict[str, int]:
    return {
        "new": one.new_rows,
        "changed": one.changed_rows,
        "unchanged": one.unchanged_rows,
        "rejected": one.rejected_rows,
    }


def _record(session: Session, one: LedgerImport, what: str, *, actor: Actor, now: datetime, **data: Any) -> None:
    audit.record(session, actor=actor, now=now, action=f"ledgers.{what}", subject_type="ledger_import", subject_id=one.id,
                 org_id=one.org_id, **data)  # fmt: skip


# ---- export -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger to be written: its rows by column, and what its head says."""

    kind: LedgerKind
    org: Organisation
    on: datetime
    by: Actor
    rows: Sequence[Mapping[str, Any]]


def gather(session: Session, *, kind: LedgerKind, org: Organisation, actor: Actor, now: datetime) -> Ledger:
    """Return the present ledger of a sub-tree."""
    if kind is LedgerKind.QUOTAS:
        rows = quotas.rows_of(session, actor=actor, org_path=org.path, today=clock.local_date(now))
        return Ledger(kind, org, now, actor, rows)
    query = registry.filtered(registry.visible_to(actor), org_path=org.path).where(
        Vehicle.state != VehicleState.RETIRED
    )
    found = session.scalars(query.order_by(None).order_by(Organisation.path, Vehicle.plate)).all()
    phones = registry.open_phones(session, vehicle_ids=[vehicle.id for vehicle in found])
    return Ledger(kind, org, now, actor, [vehicles.values_of(vehicle, phones.get(vehicle.id)) for vehicle in found])


def export(
    session: Session, *, kind: LedgerKind, org_id: int | None, reason: str, title: str, write: Callable[[Ledger, BinaryIO], None],
    file: BinaryIO, actor: Actor, now: datetime,
) -> ExportRecord:  # fmt: skip
    """Write the present ledger of a sub-tree into ``file`` and record it; hand the file over after the commit only.

    :raises RuleBroken: ``audit.reason_missing``.
    :raises NotAllowed: outside the part of the tree that the actor may export.
    """
    reason = check_reason(reason)
    org = queries.scope_org(session, actor=actor, org_id=org_id)
    permits.require("ledgers.export", actor, org_path=org.path)
    found = gather(session, kind=kind, org=org, actor=actor, now=now)
    write(found, file)
    name = safe_name(f"{org.name_zh}_{title}_{clock.local_date(now).isoformat()}", "xlsx")
    return exports.record(session, action=f"ledgers.{kind.value}_exported", org_id=org.id, kind=f"ledger_{kind.value}", reason=reason,
                          filters={"ledger": kind.value}, rows=len(found.rows), name=name, file=file, actor=actor, now=now)  # fmt: skip
