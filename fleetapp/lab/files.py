"""A study as a workbook: conclusion and assumptions, the table, the sampled days."""

import hashlib
import io

from flask import Response

from fleetapp.kit import clock, sheets
from fleetapp.lab import service, words
from fleetapp.lab.models import LabStudy
from fleetapp.web.display import moment, name
from fleetapp.web.downloads import XLSX, named
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t


def workbook(study_id: int) -> Response:
    """Return the report of a study that is done, after the download is in the audit log.

    :raises NotFound: none within reach, or not done.
    """
    with transaction() as s:
        study = service.get_done(s, study_id=study_id, actor=actor())
        content = written(study, mark=sheets.mark(actor().name, now()))
        sha256 = hashlib.sha256(content).hexdigest()
        service.exported(s, study=study, sha256=sha256, actor=actor(), now=now())
        title = f"{name(study.org)}_{t(f'lab.kind.{study.kind}')}_{clock.local_date(study.requested_at)}_{study.id}"
    response = Response(content, mimetype=XLSX)
    response.headers["X-Content-SHA256"] = sha256
    return named(response, sheets.safe_name(title, "xlsx"))


def written(study: LabStudy, *, mark: str) -> bytes:
    """Return the workbook."""
    out, result = io.BytesIO(), study.result or {}
    found = words.table(study)
    with sheets.workbook(out, mark=mark, constant_memory=False) as book:
        head = book.add_format({"bold": True, "border": 1, "text_wrap": True, "bg_color": "#E9EEF5", "valign": "top"})
        plain, quoted = (
            book.add_format({"border": 1, "text_wrap": True, "valign": "top", **more})
            for more in ({}, {"quote_prefix": True})
        )
        facts = book.add_worksheet(t("lab.sheet.facts"))
        facts.set_column(0, 0, 26)
        facts.set_column(1, 1, 90)
        asked = study.asked
        lines = [
            (t("lab.question"), t(f"lab.kind.{study.kind}")), (t("lab.scope"), name(study.org)), (t("lab.conclusion"), words.conclusion(study)),
            (t("lab.caution"), t(f"lab.caution.{study.kind}")), (t("lab.asked_by"), f"{name(study.requester)} {moment(study.requested_at)}"),
            *((t(f"lab.asked.{key}"), str(asked[key])) for key in ("start_on", "end_on", "days", "seed", "share", "years", "budget", "bought_share") if key in asked),
            *((code, f"{row['value']} {row['unit']} · {row['source']}") for code, row in asked["figures"].items()),
            (t("lab.digest"), study.digest or ""),
        ]  # fmt: skip
        for row, (key, value) in enumerate(lines):
            facts.write_string(row, 0, key, head)
            sheets.put(facts, row, 1, value, form=plain, quoted=quoted)
        rows = book.add_worksheet(t("lab.sheet.table"))
        rows.set_landscape()
        rows.set_column(0, 0, 30)
        rows.set_column(1, len(found.heads), 14)
        for column, text in enumerate(found.heads):
            rows.write_string(0, column, text, head)
        for number, cells in enumerate(found.rows, start=1):
            for column, cell in enumerate(cells):
                sheets.put(rows, number, column, cell, form=plain, quoted=quoted)
        if days := result.get("days"):
            sheet = book.add_worksheet(t("lab.sheet.days"))
            sheet.write_string(0, 0, t("lab.day"), head)
            for number, on in enumerate(days, start=1):
                sheet.write_string(number, 0, on, plain)
    return out.getvalue()
