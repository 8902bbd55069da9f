"""Every badge, alert, button and coloured word that a template may draw, side by side: no state that data bring is unreadable."""

import re

import pytest

from tests.browser.conftest import ROOT
from tests.browser.test_pages import AXE

pytestmark = pytest.mark.browser
FILES = [
    path
    for pattern in ("*/templates/**/*.html", "*/assets/*.js", "**/*.py")
    for path in (ROOT / "fleetapp").glob(pattern)
]
WORD = re.compile(r"\b(?:bg|text|btn|alert)-[a-z]+(?:-[a-z]+)*")
COLOURS = {"blue", "azure", "indigo", "purple", "pink", "red", "orange", "yellow", "lime", "green", "teal", "cyan", "secondary", "success",
           "danger", "warning", "info", "primary", "muted"}  # fmt: skip
UNREADABLE = """async (parts) => {
  document.querySelector("main").innerHTML = `<div class="card"><div class="card-body">${parts}</div></div><div>${parts}</div>`;
  const { violations } = await axe.run("main", { runOnly: { type: "rule", values: ["color-contrast", "link-in-text-block"] } });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html} ${any[0]?.message}`));
}"""


def drawn() -> set[str]:
    """Return the classes that colour something, from templates, scripts and the code that names them."""
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    found = {word for text in texts for word in WORD.findall(text)}
    macros = (ROOT / "fleetapp" / "web" / "templates" / "macros" / "ui.html").read_text(encoding="utf-8")
    # ``ui.badge`` names its colours by state: they stand in no class attribute.
    found |= {
        f"bg-{colour}-lt" for colour in re.findall(r"'(\w+)'", macros.partition("STATE_COLOURS")[2].partition("}")[0])
    }
    return {word for word in found if COLOURS & set(word.split("-")) and not word.endswith("-fg")}


def part(word: str) -> str:
    """Return a class as templates use it."""
    kind = word.partition("-")[0]
    if kind == "bg" and not word.endswith("-lt"):
        word += f" text-{word.split('-')[1]}-fg"
    if kind == "bg":
        return f'<span class="badge {word}">已批准 Approved</span> '
    if kind == "btn":
        return f'<button class="btn {word}">提交 Send</button> '
    link = '<a href="/">编号 2026-001</a>'
    return f'<div class="{"alert " if kind == "alert" else ""}{word}">等待处理 Waiting {link}</div>'


def test_whatever_state_is_drawn_can_be_read(window):
    words = sorted(drawn())
    assert {"bg-green-lt", "alert-danger", "btn-primary", "text-secondary"} <= set(words)
    opened = window()
    opened.open("/sign-in")

    opened.page.evaluate(AXE.read_text(encoding="utf-8"))
    faults = opened.page.evaluate(UNREADABLE, "".join(map(part, words)))
    assert faults == []
    opened.picture("components")
