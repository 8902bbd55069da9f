"""Exports as downloads: written to a file without a name, handed over only after the commit."""

from functools import partial

from flask import Response

from fleetapp.reports import exports, pdf, service
from fleetapp.reports.exports import Words
from fleetapp.reports.rules import ExportFormat, Period
from fleetapp.web import downloads
from fleetapp.web.request import actor, now
from fleetapp.web.texts import language, t, t_or

WRITERS = {ExportFormat.XLSX: exports.write_xlsx, ExportFormat.CSV: exports.write_csv}


def words(lang: str) -> Words:
    """Return the words of a language."""
    return Words(lang, lambda key, fallback: t_or(key, fallback, lang=lang))


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
