"""The documents keep their promises: links lead somewhere, pictures are there and small, named targets of make exist."""

import functools
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LARGEST_PICTURE = 250_000
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`|^ {4}\S.*$", re.DOTALL | re.MULTILINE)
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)")
DOCUMENT = re.compile(r"docs/[\w/.-]+\.md")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_of(text: str) -> str:
    return "\n".join(CODE.findall(text))


@functools.cache
def headings(path: Path) -> frozenset[str]:
    """Return the anchors of a document's headings: lower case, punctuation gone, spaces to hyphens."""
    found = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found)


def broken_links(path: Path) -> list[str]:
    broken = []
    for link in LINK.findall(CODE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        there, _, anchor = unquote(link).partition("#")
        target = (path.parent / there).resolve() if there else path
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_lead_somewhere_and_commands_exist(path):
    text = path.read_text(encoding="utf-8")
    code = code_of(text)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert broken_links(path) == []
    assert set(MAKE.findall(code)) - targets == set()
    assert [one for one in DOCUMENT.findall(code) if not (ROOT / one).exists()] == []


def test_every_picture_is_shown_and_small():
    shown = {
        (path.parent / link).resolve() for path in DOCUMENTS for link in LINK.findall(path.read_text(encoding="utf-8"))
    }
    pictures = sorted((ROOT / "docs" / "pictures").iterdir())
    assert [named(one) for one in pictures if one not in shown] == []
    assert [named(one) for one in pictures if one.stat().st_size > LARGEST_PICTURE] == []


def test_a_broken_link_and_a_wrong_anchor_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Two words\n[a](gone.md) [b](#two-words) [c](#three) `[d](code.md)`\n", encoding="utf-8")
    assert broken_links(page) == ["gone.md", "#three"]
