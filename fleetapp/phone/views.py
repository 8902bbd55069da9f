"""The driver's app: its page, its parts kept for use without a network, what it shows and what it sends."""

import hashlib
import json
from pathlib import Path

from flask import Blueprint, Response, make_response, render_template, url_for

from fleetapp.duty.rules import ExpenseKind
from fleetapp.phone.rules import Part
from fleetapp.web import display
from fleetapp.web.texts import catalogue, language, t

blueprint = Blueprint("phone", __name__, template_folder="templates", url_prefix="/phone")
PARTS = ("phone.css", "phone.js", "icons.svg")
ICONS = ("icon.svg", "icon-192.png", "icon-512.png")


@blueprint.get("/")
def app() -> str:
    """Return the app's page: nobody's data is in it, so that it may be kept on the phone."""
    return render_template("phone/app.html", words=_words(), parts=list(Part), expense_kinds=list(ExpenseKind))


def _words() -> dict[str, str]:
    """Return what the app says in the page's language: this slice's texts under ``app.`` and what orders and duties are called."""
    lang = language()
    found = {
        key.removeprefix("phone.app."): text[lang] for key, text in catalogue().items() if key.startswith("phone.app.")
    }
    for prefix in ("orders.state.", "orders.purpose.", "duty.expense."):
        found |= {key: text[lang] for key, text in catalogue().items() if key.startswith(prefix)}
    return found


@blueprint.get("/manifest.webmanifest")
def manifest() -> Response:
    """Describe the app to a phone that installs it."""
    icon = [{"src": url_for("static", filename=f"phone/{name}"), "sizes": size, "type": kind, "purpose": "any maskable"}
            for name, size, kind in zip(ICONS, ("any", "192x192", "512x512"), ("image/svg+xml", "image/png", "image/png"), strict=True)]  # fmt: skip
    return _kept(json.dumps({
        "name": t("phone.app.title"), "short_name": t("phone.app.short"), "start_url": url_for("phone.app"), "scope": url_for("phone.app"),
        "id": url_for("phone.app"), "display": "standalone", "orientation": "portrait", "lang": "zh-CN" if language() == "zh" else "en",
        "background_color": "#ffffff", "theme_color": "#0b4f8a", "icons": icon,
    }, ensure_ascii=False), "application/manifest+json")  # fmt: skip


@blueprint.get("/sw.js")
def worker() -> Response:
    """Return the service worker with the list of what it keeps; another list is another version of it."""
    kept = [display.asset(name) for name in PARTS]
    kept += [url_for("static", filename=f"phone/{name}") for name in ICONS]
    shell_text = (Path(__file__).parent / "templates" / "phone" / "app.html").read_bytes()
    version = hashlib.sha256("\n".join(kept).encode() + shell_text + json.dumps(_words()).encode()).hexdigest()[:12]
    later = [display.asset("phone-qr.js")]
    head = f"self.FLEET = {json.dumps({'version': version, 'page': url_for('phone.app'), 'kept': kept, 'later': later})};\n"
    script = (display.DIST / display.manifest()["phone-worker.js"]).read_text(encoding="utf-8")
    return _kept(head + script, "text/javascript")


def _kept(body: str, kind: str) -> Response:
    response = make_response(body)
    response.headers["Content-Type"] = f"{kind}; charset=utf-8"
    response.headers["Cache-Control"] = "no-cache"
    return response
