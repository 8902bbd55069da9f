"""Every way by which a file leaves, from the URL map: with a reason, or named with why it needs none."""

import re

import pytest

from tests.web.conftest import path_of, routes

pytestmark = pytest.mark.timeout(120)
FILES = re.compile(
    r"export|\.xlsx|\.pdf|\.gpx|\.csv|/file$|\.file$|case-file|evidence$|/returned|/template|slips/print|vehicle-codes/sheet|<any\(xlsx"
)
REASON = {
    "costs.export": "vehicle_office.city", "api_costs.Export": "vehicle_office.city", "ledgers.export": "vehicle_office.city",
    "api_ledgers.Export": "vehicle_office.city", "pool.export": "vehicle_office.city", "reports.export": "auditor.city",
    "api_reports.Compliance": "auditor.city", "slips.export": "vehicle_office.city", "reports.ask": "auditor.city", "api_reports.Tasks": "auditor.city",
}  # fmt: skip
"""Ask for a reason; who may have the file."""
REASON_OF_ONE_ROW = {
    "api_reports.CaseFile",
    "api_evidence.Package", "reports.case_file", "evidence.package", "emergency.record", "occasions.export", "settlement.export",
    "statreports.export", "api_trips.TripGpx",
}  # fmt: skip
"""Ask for one as well; tried in their slices, where there is a row."""
NONE = {
    "ledgers.template": "an empty form", "api_ledgers.Template": "an empty form", "energy.import_template": "an empty form",
    "ledgers.returned": "one's unit's own file with its faults", "api_ledgers.Returned": "the same",
    "energy.import_file": "one's unit's own file with its faults", "api_energy.ImportFile": "the same",
    "lab.file": "figures of a study that says who asked it and what; nobody is named in it",
    "terminals.health_file": "condition of devices: neither tracks nor people; who took it is logged",
    "slips.file": "the paper of one journey", "slips.together": "the papers of the day; which, is logged",
    "vehicle_codes.sheet": "codes to stick on vehicles", "reports.exports": "the page", "api_reports.Exports": "the list of what was taken out",
    "reports.preview": "the page", "reports.task_list": "the page", "reports.case": "the page that asks for the reason",
    "reports.task_file": "the file of a task that was asked for with a reason", "api_reports.TaskFile": "the same",
    "evidence.form": "the page that asks for the reason",
    "evidence.requests": "the page of requests",
    "reports.cancel": "no file", "api_reports.Task": "no file", "dossier.show": "a page", "dossier.complete": "no file", "api_dossier.OneFile": "a row",
}  # fmt: skip
"""Ask for none, and why."""


def leaving(site):
    """Return the routes that hand over a file, by endpoint."""
    both = [*routes(site, unsafe=False), *routes(site, unsafe=True)]
    found = {rule.endpoint: (method, rule) for method, rule in both if FILES.search(rule.rule)}
    return found | {
        name: next((m, r) for m, r in both if r.endpoint == name and m == "POST")
        for name in ("costs.export", "pool.export")
    }


def test_every_file_that_leaves_asks_for_a_reason_or_is_named_with_why_not(site):
    named = REASON.keys() | REASON_OF_ONE_ROW | NONE.keys()
    found = leaving(site).keys()
    assert not found - named, "ask for a reason, or say why none is needed"


@pytest.mark.parametrize("endpoint", sorted(REASON))
def test_without_a_reason_no_file_leaves(site, enter, endpoint):
    client = enter(REASON[endpoint])
    token = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/account").get_data(as_text=True))[1]
    rule = next(r for m, r in routes(site, unsafe=True) if r.endpoint == endpoint and m == "POST")
    more = {"headers": {"X-CSRFToken": token}}
    for body in ({}, {"reason": ""}, {"reason": " "}):
        answer = client.post(
            path_of(site, rule), **more, **({"json": body} if "/api/" in rule.rule else {"data": body})
        )
        assert answer.status_code == 422, (body, answer.status)
        assert "attachment" not in answer.headers.get("Content-Disposition", "")
