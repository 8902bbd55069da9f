"""How the board says a vehicle's case, and moves as JSON."""

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from flask import jsonify, make_response
from werkzeug import Response

from fleetapp.kit.errors import FleetError, Invalid
from fleetapp.planning.moves import Move
from fleetapp.planning.rules import Fault
from fleetapp.web.display import field_errors
from fleetapp.web.errors import STATUS
from fleetapp.web.texts import t

SENT = frozenset({"order_id", "seen", "vehicle_id", "driver_id", "pool_key", "consent"})
"""What of a move goes to the page and comes back."""


def fit(fault: Fault | None) -> str:
    """Return whether a vehicle can go: yes, with care, no."""
    if fault is None:
        return "yes"
    return "no" if fault.refuses else "care"


def case(fault: Fault | None, driver: str | None, cost_fen: int | None) -> str:
    """Return a vehicle's case in words: who would drive and what it adds, or what is against it."""
    words = [t(f"planning.why.{fault.code}", **fault.params)] if fault else []
    if fault is None or not fault.refuses:
        words += [driver] if driver else []
        words += [t("board.cost", yuan=round(cost_fen / 100))] if cost_fen is not None else []
    return " · ".join(words)


def undo_of(back: Move) -> dict[str, Any]:
    """Return a move as the page keeps it for undo."""
    return {one.name: getattr(back, one.name) for one in fields(back) if one.name in SENT}


def said(error: FleetError) -> str:
    """Return a refusal in the page's language."""
    return field_errors(error.fields) if isinstance(error, Invalid) else t(error.code, **error.params)


def as_json(view: Callable[..., Response]) -> Callable[..., Response]:
    """Answer refusals as JSON with their words: scripts ask, people read."""

    @functools.wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Response:
        try:
            return view(*args, **kwargs)
        except FleetError as error:
            return make_response(jsonify(code=error.code, text=said(error)), STATUS.get(type(error), 422))

    return answer
