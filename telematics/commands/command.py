"""Ask a terminal for something: the running gateway sends it and writes down the answer.

Prints the command as a JSON object; with --wait also what became of it. Kinds and their --parameters (JSON):
set_parameters {"parameters": {"0029": 30}}, query_parameters {} or {"ids": ["0029"]}, query_attributes,
query_position, track {"interval_s": 5, "duration_s": 600}, text (or --text), control {"lock": true}.

Environment: FLEET_DATABASE_URL (address of a login that may write terminal_command).
"""

import argparse
import json
import os
import sys
from math import ceil
from typing import Any

import psycopg

from telematics import terminal_store
from telematics.commands.common import utc_now
from telematics.gateway.link import driver_address, first_line
from telematics.protocols.jt808 import ProtocolError
from telematics.protocols.jt808_command import ENCODERS, encode_command
from telematics.store import wire_identity

POLL_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``command``."""
    parser.add_argument("--terminal", required=True, metavar="PHONE", help="number the terminal sends")
    parser.add_argument("--kind", required=True, choices=list(ENCODERS), help="what to ask")
    parser.add_argument("--parameters", default="{}", metavar="JSON", help="parameters of the kind")
    parser.add_argument("--text", help="text of kind text")
    parser.add_argument("--wait", type=float, default=0.0, metavar="S", help="seconds to wait for the result")
    parser.add_argument("--database-url", help="PostgreSQL address (default: environment FLEET_DATABASE_URL)")


def run(args: argparse.Namespace) -> int:
    """0 if written (with --wait: if the result is ok), 1 if not, 2 for unusable arguments."""
    url = args.database_url or os.environ.get("FLEET_DATABASE_URL")
    if not url:
        print("No database: give --database-url or set FLEET_DATABASE_URL.", file=sys.stderr)
        return 2
    try:
        parameters = _parameters(args)
        for version in ("2013", "2019"):
            encode_command(args.kind, parameters, version)
        phone = wire_identity(args.terminal)
    except ValueError as error:  # ProtocolError and JSONDecodeError are such
        print(error if isinstance(error, ProtocolError) else f"unusable arguments: {error}", file=sys.stderr)
        return 2
    try:
        with psycopg.connect(driver_address(url), autocommit=True, options="-c timezone=UTC") as conn:
            return _ask(conn, phone, args.kind, parameters, wait_s=args.wait)
    except psycopg.Error as error:
        print(f"the database refuses: {first_line(error)}", file=sys.stderr)
        return 1


def _parameters(args: argparse.Namespace) -> dict[str, Any]:
    try:
        parameters = dict(json.loads(args.parameters))
    except (TypeError, ValueError) as error:
        raise ValueError(f"--parameters is not a JSON object: {error}") from None
    return parameters | ({"text": args.text} if args.text is not None else {})


def _ask(conn: psycopg.Connection[Any], phone: str, kind: str, parameters: dict[str, Any], *, wait_s: float) -> int:
    found = conn.execute("SELECT id FROM gps_terminal WHERE phone = %s AND kind = 'jt808'", (phone,)).fetchone()
    if found is None:
        print(f"terminal {phone} is not known: register it in the application first", file=sys.stderr)
        return 1
    command_id = terminal_store.add_command(conn, found[0], kind, parameters, now=utc_now())
    printed: dict[str, Any] = {"id": command_id, "terminal": phone, "kind": kind}
    outcome = terminal_store.outcome(conn, command_id)
    for _ in range(ceil(wait_s / POLL_S)):
        if outcome and outcome.result is not None:
            break
        conn.execute("SELECT pg_sleep(%s)", (POLL_S,))
        outcome = terminal_store.outcome(conn, command_id)
    if outcome and wait_s:
        printed |= {"result": outcome.result, "answer": outcome.answer}
        for name, at in (("sent_at", outcome.sent_at), ("answered_at", outcome.answered_at)):
            printed[name] = at.isoformat() if at else None
    print(json.dumps(printed, ensure_ascii=False))
    return 0 if not wait_s or printed["result"] == "ok" else 1
