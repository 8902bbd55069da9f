"""The files of a package that a person reads: cover sheet, slip, map, GPX, the order's history and how to check, in one language."""

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

from flask import Response, render_template

from fleetapp.evidence import facts as gathered
from fleetapp.evidence import package, service
from fleetapp.evidence.facts import Facts
from fleetapp.kit import signatures
from fleetapp.kit.actor import SYSTEM
from fleetapp.planning import slips
from fleetapp.reports import pdf as case_pdf
from fleetapp.trips.bridge import to_gpx
from fleetapp.web import downloads, pdf
from fleetapp.web.display import moment, name
from fleetapp.web.request import actor, now, shell
from fleetapp.web.texts import language, t, t_or


def papers(session: Any, facts: Facts) -> dict[str, bytes]:
    """Return the readable files by name; a journey without a slip has none."""
    case = facts.case
    cover = io.BytesIO()
    shown = case_pdf.facts(case)
    pdf.write(render_template("evidence/cover.html", found=facts, seals=_seals(facts), **shown), cover)
    files = {
        "cover.pdf": cover.getvalue(),
        "map.svg": ('<?xml version="1.0" encoding="UTF-8"?>\n' + str(shown["map"])).encode(),
        "track.gpx": to_gpx(gathered.driven(case.fixes), name=case.finding.number).encode(),
        "order.txt": "".join(f"{line}\n" for line in _history(facts)).encode(),
        "README.txt": "".join(f"{t('evidence.readme', lang=lang)}\n\n" for lang in ("zh", "en")).encode(),
    }
    if case.assignment is not None:
        files["slip.pdf"] = slips.kept(session, case.assignment)
    return files


def _seals(facts: Facts) -> list[tuple[str, int, str, int]]:
    return [(seal.day.isoformat(), seal.fixes, seal.root, entry) for seal, entry in facts.chained.seals]


def _history(facts: Facts) -> Iterator[str]:
    """Yield the order and all that happened to it, line by line."""
    order = facts.case.order
    if order is None:
        yield t("reports.case.no_order")
        return
    yield f"{t('reports.col.order')}: {order.number}  {name(order.org)}"
    for label, value in (
        ("reports.col.applicant", name(order.applicant)), ("reports.col.approver", name(order.approver)),
        ("reports.col.purpose", t_or(f"orders.purpose.{order.purpose}", order.purpose)), ("reports.col.reason", order.reason),
        ("reports.col.order_start_at", moment(order.start_at)), ("reports.col.order_end_at", moment(order.end_at)),
        ("reports.col.stops", " → ".join(stop.name for stop in order.stops)), ("reports.col.passengers", order.passengers or "–"),
        ("reports.col.order_state", t_or(f"orders.state.{order.state}", order.state)),
    ):  # fmt: skip
        yield f"{t(label)}: {value}"
    yield f"\n{t('reports.case.order_log')}"
    for event in order.events:
        who = name(event.actor) if event.actor else t("reports.case.by_system")
        yield f"{moment(event.at)}  {t_or(f'orders.action.{event.action}', event.action)}  {who}  {event.note or ''}".rstrip()
    for step in facts.approval_steps:
        yield f"{moment(step.at)}  {t_or(f'approvals.verdict.{step.verdict}', step.verdict)}  {name(step.user)}  {step.note or ''}".rstrip()
    yield f"\n{t('evidence.changes')}"
    for change in order.changes:
        yield f"{moment(change.created_at)}  {name(change.requester)}  {t_or(f'orders.change_state.{change.state}', change.state)}  {change.reason}"
        for key in sorted(change.before.keys() | change.after.keys()):
            if change.before.get(key) != change.after.get(key):
                yield f"    {key}: {change.before.get(key)} → {change.after.get(key)}"
    if not order.changes:
        yield t("reports.case.nothing")


def download(*, finding_id: int, reason: str) -> Response:
    """Return the package of a clue as a download."""
    keys = signatures.of(shell().settings)

    def prove(subjects: Any, days: Any) -> gathered.Chained:
        # Seals and the chain are the whole system's: they are read as the system, the case as whoever asks.
        with shell().database.transaction(SYSTEM) as whole:
            return gathered.prove(whole, subjects, days)

    def make(session: Any, file: Any) -> Any:
        def write(facts: Facts, out: Any) -> None:
            sign = partial(signatures.sign, keys)
            package.write(facts, out, papers=papers(session, facts), language=language(), sign=sign)

        return service.package(
            session, finding_id=finding_id, reason=reason, proof=prove, write=write, file=file, actor=actor(), now=now()
        )

    return downloads.recorded(make)
