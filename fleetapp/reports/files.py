"""Exports as downloads: written to a file without a name, handed over only after the commit."""

from collections.abc import Iterator
from functools import partial

from flask import Response

from fleetapp.reports import exports, pdf, service, summary, tasks
from fleetapp.reports.exports import Words
from fleetapp.reports.rules import ExportFormat, Period
from fleetapp.web import downloads
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import language, t, t_or

WRITERS = {
    ExportFormat.XLSX: exports.write_xlsx,
    ExportFormat.CSV: exports.write_csv,
    ExportFormat.PDF: summary.write_pdf,
}


def words(lang: str) -> Words:
    """Return the words of a language."""
    return Words(lang, lambda key, fallback: t_or(key, fallback, lang=lang))


def writer(file_format: ExportFormat, lang: str) -> tasks.Write:
    """Return what writes a report of a format in a language; it needs no request."""
    return partial(WRITERS[file_format], words=words(lang))


def made(task_id: int) -> Response:
    """Return a report that was made in the background, read piece by piece."""
    with transaction() as session:
        task, positions = tasks.hand_over(session, task_id=task_id, actor=actor(), now=now())
        record = task.export
    who, database = actor(), shell().database

    def pieces() -> Iterator[bytes]:
        for position in positions:
            with database.transaction(who) as session:
                yield tasks.piece(session, task_id=task_id, position=position)

    assert record is not None  # a report that is handed over is done
    answer = downloads.named(Response(pieces(), mimetype=downloads.TYPES[task.format]), record.file_name)
    answer.headers["X-Content-SHA256"] = record.sha256
    answer.content_length = record.bytes
    return answer


def compliance(*, period: Period, org_id: int | None, file_format: ExportFormat, reason: str, lang: str) -> Response:
    """Return the compliance report as a download."""
    write = partial(WRITERS[file_format], words=words(lang))
    return downloads.recorded(lambda session, file: service.export_compliance(
        session, org_id=org_id, period=period, file_format=file_format, reason=reason, title=t("reports.title", lang="zh"),
        write=write, file=file, actor=actor(), now=now(),
    ))  # fmt: skip


def case(*, finding_id: int, reason: str) -> Response:
    """Return the evidence file of a clue as a download."""
    return downloads.recorded(lambda session, file: service.case_file(
        session, finding_id=finding_id, reason=reason, write=pdf.write_case, file=file, actor=actor(), now=now()
    ))  # fmt: skip


def page_words() -> Words:
    """Return the words of the page's language."""
    return words(language())
