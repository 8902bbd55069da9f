"""The year's workbook as a download, handed over after its reason is in the audit log."""

import hashlib
from datetime import date

from flask import Response

from fleetapp.accounts.queries import get_org, orgs_visible_to
from fleetapp.costs import exports, figures, queries, service
from fleetapp.kit import permits, sheets
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.display import name
from fleetapp.web.downloads import named
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def year_file(*, year: int, org_id: int, reason: str) -> Response:
    """Return the costs of a year below an organisation.

    :raises NotAllowed: the actor may not take costs out of there.
    """
    with transaction() as s:
        org = get_org(s, org_id=org_id)
        permits.require("costs.export", actor(), org_path=org.path)
        total, units = figures.by_unit(s, actor=actor(), year=year, org_path=org.path)
        names = {one.id: name(one) for one in s.scalars(orgs_visible_to(actor())) if one.path.startswith(org.path)}
        rows = [
            row
            for row in queries.all_rows(s, actor=actor(), start=date(year, 1, 1), end=date(year + 1, 1, 1))
            if row.org_id in names
        ]
        cars = {car.id: car for car in s.scalars(vehicles.visible_to(actor()))}
        content = exports.year_xlsx(
            title=t("costs.file_title", unit=name(org), year=year),
            total=total,
            units=units,
            rows=rows,
            cars=cars,
            names=names,
            tasks=queries.task_numbers(s, rows),
            say=t,
            mark=sheets.mark(actor().name, now()),
        )
        sha256 = hashlib.sha256(content).hexdigest()
        service.exported(
            s, org_id=org.id, year=year, reason=reason, rows=len(rows), sha256=sha256, actor=actor(), now=now()
        )
        file_name = f"{org.name_zh}_车辆费用_{year}.xlsx"
    response = Response(content, mimetype=XLSX)
    response.headers["X-Content-SHA256"] = sha256
    return named(response, file_name)
