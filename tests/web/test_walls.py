"""Every route of the live URL map: headers, forged forms, and what an account without a role gets."""

import re

import psycopg
import pytest

from tests.web.conftest import NOBODY, path_of, routes

pytestmark = pytest.mark.timeout(300)  # hundreds of pages each
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
INLINE = re.compile(
    r"<script(?![^>]*\s(?:src=|type=\"application/json\"))[^>]*>\s*\S|<style|\sstyle=[\"']|<[^>]+\son[a-z]+=[\"']|href=[\"']javascript:",
    re.IGNORECASE,
)
"""What the policy would stop; a block of JSON is no script (HTML 4.12.1, "data block"): no browser runs it."""
NO_COOKIE = {"api_accounts.Tokens", "sso.logged_out"}
"""Signs in a program, or is told by a provider, with what is in the request alone: there is nothing a browser would add."""

SAID = {
    "api_findings.NearPlace": {"lat": 30.2, "lon": 120.1, "radius_m": 200, "start": "2026-11-18T09:00", "end": "2026-11-18T12:00", "purpose": "复核 1"},
    "api_pricing.Estimate": {"body": "sedan", "start_at": "2026-11-18T09:00", "end_at": "2026-11-18T12:00"},
    "api_tracking.Track": {"start": "2026-11-18T09:00", "end": "2026-11-18T12:00", "purpose": "复核 1"},
    "api_trips.TripGpx": {"purpose": "复核 1"},
    "api_workdays.Workdays": {"start_on": "2026-11-01", "end_on": "2026-11-08"},
    "board.check": {"order_id": 1},
    "board.join": {"order_id": 1, "pool_key": 1},
}  # fmt: skip
"""What these routes must hear before they look at who asks: said, so that nothing else than the right is missing."""
OFFLINE = {"/slips/offline.html"}
"""One file that is kept and opened without a server: its style is inside."""

PUBLIC = {
    "static": "files of the pages",
    "accounts.sign_in": "the way in",
    "shell.healthz": "alive or not, for the watchdog",
    "operations.readyz": "the same part by part, without names or numbers; nginx shows it to private networks only",
    "operations.metrics": "asks for a token of its own",
    "slips.verify": "whoever stops a car checks its slip by the code on it; no name is shown",
    "slips.keys": "public keys that slips are checked with",
    "slips.offline": "the same check without a network: a page without data",
    "phone.app": "the shell of the driver's pages: no data until a device signs in",
    "phone.manifest": "name and icons of the shell",
    "phone.worker": "script of the shell",
    "api-docs.openapi_json": "what can be asked, not what is answered",
    "sso.start": "goes to the provider of identity, or back to the way in",
    "sso.back": "comes back from there; without a state of ours it goes to the way in",
    "sso.end": "where the provider sends whoever has signed out",
}
"""Open without signing in, and why."""
EVERYBODYS = {
    "second.code": "second step of the way in: without a first step it goes back",
    "second.enrol": "one's own second factor",
    "second.renew": "one's own password, after a one-time secret",
    "shell.root": "goes to one's own first page",
    "shell.style": "components of pages, without data",
    "own.show": "one's own account and sign-ins",
    "api_accounts.Me": "one's own grants",
    "api_accounts.Organisations": "the units of one's grants: none without a role",
    "notices.index": "one's own notices",
    "notices.bell": "how many of them are unread",
    "notices.choices": "through which channel one wants them",
    "api_notices.Notices": "one's own notices",
    "reports.home": "tiles by right: none without a role",
    "api_reports.Summary": "figures by right: none without a role",
    "api_applications.Favourites": "one's own journeys kept to ask for again",
    "api_approvals.Delegations": "periods in which one stands for somebody, or somebody for oneself",
    "api_orders.Orders": "one's own orders; others by the scope of the query",
    "api_orders.Inbox": "what waits for oneself",
    "places.search": "gazetteer: names of public places",
    "api_places.Places": "the same",
    "tracking.road_lines": "main roads, the ground of every map",
    "api_workdays.Workdays": "the working-day calendar, a published notice of the State Council",
    "audit.keys": "public keys that evidence is checked with",
}
"""Open to every account whatever its roles, and why; nothing of anybody else is in it."""


def sound(answer):
    """Return what is wrong with the headers of an answer and with its page."""
    policy = answer.headers.get("Content-Security-Policy", "")
    faults = [name for name, value in HEADERS.items() if answer.headers.get(name) != value]
    if "unsafe" in policy or "default-src 'self'" not in policy or "frame-ancestors 'none'" not in policy:
        faults.append(f"policy {policy}")
    if answer.mimetype == "text/html" and (found := INLINE.search(answer.get_data(as_text=True))):
        faults.append(f"inline {found[0][:60]}")
    return faults


