"""Results in words, and ledgers as downloads, for the pages and the API."""

import io
from collections.abc import Mapping
from typing import Any

from flask import Response, send_file
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import orgs_visible_to
from fleetapp.kit import clock, permits, sheets
from fleetapp.ledgers import queries, reading, service, writing
from fleetapp.ledgers.columns import COLUMNS
from fleetapp.ledgers.models import LedgerImport
from fleetapp.ledgers.rules import LedgerKind, letters
from fleetapp.web import downloads
from fleetapp.web.display import name
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import language, t, t_or


def words(key: str, lang: str) -> str:
    """Return the words of a key in a language, "" for a note that a column does not have."""
    return t_or(key, "", lang=lang)


def said(code: str, params: Mapping[str, Any]) -> str:
    """Return a fault in the page's language."""
    return t_or(code, code, **params)


def faults(one: LedgerImport, *, limit: int | None = None) -> list[dict[str, Any]]:
    """Return what is wrong cell by cell: cell, head of its column, code, message."""
    places = {column.key: letters(index) for index, column in enumerate(COLUMNS[LedgerKind(one.kind)])}
    found = [
        {"cell": f"{places[fault['column']]}{row['row']}", "row": row["row"], "column": fault["column"], "code": fault["code"],
         "head": t(f"ledgers.col.{fault['column']}"), "message": said(fault["code"], fault["params"])}
        for row in one.faults[:limit] for fault in row["faults"]
    ]  # fmt: skip
    return found[:limit]


def _units(session: Session) -> list[tuple[str, str]]:
    reach = [
        org
        for org in session.scalars(orgs_visible_to(actor()))
        if permits.may("ledgers.import", actor(), org_path=org.path)
    ]
    return [(org.code, name(org)) for org in reach]


def template(kind: LedgerKind) -> Response:
    """Return the empty ledger of a kind as a download."""
    permits.require("ledgers.import", actor())
    file = io.BytesIO()
    with transaction() as session:
        unit = session.get(Organisation, actor().org_id)
        head = writing.Head(kind, name(unit) if unit else "", "          ", "          ")
        writing.write(head, [], _units(session), file, words=words, lang=language())
    return _send(file, f"{t(f'ledgers.title.{kind.value}')}_{t('ledgers.template')}.xlsx")


def returned(import_id: int) -> Response:
    """Return an uploaded file with the column of faults."""
    file = io.BytesIO()
    with transaction() as session:
        one = queries.get_import(session, import_id=import_id, actor=actor())
        kind = LedgerKind(one.kind)
        source = reading.read(
            one.file_name,
            queries.content(session, one.sha256),
            COLUMNS[kind],
            service.heads_of(COLUMNS[kind], words),
            shell().settings.ledger_max_rows,
        )
        told = {
            row["row"]: {fault["column"]: said(fault["code"], fault["params"]) for fault in row["faults"]}
            for row in one.faults
        }
        head = writing.Head(kind, name(one.org), clock.local_date(one.uploaded_at).isoformat(), name(one.uploader),
                            sheets.mark(actor().name, now()))  # fmt: skip
        writing.write_checked(head, source, told, file, words=words, lang=language())
    return _send(file, f"{one.file_name.rsplit('.', 1)[0]}_{t('ledgers.col.faults')}.xlsx")


def export(*, kind: LedgerKind, org_id: int | None, reason: str, lang: str) -> Response:
    """Return the present ledger of a sub-tree as a download."""
    return downloads.recorded(lambda session, file: service.export(
        session, kind=kind, org_id=org_id, reason=reason, title=t(f"ledgers.title.{kind.value}", lang="zh"), file=file,
        write=lambda ledger, to: writing.write_ledger(ledger, _units(session), to, words=words, lang=lang), actor=actor(), now=now(),
    ))  # fmt: skip


def _send(file: io.BytesIO, file_name: str) -> Response:
    file.seek(0)
    return send_file(file, mimetype=downloads.XLSX, as_attachment=True, download_name=file_name)
