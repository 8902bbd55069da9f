"""The form's inputs as data and back: rows of stops, ticks, what the answer is asked with. No database."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from werkzeug.datastructures import MultiDict

from fleetapp.kit.spans import Span
from fleetapp.orders.rules import OrderKind
from fleetapp.web.display import input_moment

ASKED = ("kind", "body", "passenger_count", "start_at", "end_at", "luggage")
"""Inputs that the answer depends on; who travels and why is nobody's business before the order is sent."""
OF_THE_FORM = frozenset(["csrf_token", "weekly", "favourite", "one_way", "every_day", "add_stop", "ask"])
STEP = timedelta(minutes=30)


def permission(kind: OrderKind) -> str:
    """Return the action that opens a kind of order."""
    return "orders.create_service" if kind is OrderKind.SERVICE else "orders.create"


def stop_rows(form: MultiDict[str, str]) -> list[dict[str, str]]:
    """Return the rows of the route as typed, ``{name, lat, lon}`` without empty inputs; empty rows only as origin."""
    columns = [[text.strip() for text in form.getlist(f"stop_{name}")] for name in ("name", "lat", "lon")]
    longest = max(len(column) for column in columns)
    padded = [column + [""] * (longest - len(column)) for column in columns]
    names = ("name", "lat", "lon")
    rows = [{key: text for key, text in zip(names, row, strict=True) if text} for row in zip(*padded, strict=True)]
    return [*rows[:1], *(row for row in rows[1:] if row)]


def given(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return what was filled in, as the schemas name it; the inputs of a series only when one is asked for."""
    names = [name for name in form if not name.startswith("stop_") and name not in OF_THE_FORM]
    data: dict[str, Any] = {name: form[name] for name in names if form[name]}
    data["round_trip"] = "one_way" not in form
    for name in ("weekdays", "until"):
        data.pop(name, None)
    if form.get("weekly"):
        data |= {"weekdays": form.getlist("weekdays"), "skip_holidays": "every_day" not in form}
        if form.get("until"):
            data["until"] = form["until"]
    return data


def query(args: MultiDict[str, str]) -> dict[str, Any]:
    """Return what the answer is asked with, from the address of the fragment."""
    rows = [
        {"lat": lat, "lon": lon} for lat, lon in zip(args.getlist("stop_lat"), args.getlist("stop_lon"), strict=False)
    ]
    return query_of_form(args, rows)


def query_of_form(values: Mapping[str, str], rows: list[dict[str, str]]) -> dict[str, Any]:
    """Return what the answer is asked with, from the values of a form; places without coordinates are left out."""
    asked: dict[str, Any] = {name: values[name] for name in ASKED if values.get(name)}
    asked["round_trip"] = not values.get("one_way")
    asked["stop"] = [f"{row['lat']},{row['lon']}" for row in rows if row.get("lat") and row.get("lon")]
    return asked


def again(
    values: Mapping[str, str], content: Mapping[str, Any], window: Span
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the values and rows of a form for a trip taken again over a window."""
    kept = {name: str(value) for name, value in content.items() if name not in {"stops", "start", "end", "days"}}
    ticks = {"pooling_ok": "true" if content["pooling_ok"] else "", "one_way": "" if content["round_trip"] else "true"}
    times = {"start_at": input_moment(window.start), "end_at": input_moment(window.end)}
    rows = [{"name": s["name"], "lat": f"{s['lat']:.6f}", "lon": f"{s['lon']:.6f}"} for s in content["stops"]]
    return {**values, **kept, **ticks, **times}, rows


def half_hour(at: datetime) -> datetime:
    """Return the next full half hour."""
    return at + (-(at - datetime.min.replace(tzinfo=at.tzinfo)) % STEP)
