"""Every page of every role at a desk and on a phone: it opens, fits, is labelled, and nothing complains."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESK, EAST, PHONE, ROOT, SEAT, WULIN

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("day")]

ROLES = (
    "auditor.city", "dispatcher.xihu", "fleet_manager.xihu", "vehicle_office.city", "unit_admin.xhedu", "approver.xhedu",
    "applicant.xhedu", "driver.xhedu", "leader.city", "finance.city", "system_admin.city",
)  # fmt: skip
CHINESE = re.compile(r"[\u4e00-\u9fff]")
DATA = re.compile(rf"浙[A-Z][A-Z0-9]+|中文|{EAST.name}|{SEAT.name}|{WULIN.name}|西湖论坛|参加全市教育工作会议|示例车型")
"""Plates, the language switch, and what people typed are the same in both languages."""

FAULTS = """() => {
  const found = [];
  const say = (what, element) => found.push(`${what}: ${element.outerHTML.slice(0, 160)}`);
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) found.push(`id twice: ${id}`);
  if (document.querySelectorAll("h1").length !== 1) found.push(`h1: ${document.querySelectorAll("h1").length}`);
  if (!document.documentElement.lang) found.push("no lang");
  if (document.querySelectorAll("main").length !== 1) found.push("main landmark");
  for (const field of document.querySelectorAll("input, select, textarea")) {
    if (["hidden", "submit"].includes(field.type)) continue;
    if (!field.labels?.length && !field.ariaLabel && !field.getAttribute("aria-labelledby")) say("no label", field);
  }
  for (const table of document.querySelectorAll("table")) if (!table.caption && !table.ariaLabel) say("no caption", table);
  for (const element of document.querySelectorAll("button, a[href]")) {
    const name = (element.innerText || "").trim() || element.ariaLabel || element.textContent.trim() || element.querySelector("title")?.textContent;
    if (!name) say("no name", element);
  }
  for (const image of document.querySelectorAll("img:not([alt])")) say("no alt", image);
  for (const element of document.querySelectorAll("[aria-controls], [aria-describedby], [aria-labelledby]"))
    for (const attribute of ["aria-controls", "aria-describedby", "aria-labelledby"])
      for (const id of (element.getAttribute(attribute) || "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) say(`${attribute} names nothing`, element);
  return found;
}"""
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
BROKEN = """async () => {
  const { violations } = await axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], resultTypes: ["violations"], elementRef: false,
    rules: { "label-content-name-mismatch": { enabled: true } }, // axe has it only on demand
  });
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(
    ({ id, help, nodes }) => `axe ${id} (${help}): ${nodes.slice(0, 3).map(({ html, any }) => html.slice(0, 160) + " " + (any[0]?.message ?? "")).join(" | ")}`);
}"""
TOO_WIDE = """() => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide <= 0) return [];
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".table-responsive, .fleet-map, svg *"))
    .slice(0, 5).map((element) => `${wide} px: ${element.outerHTML.slice(0, 140)}`);
}"""
WORDS = """() => [...document.querySelectorAll(
  "title, h1, h2, h3, th, caption, label, legend, button, dt, summary, option, .nav-link, .form-hint, .btn, .badge, .empty, .page-header"
)].filter((element) => !element.closest("[data-language]")).map((element) => element.textContent.trim().replace(/\\s+/g, " "))
  .concat([...document.querySelectorAll("[placeholder], [aria-label]")].map((element) => element.placeholder || element.ariaLabel))"""

PICTURED = frozenset(
    [
        "/style",
        "/notices",
        "/notices/choices",
        "/slips/verify",
        "/indicators/#",
        "/vehicles/#/file",
        "/orders/#",
        "/orders/#/confirmation",
        "/occasions/#",
        "/cases/#",
        "/seals/#",
        "/upkeep/vehicles/#",
        "/price-books/#",
    ]
)
"""Pages behind those of the menu that are kept as pictures too."""
pictured: set[str] = set()
"""Kinds of pages that somebody has looked at in full; every role looks at its menu's pages all the same."""


def shape(path: str) -> str:
    """Return a page's address without its numbers, codes and query: two orders are one kind of page."""
    return re.sub(r"\d+|(?<=/policies/)[^/]+|(?<=/dashboard/lists/)[^/]+", "#", path.partition("?")[0])


LINKS = "(selector) => [...document.querySelectorAll(selector)].map((link) => link.getAttribute('href'))"


def pages(window) -> Iterator[tuple[str, bool]]:
    """Open and yield the pages of the menu (True) and, from each of them, the first link to every kind of page within (False)."""
    seen: set[str] = set()
    menu, inside = window.page.evaluate(LINKS, "#side-menu a"), ["/notices", "/slips/verify", "/style"]
    for path in menu:
        if shape(path) not in seen:
            seen.add(shape(path))
            window.open(path)
            inside += window.page.evaluate(LINKS, "main a[href^='/']")
            yield path, True
    for path in inside:
        if shape(path) == "/vehicles/#" and shape(path) not in seen:
            inside.append(f"{path}/file?tab=all")
        if shape(path) in seen or re.search(r"\.(gpx|csv|xlsx|pdf|json)$|/slip$|/slips/offline", path):
            continue
        seen.add(shape(path))
        if shape(path) in pictured:  # somebody has looked at such a page: here it is enough that it opens
            assert window.page.request.get(f"{window.base}{path}").status == 200, path
            continue
        window.open(path)
        yield path, False


@pytest.mark.timeout(360)  # the first role of a process looks at some sixty pages in both sizes
@pytest.mark.parametrize("username", ROLES)
def test_pages_are_sound_and_fit_desk_and_phone(window, username):
    opened = window(username)
    expect(opened.page.locator("h1")).to_have_count(1)
    faults, axe = [], AXE.read_text()
    for path, of_menu in pages(opened):
        name = f"{username.partition('.')[0]}-{shape(path).strip('/').replace('/', '_') or 'root'}"
        faults += [f"{path}: {fault}" for fault in opened.page.evaluate(FAULTS)]
        for size in (DESK, PHONE):
            opened.page.set_viewport_size(size)
            if opened.page.evaluate(TOO_WIDE):
                opened.page.wait_for_timeout(600)  # a time line measures itself twice a second
            faults += [f"{path} at {size['width']}: {fault}" for fault in opened.page.evaluate(TOO_WIDE)]
            if shape(path) in pictured:
                continue
            opened.page.evaluate(axe)  # not as a script of the page: its own policy would refuse it
            faults += [f"{path} at {size['width']}: {fault}" for fault in opened.page.evaluate(BROKEN)]
            if of_menu or shape(path) in PICTURED:
                opened.picture(name)
        pictured.add(shape(path))
        opened.page.set_viewport_size(DESK)
    assert faults == []


@pytest.mark.parametrize("username", ["auditor.city", "dispatcher.xihu", "applicant.xhedu", "driver.xhedu"])
def test_english_leaves_no_chinese_words(window, username):
    opened = window(username)
    opened.page.get_by_role("button", name="English").click()
    expect(opened.page.locator("html")).to_have_attribute("lang", "en")
    left = []
    for item in opened.page.locator("#side-menu a").all():
        path = item.get_attribute("href")
        other = opened.page.context.new_page()
        other.goto(f"{opened.base}{path}")
        words = [DATA.sub("", text) for text in other.evaluate(WORDS)]
        left += [f"{path}: {text[:80]}" for text in words if CHINESE.search(text)]
        other.close()
    assert left == []
