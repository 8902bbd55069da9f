"""What holds vehicles, as the board's script draws it: bars with their orders, what is wrong, hours of drivers."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import url_for

from fleetapp.board.queries import Held, Stop
from fleetapp.kit import clock
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderKind, Purpose
from fleetapp.planning import rules
from fleetapp.vehicles.rules import VehicleState
from fleetapp.web.display import hour
from fleetapp.web.texts import language, t

LONGEST_SHOWN = 40
"""Drivers whose hours are told, the longest first."""


class Words:
    """Rows in the words of one request's reader; what is said thousands of times is looked up once."""

    def __init__(self) -> None:
        self._t = functools.cache(t)
        self._language = language()
        self._order_address = url_for("orders.show", order_id=0).removesuffix("0")

    def bar(self, rows: Sequence[Held], alerts: Sequence[str], stops: Mapping[int, list[Stop]]) -> dict[str, Any]:
        """Return a journey, its orders by start."""
        first = rows[0]
        way = stops.get(first.order_id)
        to = way[-1][2] if way else first.number
        return {
            "id": first.pool_key, "row": first.vehicle_id, "plate": first.plate, "driver": self._driver(first),
            "start": ms(min(row.start_at for row in rows)), "end": ms(max(row.end_at for row in rows)),
            "held_start": ms(min(row.held_start or row.start_at for row in rows)),
            "held_end": ms(max(row.held_end or row.end_at for row in rows)),
            "state": first.state, "charge": first.purpose == Purpose.CHARGE, "out": first.state in rules.OUT,
            "state_text": self._t(f"orders.state.{first.state}"), "pooled": self._t("planning.pool_of", n=len(rows)) if len(rows) > 1 else "",
            "text": f"{hour(first.start_at)} {to}", "locked": any(row.is_locked for row in rows),
            "movable": all(row.state in rules.MOVABLE for row in rows), "alerts": list(alerts),
            "alert_text": "；".join(self._t(f"board.alert.{code}") for code in alerts),
            "orders": [self._order(row, stops.get(row.order_id, [])) for row in rows],
        }  # fmt: skip

    def card(self, order: TravelOrder, *, unit: str, stops: Sequence[Stop]) -> dict[str, Any]:
        """Return an order in words and numbers; its age is told by the script, which has a clock that runs."""
        said = self._t
        return {
            "id": order.id, "number": order.number, "unit": unit, "urgent": order.kind == OrderKind.EMERGENCY,
            "time": f"{clock.local(order.start_at):%m-%d %H:%M}–{hour(order.end_at)}",
            "since": ms(order.approved_at), "start": ms(order.start_at), "end": ms(order.end_at),
            "what": f"{said(f'orders.purpose.{order.purpose}')} · {said('orders.people', n=order.passenger_count)} · {said(f'orders.body.{order.body}')}",
            "to": " → ".join(stop[2] for stop in stops[1:]), "href": f"{self._order_address}{order.id}", "stops": _short(stops),
        }  # fmt: skip

    def alert(self, row: Held, code: str) -> dict[str, Any]:
        """Return one thing that is wrong with a journey."""
        return {
            "bar": row.pool_key, "row": row.vehicle_id, "plate": row.plate, "code": code, "href": f"{self._order_address}{row.order_id}",
            "text": self._t(f"board.alert.{code}"), "number": row.number, "order_id": row.order_id, "seen": row.id,
        }  # fmt: skip

    def _order(self, row: Held, stops: Sequence[Stop]) -> dict[str, Any]:
        """Return as little as a bar needs of an order: there may be thousands on a board."""
        return {
            "id": row.order_id, "number": row.number, "unit": row.unit_zh if self._language == "zh" else row.unit_en,
            "start": ms(row.start_at), "end": ms(row.end_at), "stops": _short(stops), "seen": row.id, "locked": row.is_locked,
        }  # fmt: skip

    def _driver(self, row: Held) -> str:
        return row.driver_zh if self._language == "zh" else row.driver_en


def wrong(
    journeys: Sequence[Sequence[Held]], *, accept_min: Mapping[str, float], silent: Callable[[Held], bool], now: datetime
) -> dict[int, list[str]]:  # fmt: skip
    """Return what is wrong with journeys at a moment, by key; those with nothing are left out.

    ``accept_min`` are the minutes that a driver has to accept, by the unit's path; ``silent`` tells of a terminal that says nothing.
    """
    found = {}
    for rows in journeys:
        codes = [
            code
            for row in rows
            for code in rules.exceptions(
                row.state, start_at=row.start_at, end_at=row.end_at, assigned_at=row.assigned_at,
                accept=timedelta(minutes=accept_min[row.unit_path]),
                in_service=row.vehicle_state == VehicleState.IN_SERVICE, now=now,
            )
        ] + (["offline"] if silent(rows[0]) else [])  # fmt: skip
        if codes:
            found[rows[0].pool_key] = list(dict.fromkeys(codes))
    return found


def hours_of(held: Collection[Held], shifts: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the hours of journeys of each driver by local day against a shift of the policy, the longest first.

    ``shifts`` are hours by the path of the vehicle's holder.
    """
    hours, rows, done = dict[tuple[int, date], float](), dict[int, Held](), set[tuple[int, int]]()
    for row in held:
        if (row.driver_id, row.pool_key) in done:
            continue  # a shared journey is driven once
        done.add((row.driver_id, row.pool_key))
        rows[row.driver_id] = row
        key = (row.driver_id, clock.local_date(row.start_at))
        hours[key] = hours.get(key, 0) + (row.end_at - row.start_at).total_seconds() / 3600
    is_zh = language() == "zh"
    found = []
    for (driver_id, day), sum_h in hours.items():
        row = rows[driver_id]
        said = row.driver_zh if is_zh else row.driver_en
        most = shifts[row.holder_path]
        found.append({"name": said, "on": f"{day:%m-%d}", "hours": round(sum_h, 1), "most": most, "over": sum_h > most})
    return sorted(found, key=lambda one: (-float(str(one["hours"])), str(one["name"])))[:LONGEST_SHOWN]


def ms(at: datetime | None) -> int | None:
    """Return a moment as scripts count: milliseconds since 1970."""
    return round(at.timestamp() * 1000) if at else None


def _short(stops: Sequence[Stop]) -> list[list[float | str]]:
    """Return stops to a metre."""
    return [[round(lon, 5), round(lat, 5), name] for lon, lat, name in stops]
