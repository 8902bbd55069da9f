"""Every word a person reads, in Chinese and English side by side: ``fleetapp/<slice>/texts.toml``.

A key ``state.SUBMITTED`` of slice ``orders`` is asked for by its full key ``orders.state.SUBMITTED``. Run as a program it
checks the catalogues: both languages, the same placeholders, and every key that templates and error codes name.
"""

import functools
import re
import string
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import g, has_request_context, request

ROOT = Path(__file__).parents[1]
LANGUAGES = ("zh", "en")
COOKIE = "lang"


@functools.cache
def catalogue() -> dict[str, dict[str, str]]:
    """Return all texts by full key."""
    found = {}
    for path in sorted(ROOT.glob("*/texts.toml")):
        for key, words in tomllib.loads(path.read_text(encoding="utf-8")).items():
            found[f"{path.parent.name}.{key}"] = words
    return found


def language() -> str:
    """Return the language of this request: cookie, else Chinese."""
    if not has_request_context():
        return "zh"
    if "language" not in g:
        wanted = request.cookies.get(COOKIE, "zh")
        g.language = wanted if wanted in LANGUAGES else "zh"
    return str(g.language)


def t(key: str, /, lang: str | None = None, **params: Any) -> str:
    """Return the words of a key in a language, placeholders filled in.

    A parameter may itself be said in the language: ``{"zh": .., "en": ..}``, or ``{"text": key, ..}``
    with parameters of its own.

    :raises KeyError: no such key; the catalogue check finds these before a person does.
    """
    lang = lang or language()
    words = catalogue()[key][lang]
    return words.format(**{name: _said(value, lang) for name, value in params.items()}) if params else words


def _said(value: Any, lang: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "text" not in value:
        return value[lang]
    return t(value["text"], lang, **{name: part for name, part in value.items() if name != "text"})


def t_or(key: str, fallback: str, **params: Any) -> str:
    """Return the words of a key, or the fallback for codes that come from outside."""
    return t(key, **params) if key in catalogue() else fallback


def placeholders(words: str) -> set[str]:
    """Return the names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


LITERAL = re.compile(r"""\bt\(\s*["']([a-z_]+\.[A-Za-z0-9_.\-]+)["']""")
ERROR = re.compile(
    r"""(?:RuleBroken|NotFound|NotAllowed|NotSignedIn|Conflict|Invalid)\(\s*["']([a-z_]+\.[a-z0-9_.]+)["']"""
)


def faults() -> list[str]:
    """Return what is wrong with the catalogues, one sentence each."""
    found = []
    texts = catalogue()
    for key, words in texts.items():
        if set(words) != set(LANGUAGES) or not all(words.values()):
            found.append(f"{key}: needs words in {' and '.join(LANGUAGES)}")
        elif placeholders(words["zh"]) != placeholders(words["en"]):
            found.append(f"{key}: placeholders differ between zh and en")
    for path in [*ROOT.rglob("*.py"), *ROOT.rglob("templates/**/*.html")]:
        text = path.read_text(encoding="utf-8")
        named = {*LITERAL.findall(text), *(ERROR.findall(text) if path.suffix == ".py" else ())}
        found += [
            f"{path.relative_to(ROOT)}: no text for {key}" for key in named - texts.keys() if not key.endswith(".")
        ]
    return sorted(found)


def main() -> int:
    """Print the faults; exit status 1 if there are any."""
    found = faults()
    print("\n".join(found) or f"texts: {len(catalogue())} keys in {' and '.join(LANGUAGES)}, no faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
