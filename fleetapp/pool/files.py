"""The figures as a workbook: handed over after the reason is in the audit log."""

import hashlib
import io
from collections.abc import Sequence
from datetime import date, timedelta

from flask import Response

from fleetapp.accounts.models import Organisation
from fleetapp.kit import clock, permits, sheets
from fleetapp.kit.sheets import Cell
from fleetapp.pool import figures, service
from fleetapp.pool.figures import Figures
from fleetapp.web.display import name
from fleetapp.web.downloads import XLSX, named
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t


def workbook(*, start_on: date, last_on: date, reason: str) -> Response:
    """Return the figures of the days ``[start_on, last_on]``.

    :raises NotAllowed: the actor may not take them out.
    """
    permits.require("pool.export", actor())
    with transaction() as s:
        found = figures.over(s, actor=actor(), start_on=start_on, end_on=last_on + timedelta(days=1), now=now())
        content = written(found, mark=sheets.mark(actor().name, now()))
        sha256 = hashlib.sha256(content).hexdigest()
        service.exported(s, org_id=found.levels.orgs[0].id, start_on=start_on, end_on=found.end_on, reason=reason, sha256=sha256,
                         actor=actor(), now=now())  # fmt: skip
    response = Response(content, mimetype=XLSX)
    response.headers["X-Content-SHA256"] = sha256
    return named(response, sheets.safe_name(f"{t('pool.title')}_{start_on}_{last_on}", "xlsx"))


def written(found: Figures, *, mark: str) -> bytes:
    """Return the workbook: balances, what was saved, every order without a vehicle."""
    out = io.BytesIO()
    names = {org.path: name(org) for org in found.levels.orgs}
    with sheets.workbook(out, mark=mark, constant_memory=False) as book:
        head = book.add_format({"bold": True, "border": 1, "text_wrap": True, "bg_color": "#E9EEF5"})
        plain, quoted = book.add_format({"border": 1}), book.add_format({"border": 1, "quote_prefix": True})
        number, moment = (
            book.add_format({"border": 1, "num_format": "#,##0.0"}),
            book.add_format({"border": 1, "num_format": "yyyy-mm-dd hh:mm"}),
        )

        def sheet(title: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
            one = book.add_worksheet(t(title))
            one.set_landscape()
            one.set_paper(9)
            for column, key in enumerate(heads):
                one.write_string(0, column, t(key), head)
                one.set_column(column, column, 22 if column < 2 else 14)
            for row, cells in enumerate(rows, start=1):
                for column, cell in enumerate(cells):
                    form = number if isinstance(cell, float) else moment if hasattr(cell, "hour") else plain
                    sheets.put(one, row, column, cell, form=form, quoted=quoted)

        sheet("pool.balances", ("pool.level", "pool.vehicles", "pool.hours_held", "pool.hours_lent", "pool.hours_used", "pool.hours_borrowed"),
              [(names.get(one.path, one.path), one.vehicles, float(one.hours_held), float(one.hours_lent), float(one.hours_used),
                float(one.hours_borrowed)) for one in found.balances])  # fmt: skip
        sheet("pool.saved", ("pool.saved_kind", "pool.orders", "pool.km", "pool.rental"),
              [(t(f"pool.saved.{kind}"), one.orders, one.km, float(one.rental)) for kind, one in found.saved.items()])  # fmt: skip
        sheet("pool.unmet", ("pool.number", "pool.unit", "pool.level", "pool.body", "pool.start", "pool.how", "pool.price"),
              [(one.order.number, _named(one.order.org), names.get(one.pool, one.pool), t(f"orders.body.{one.order.body}"),
                clock.local(one.order.start_at).replace(tzinfo=None), t(f"pool.unmet.{one.how.value}"),
                None if one.price is None else float(one.price)) for one in found.missed])  # fmt: skip
    return out.getvalue()


def _named(org: Organisation) -> str:
    return str(name(org))
