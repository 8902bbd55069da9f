"""Answers that the pages and the API share: a checked file with its errors in words, a query's days."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from fleetapp.energy import exports, importing, queries
from fleetapp.energy.layout import Problem, Row
from fleetapp.kit.sheets import mark
from fleetapp.web.downloads import named
from fleetapp.web.request import actor, now
from fleetapp.web.texts import LANGUAGES, language, t

TYPES = {"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "csv": "text/csv; charset="}
YEAR = timedelta(days=365)


def said(problems: Sequence[Problem], lang: str | None = None) -> str:
    """Return what is wrong with a row in words."""
    between = "；" if (lang or language()) == "zh" else "; "
    return between.join(t(problem.code, lang=lang, **problem.params) for problem in problems)


def errors(rejected: Sequence[Row], lang: str | None = None) -> dict[int, str]:
    """Return the words by line."""
    return {row.line: said(row.problems, lang) for row in rejected}


def returned(session: Session, import_id: int, *, lang: str | None = None) -> Response:
    """Return a file with its column of errors as a download."""
    made = queries.get_import(session, import_id=import_id, actor=actor())
    judged = importing.judged_file(session, made, actor=actor(), now=now())
    content = exports.with_errors(judged.sheet, errors(judged.rejected, lang if lang in LANGUAGES else language()),
                                  mark=mark(actor().name, now()))  # fmt: skip
    form = judged.sheet.form
    kind = TYPES["xlsx"] if form == "xlsx" else TYPES["csv"] + form.removesuffix("-sig")
    response = Response(content, content_type=kind)
    stem, _, ending = made.file_name.rpartition(".")
    return named(response, f"{stem or made.file_name}_{t('energy.file_suffix', lang='zh')}.{ending}")


def template() -> Response:
    """Return the empty file for imports as a download."""
    return named(
        Response(exports.template(), content_type=TYPES["xlsx"]), f"{t('energy.template_file', lang='zh')}.xlsx"
    )


def period(query: Mapping[str, Any], today: date) -> dict[str, date]:
    """Return a query's local days, both included; without them the last twelve months."""
    end_on = query["end_on"] or today
    return {"start_on": query["start_on"] or end_on - YEAR, "end_on": end_on}
