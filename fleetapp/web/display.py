"""How values look on a page: office time, kilometres, names in the page's language, assets by their hashed name."""

import functools
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

from flask import Flask, current_app, request, url_for
from markupsafe import Markup

from fleetapp.kit import clock, permits
from fleetapp.web import request as web_request
from fleetapp.web.texts import language, t, t_or

DIST = Path(__file__).parent / "static" / "dist"
WEEKDAYS = {"zh": "一二三四五六日", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}


@functools.cache
def manifest() -> dict[str, str]:
    """Return built file names by source name; empty before the first build."""
    path = DIST / "manifest.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def asset(name: str) -> str:
    """Return the address of a built asset."""
    return url_for("static", filename=f"dist/{manifest().get(name, name)}")


def icon(name: str, label: str = "") -> Markup:
    """Return an icon of the sprite; with a label it is read aloud, else hidden from screen readers."""
    spoken = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="icon" {}><use href="{}#{}"></use></svg>').format(spoken, asset("icons.svg"), name)


def moment(at: datetime | None) -> str:
    """Return office time as ``2026-11-23 08:30``."""
    return clock.local(at).strftime("%Y-%m-%d %H:%M") if at else "–"


def day(value: datetime | date | None) -> str:
    """Return a local date with its weekday."""
    if value is None:
        return "–"
    on = clock.local_date(value) if isinstance(value, datetime) else value
    weekday = WEEKDAYS[language()][on.weekday()]
    return f"{on.isoformat()} 周{weekday}" if language() == "zh" else f"{weekday} {on.isoformat()}"


def hour(at: datetime | None) -> str:
    """Return office time of day."""
    return clock.local(at).strftime("%H:%M") if at else "–"


def input_moment(at: datetime | None) -> str:
    """Return the form that ``<input type=datetime-local>`` wants."""
    return clock.local(at).strftime("%Y-%m-%dT%H:%M") if at else ""


def km(metres: float | None, digits: int = 1) -> str:
    """Return metres as kilometres."""
    return "–" if metres is None else f"{metres / 1000:,.{digits}f}"


def percent(share: float | None) -> str:
    """Return a share as a percentage."""
    return "–" if share is None else f"{share * 100:.0f}%"


def duration(seconds: float | None) -> str:
    """Return seconds as ``1:05`` hours and minutes."""
    if seconds is None:
        return "–"
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d}"


def name(row: Any) -> str:
    """Return a row's name in the page's language."""
    if row is None:
        return "–"
    found: str = getattr(row, f"name_{language()}")
    return found


def field_errors(messages: Any) -> str:
    """Return a field's messages in the page's language, nested ones flattened."""
    if isinstance(messages, dict):
        return "；".join(f"{key}: {field_errors(value)}" for key, value in messages.items())
    if isinstance(messages, list):
        return "；".join(field_errors(message) for message in messages)
    return t_or(f"web.field.{messages}", t_or(str(messages), str(messages)))


def menu() -> list[dict[str, Any]]:
    """Return the menu entries open to who is signed in; active is that of this page, of the page above it, or of its slice."""
    who = web_request.find_actor()
    items = web_request.shell().menu
    here = request.endpoint or ""
    of_slice = [item.endpoint for item in items if item.endpoint.split(".")[0] == here.split(".")[0]]
    above = [endpoint for endpoint in of_slice if request.path.startswith(f"{url_for(endpoint)}/")]
    active = here if here in of_slice else next(iter(above or of_slice), None)
    return [
        {"href": url_for(item.endpoint), "text": t(item.text), "icon": item.icon, "active": item.endpoint == active,
         "heading": t(item.heading) if item.heading else ""}
        for item in items
        if who
        and item.endpoint in current_app.view_functions
        and (item.action is None or permits.may(item.action, who))
    ]  # fmt: skip


def page_url(number: int) -> str:
    """Return this page's address with another page number."""
    return url_for(request.endpoint or "", **{**(request.view_args or {}), **request.args.to_dict(), "page": number})


def init_app(app: Flask) -> None:
    """Make these known to templates."""
    app.jinja_env.filters.update(
        moment=moment, day=day, hour=hour, km=km, percent=percent, duration=duration, name=name,
        input_moment=input_moment,
    )  # fmt: skip
    app.jinja_env.globals.update(
        t=t, t_or=t_or, asset=asset, icon=icon, language=language, allowed=web_request.allowed,
        find_actor=web_request.find_actor, request_now=web_request.now, menu=menu, page_url=page_url,
        field_errors=field_errors,
    )  # fmt: skip
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
