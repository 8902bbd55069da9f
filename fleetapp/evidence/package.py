"""The files of a package, the manifest over them and the one zip that they make: the same facts give the same bytes.

The zip is not packed and carries no times, so that a checker can make it again and compare every byte.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from typing import Any, BinaryIO

from fleetapp.evidence.facts import GENERATOR, Facts, distance_method
from fleetapp.evidence.rules import FORM
from fleetapp.kit.jsonable import jsonable
from fleetapp.kit.sheets import write_csv
from fleetapp.kit.sm3 import sm3
from fleetapp.tracking.keeping import ACTION as SEALED

MANIFEST, SIGNATURE = "manifest.json", "signature.json"
Sign = Callable[[str, bytes], Mapping[str, str]]
PARTS = ("time", "dest", "orig", "driver", "events")


def utc(at: datetime | None) -> str | None:
    """Return a moment as ISO 8601 in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat()


def as_json(value: Any) -> bytes:
    """Return values as readable JSON: sorted names, times ISO 8601, money as text."""
    return (json.dumps(json.loads(jsonable(value)), ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def as_csv(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as CSV with a byte-order mark; no text becomes a formula."""
    out = io.StringIO(newline="")
    write_csv(out, chain([heads], rows))
    return out.getvalue().encode("utf-8-sig")


def _person(user: Any) -> dict[str, str] | None:
    return None if user is None else {"zh": user.name_zh, "en": user.name_en}


def case_json(facts: Facts) -> bytes:
    """Return the clue: rule with version and parameters and their sources, facts, evidence on both sides."""
    finding, case = facts.case.finding, facts.case
    return as_json({
        "number": finding.number, "rule": finding.rule, "rule_version": finding.rule_version, "severity": finding.severity,
        "state": finding.state, "confidence": finding.confidence, "start_at": utc(finding.start_at), "end_at": utc(finding.end_at),
        "detected_at": utc(finding.detected_at), "due_at": utc(finding.due_at), "facts": finding.facts, "parameters": finding.params,
        "evidence_for": finding.evidence_for, "evidence_against": finding.evidence_against,
        "vehicle": {"plate": finding.vehicle.plate, "category": finding.vehicle.category},
        "unit": _person(case.org), "concerned": _person(finding.concerned), "window": {"start_at": utc(case.start), "end_at": utc(case.end)},
    })  # fmt: skip


def order_json(facts: Facts) -> bytes:
    """Return the order as it stands, its changes word for word, its steps and decisions, the slip and what the driver reported."""
    order, duty = facts.case.order, facts.case.assignment
    if order is None:
        return as_json(None)
    names = ("number", "kind", "purpose", "reason", "passengers", "passenger_count", "contact", "body", "area", "route_m",
             "state", "supplementary", "round_trip", "pooling_ok", "closing_reason")  # fmt: skip
    return as_json({
        **{name: getattr(order, name) for name in names},
        "unit": _person(order.org), "applicant": _person(order.applicant), "approver": _person(order.approver),
        **{name: utc(getattr(order, name)) for name in ("start_at", "end_at", "created_at", "approved_at")},
        "stops": [{"name": stop.name, "lat": stop.lat, "lon": stop.lon, "tolerance_m": stop.tolerance_m} for stop in order.stops],
        "changes": [{"state": one.state, "reason": one.reason, "requested_by": _person(one.requester), "created_at": utc(one.created_at),
                     "applied_at": utc(one.applied_at), "before": one.before, "after": one.after} for one in order.changes],
        "events": [{"action": one.action, "from": one.from_state, "to": one.to_state, "at": utc(one.at), "by": _person(one.actor),
                    "note": one.note} for one in order.events],
        "decisions": [{"verdict": one.verdict, "by": _person(one.user), "at": utc(one.at), "note": one.note} for one in facts.approval_steps],
        "slip": None if duty is None else {"number": duty.slip.number, "issued_at": utc(duty.slip.issued_at), "void_at": utc(duty.slip.void_at),
                                           "void_reason": duty.slip.void_reason, "driver": _person(duty.driver.user)},
        "duty": [{"action": one.action, "at": utc(one.at), "received_at": utc(one.received_at), "odometer_m": one.odometer_m,
                  "note": one.note} for one in facts.case.events],
    })  # fmt: skip


def track_csv(facts: Facts) -> bytes:
    """Return every fix of the window, WGS-84, with the hash of its raw frame and the trip that was computed from it."""
    heads = (
        "at_utc",
        "lat",
        "lon",
        "speed_kmh",
        "direction_deg",
        "odometer_m",
        "acc",
        "fixed",
        "digest",
        "raw_sha256",
        "trip",
    )
    rows = (
        (raw.at.isoformat(), f"{fix.lat:.6f}", f"{fix.lon:.6f}", fix.speed_kmh, fix.direction_deg, fix.odometer_m,
         None if fix.acc is None else int(fix.acc), int(fix.fixed), raw.digest, raw.sha256, trip)
        for fix, raw, trip in zip(facts.case.fixes, facts.hashes, facts.trip_of, strict=True)
    )  # fmt: skip
    return as_csv(heads, rows)


def stays_csv(facts: Facts) -> bytes:
    """Return a row for each known place near each stay, nearest first, and for each approved stop and the designated place."""
    heads = (
        "stay",
        "trip",
        "start_utc",
        "end_utc",
        "duration_s",
        "lat",
        "lon",
        "kind",
        "place",
        "category",
        "distance_m",
    )
    rows: list[Sequence[Any]] = []
    for stay in facts.stays:
        mine = (
            stay.number,
            stay.trip,
            utc(stay.start_at),
            utc(stay.end_at),
            (stay.end_at - stay.start_at).total_seconds(),
            stay.lat,
            stay.lon,
        )
        rows += [
            (*mine, "known place", place.name_zh, place.category, round(place.distance_m or 0.0, 1))
            for place in stay.places
        ]
        rows += [(*mine, "approved stop", name, None, round(metres, 1)) for name, metres in stay.stops_m]
        if stay.parking_m is not None:
            rows.append((*mine, "designated parking", "", None, round(stay.parking_m, 1)))
        if not stay.places and not stay.stops_m and stay.parking_m is None:
            rows.append((*mine, None, None, None, None))
    return as_csv(heads, rows)


def costs_csv(facts: Facts) -> bytes:
    """Return fillings, chargings, tolls and other costs of the days of the case, void ones too, CNY."""
    heads = (
        "ledger",
        "kind",
        "at",
        "quantity",
        "unit_price",
        "amount_cny",
        "odometer_m",
        "place_or_document",
        "order",
        "explanation",
        "void_reason",
    )
    rows: list[Sequence[Any]] = [
        (
            "energy",
            row.kind,
            utc(row.at),
            row.quantity,
            row.unit_price,
            row.amount,
            row.odometer_m,
            row.station,
            None,
            row.product,
            row.void_reason,
        )
        for row in facts.energy
    ]
    rows += [("cost", row.kind, row.on, None, None, row.amount, None, row.document_no, row.order.number if row.order else None,
              row.explanation, row.void_reason) for row in facts.costs]  # fmt: skip
    rows += [
        ("driver", row.kind, utc(row.at), None, None, row.amount, None, None, None, row.note, row.void_reason)
        for row in facts.expenses
    ]
    return as_csv(heads, rows)


def figures(facts: Facts) -> dict[str, Any]:
    """Return the figures of the case and what a checker needs to compute them again."""
    trips, stays, matches = facts.case.trips, facts.stays, []
    for number, trip in enumerate(trips, start=1):
        for part in trip.matches:
            parts = {name: getattr(part, f"score_{name}") for name in PARTS}
            whole = part.score is not None and None not in parts.values()
            matches.append({
                "trip": number, "order": part.order.number if part.order else None, "kind": part.kind, "margin": part.margin,
                "start_at": utc(part.start_at), "end_at": utc(part.end_at), "distance_m": part.distance_m,
                "score": part.score if whole else None, "parts": parts, "weights": facts.weights, "candidates": part.candidates,
            })  # fmt: skip
    return {
        "track": {"fixes": facts.case.manifest.fixes, "with_raw": facts.case.manifest.with_raw, "sha256": facts.case.manifest.sha256},
        "distance_method": distance_method(),
        "trips": [
            {"trip": number, "start_at": utc(trip.start_at), "end_at": utc(trip.end_at), "duration_s": (trip.end_at - trip.start_at).total_seconds(),
             "from": trip.start_place, "to": trip.end_place, "positions": trip.points, "coverage": trip.coverage, "gaps": trip.gaps,
             "max_speed_kmh": trip.max_speed_kmh, "gps_m": trip.gps_m, "odometer_m": trip.odometer_m, "speed_m": trip.speed_m,
             "road_m": trip.matched_m, "road_source": trip.matched_source, "best_m": trip.best_m, "best_source": trip.best_source,
             "error_m": trip.error_m, "derived_at": utc(trip.derived_at), "superseded_at": utc(trip.superseded_at)}
            for number, trip in enumerate(trips, start=1)
        ],
        "stays": [{"stay": stay.number, "trip": stay.trip, "start_at": utc(stay.start_at), "end_at": utc(stay.end_at),
                   "duration_s": (stay.end_at - stay.start_at).total_seconds()} for stay in stays],
        "matches": matches,
    }  # fmt: skip


def review_json(facts: Facts) -> bytes:
    """Return the explanation, the verdict and every step of the clue."""
    finding = facts.case.finding
    return as_json({
        "explanation": finding.explanation, "explained_by": _person(finding.explainer), "review_note": finding.review_note,
        "reviewed_by": _person(finding.reviewer), "closed_at": utc(finding.closed_at),
        "steps": [{"action": one.action, "from": one.from_state, "to": one.to_state, "at": utc(one.at), "by": _person(one.actor),
                   "text": one.note} for one in finding.events],
    })  # fmt: skip


def calendar_json(facts: Facts) -> bytes:
    """Return what kind of day each local day of the window is, and whether the official notice of its year is loaded."""
    return as_json(
        [{"on": day.on, "kind": day.kind, "name": day.name, "notice_loaded": day.known} for day in facts.days]
    )


def chain_json(facts: Facts) -> bytes:
    """Return the audit entries of the case, the head over them, and the seals of its days with all that their roots are over."""
    chained = facts.chained
    return as_json({
        "entries": [{"seq": one.seq, "prev_hash": one.prev_hash, "hash": one.hash, "content": one.content} for one in chained.entries],
        "head": {"seq": chained.head.seq, "hash": chained.head.hash},
        "published": json.loads(chained.published) if chained.published else None,
        "seals": [{"day": seal.day, "since_us": _micros(seal.since), "as_of_us": _micros(seal.as_of), "root": seal.root, "entry": entry,
                   "action": SEALED, "parts": [[part.terminal_id, part.fixes, part.sha256.hex()] for part in seal.parts]}
                  for seal, entry in chained.seals],
    })  # fmt: skip


def _micros(at: datetime) -> int:
    whole = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * 1_000_000 + whole.microseconds


def plain_files(facts: Facts) -> dict[str, bytes]:
    """Return the files that are data."""
    return {
        "case.json": case_json(facts), "order.json": order_json(facts), "track.csv": track_csv(facts), "stays.csv": stays_csv(facts),
        "costs.csv": costs_csv(facts), "figures.json": as_json(figures(facts)), "review.json": review_json(facts),
        "calendar.json": calendar_json(facts), "chain.json": chain_json(facts),
    }  # fmt: skip


def manifest(facts: Facts, files: Mapping[str, bytes], *, language: str) -> bytes:
    """Return the list of all files with their hashes, and what the package is."""
    return as_json({
        "form": FORM, "case": facts.case.finding.number, "state_at": utc(facts.state_at), "generator": GENERATOR, "language": language,
        "chain_head": {"seq": facts.chained.head.seq, "hash": facts.chained.head.hash},
        "files": [{"path": name, "bytes": len(data), "sha256": sha256(data).hexdigest(), "sm3": sm3(data)} for name, data in sorted(files.items())],
    })  # fmt: skip


def write(facts: Facts, file: BinaryIO, *, papers: Mapping[str, bytes], language: str, sign: Sign) -> None:
    """Write the package: data and papers, the signed manifest, in one zip."""
    files = {**plain_files(facts), **papers}
    files[MANIFEST] = manifest(facts, files, language=language)
    files[SIGNATURE] = as_json(sign(FORM, files[MANIFEST]))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as package:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            package.writestr(entry, files[name])