def test_every_page_file_and_error_has_the_headers_and_nothing_inline(site, enter):
    client, faults = enter("auditor.city"), {}
    answers = {rule.rule: client.get(path_of(site, rule)) for _, rule in routes(site, unsafe=False)}
    answers |= {
        "not found": client.get("/nowhere"), "wrong method": client.delete("/home"), "no token": client.post("/sign-out"),
        "api not found": client.get("/api/v1/nowhere"), "api refused": enter(None).get("/api/v1/me"),
        "asset": client.get("/static/favicon.svg"), "sign-in": enter(None).get("/sign-in"),
    }  # fmt: skip
    for name, answer in answers.items():
        found = sound(answer)
        if found and not (name in OFFLINE and found == ["inline <style"]):
            faults[name] = found
    assert not faults, str(faults)
    broken = {name: answer.status for name, answer in answers.items() if answer.status_code >= 500}
    for answer in answers.values():
        answer.close()
    assert not broken, str(broken)


def test_every_route_that_changes_something_refuses_a_forged_form(site, enter):
    client = enter("system_admin.city")
    open_doors = {}
    for method, rule in routes(site, unsafe=True):
        if rule.endpoint in NO_COOKIE:
            continue
        answer = client.open(path_of(site, rule), method=method, headers={"X-CSRFToken": "made up"})
        said = answer.json["code"] if answer.is_json else answer.get_data(as_text=True)
        if answer.status_code != 400 or "kit.csrf" not in said:
            open_doors[f"{method} {rule.rule}"] = answer.status
    assert not open_doors, str(open_doors)


def test_a_made_up_bearer_token_does_not_switch_the_check_off(site, enter):
    client = enter("applicant.xhedu")
    answer = client.post("/account/sign-ins/end", headers={"Authorization": "Bearer made-up"})
    assert answer.status_code in {302, 401}, "the cookie does not count beside a bearer token"
    assert "/sign-in" in answer.headers.get("Location", "/sign-in")
    assert client.get("/account").status_code == 200


def test_without_signing_in_only_the_public_pages_open(site, enter):
    client = enter(None)
    opened = set()
    for method, rule in routes(site, unsafe=False):
        answer = client.open(path_of(site, rule), method=method)
        if not (answer.status_code == 401 or (answer.status_code == 302 and "/sign-in" in answer.headers["Location"])):
            opened.add(rule.endpoint)
        answer.close()
    assert not opened - set(PUBLIC)


def test_without_a_role_nothing_opens_but_what_is_everybodys(site, enter):
    client, opened = enter(NOBODY), {}
    for method, rule in routes(site, unsafe=False):
        answer = client.open(path_of(site, rule), method=method, query_string=SAID.get(rule.endpoint))
        if answer.status_code not in {403, 404}:
            opened[rule.endpoint] = answer.status
        answer.close()
    known = PUBLIC.keys() | EVERYBODYS.keys()
    more = {endpoint: status for endpoint, status in opened.items() if endpoint not in known}
    assert not more, f"ask for a permission first, or name it as everybody's: {more}"
    assert not EVERYBODYS.keys() - opened.keys(), "named as everybody's, but asks for a permission"


def test_the_lists_of_a_person_without_a_role_are_empty(enter):
    client = enter(NOBODY)
    for path in ("organisations", "orders", "orders/inbox", "approvals/delegations", "notices", "favourites"):
        answer = client.get(f"/api/v1/{path}")
        assert (answer.status_code, answer.json) == (200, []), path
    assert not [value for value in client.get("/api/v1/summary").json["figures"].values() if value]


def test_a_fault_of_ours_tells_nothing_of_the_inside(site, enter):
    client, url = enter("auditor.city"), site.extensions["fleet"].settings.database_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE parking_area RENAME TO parking_area_away")
        try:
            answer = client.get("/parking")
        finally:
            connection.execute("ALTER TABLE parking_area_away RENAME TO parking_area")
    assert (answer.status_code, sound(answer)) == (500, [])
    told = answer.get_data(as_text=True).lower()
    inside = ("psycopg", "sqlalchemy", "traceback", "parking_area_away", "does not exist", "fleetapp/", url)
    assert not [word for word in inside if word in told]


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_goes_on_to_pages_of_our_own_alone(site, enter, target):
    answer = enter("applicant.xhedu").get("/sign-in", query_string={"next": target})
    assert answer.headers["Location"] == "/"
