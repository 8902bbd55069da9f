"""Exports as downloads: written to a file without a name, handed over only after the commit."""

import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from flask import Response, send_file

from fleetapp.reports import exports, pdf, service
from fleetapp.reports.exports import Words
from fleetapp.reports.models import ExportRecord
from fleetapp.reports.rules import ExportFormat, Period
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import language, t, t_or

TYPES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "pdf": "application/pdf",
}
WRITERS = {ExportFormat.XLSX: exports.write_xlsx, ExportFormat.CSV: exports.write_csv}


def words(lang: str) -> Words:
    """Return the words of a language."""
    return Words(lang, lambda key, fallback: t_or(key, fallback, lang=lang))


def compliance(*, period: Period, org_id: int | None, file_format: ExportFormat, reason: str, lang: str) -> Response:
    """Return the compliance report as a download."""
    write = partial(WRITERS[file_format], words=words(lang))
    return _download(lambda session, file: service.export_compliance(
        session, org_id=org_id, period=period, file_format=file_format, reason=reason, title=t("reports.title", lang="zh"),
        write=write, file=file, actor=actor(), now=now(),
    ))  # fmt: skip


def case(*, finding_id: int, reason: str) -> Response:
    """Return the evidence file of a clue as a download."""
    return _download(lambda session, file: service.case_file(
        session, finding_id=finding_id, reason=reason, write=pdf.write_case, file=file, actor=actor(), now=now()
    ))  # fmt: skip


def page_words() -> Words:
    """Return the words of the page's language."""
    return words(language())


def _download(make: Callable[[Any, BinaryIO], ExportRecord]) -> Response:
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- the server closes it when it has been sent
    try:
        with transaction() as session:
            record = make(session, file)
    except BaseException:
        file.close()
        raise
    suffix = record.file_name.rsplit(".", 1)[-1]
    response = send_file(file, mimetype=TYPES[suffix], as_attachment=True, download_name=record.file_name)
    response.headers["X-Content-SHA256"] = record.sha256
    response.content_length = record.bytes
    return response
