"""Read a track file (GPX, CSV, JSON lines or JT/T 808 frames) and print its trips, stops and rejected fixes as JSON.

Times are ISO 8601 in UTC, distances metres. ``distance_m.best`` repeats the method named by ``best_source``. Trips are
cut at every --boundary, which stands for the edge of an order's window.
"""

import argparse
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from telematics.files import BadRow, TrackFileError, load_track
from telematics.gcj02 import gcj02_to_wgs84
from telematics.model import Fix, Gap, Rejected, Segmentation, Stop, Trip
from telematics.segment import segment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m telematics segment``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="GPX, CSV, JSON lines or hexadecimal frames")
    parser.add_argument(
        "--zone", help="zone of times that name none, for instance Asia/Shanghai (default: reject them)"
    )
    parser.add_argument(
        "--speed-unit", choices=("kmh", "knots", "ms"), default="kmh", help="of a column that is only called speed"
    )
    parser.add_argument(
        "--datum",
        choices=("wgs84", "gcj02"),
        default="wgs84",
        help="gcj02: positions from a Chinese map, converted first",
    )
    parser.add_argument("--terminal", metavar="ID", help="take this one's positions of a file of several terminals")
    parser.add_argument(
        "--boundary", action="append", default=[], metavar="TIME", help="cut trips at this ISO 8601 time; repeatable"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; exit status 0, or 2 after one sentence on stderr if the input cannot be used."""
    try:
        zone = _zone(args.zone) if args.zone else None
        boundaries = [_boundary(text, zone) for text in args.boundary]
        track = load_track(args.file, zone=zone, speed_unit=args.speed_unit, terminal=args.terminal)
    except TrackFileError as error:
        print(f"{error.zh} / {error}", file=sys.stderr)
        return 2
    except argparse.ArgumentTypeError as error:
        print(error, file=sys.stderr)
        return 2
    fixes = map(_from_gcj02, track.fixes) if args.datum == "gcj02" else track.fixes
    result = segment(fixes, boundaries=boundaries, now=datetime.now(UTC))
    json.dump(_report(result, track.bad_rows), sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0


def _from_gcj02(fix: Fix) -> Fix:
    lat, lon = gcj02_to_wgs84(fix.lat, fix.lon)
    return replace(fix, lat=lat, lon=lon)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError(
            f"未知时区 {name!r}，例如 Asia/Shanghai / Unknown time zone {name!r}: use a name like Asia/Shanghai."
        ) from None


def _boundary(text: str, zone: ZoneInfo | None) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} 不是 ISO 8601 时间 / Boundary {text!r} is not an ISO 8601 time."
        ) from None
    if at.tzinfo is None and zone is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} 没有时区，请写明或用 --zone / Boundary {text!r} has no zone: add one, or give --zone."
        )
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


def _report(result: Segmentation, bad_rows: tuple[BadRow, ...]) -> dict[str, Any]:
    return {
        "trips": [_trip(trip) for trip in result.trips],
        "stops": [_stop(stop) for stop in result.stops],
        "gaps": [_gap(gap) for gap in result.gaps],
        "rejected": [*map(_rejected, result.rejected), *map(_bad_row, bad_rows)],
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _metres(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _trip(trip: Trip) -> dict[str, Any]:
    distance = trip.distance
    return {
        "start": _iso(trip.start_at),
        "end": _iso(trip.end_at),
        "distance_m": {
            "gps": _metres(distance.gps_m),
            "odometer": _metres(distance.odometer_m),
            "speed": _metres(distance.speed_m),
            "best": _metres(distance.best_m),
        },
        "best_source": distance.best_source,
        "error_m": _metres(distance.error_m),
        "points": len(trip.fixes),
        "coverage": round(trip.coverage, 3),
        "max_speed_kmh": round(trip.max_speed_kmh, 1),
        "stops": [_stop(stop) for stop in trip.stops],
    }


def _stop(stop: Stop) -> dict[str, Any]:
    return {
        "start": _iso(stop.start_at),
        "end": _iso(stop.end_at),
        "lat": round(stop.lat, 6),
        "lon": round(stop.lon, 6),
        "points": stop.points,
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "start": _iso(gap.start_at),
        "end": _iso(gap.end_at),
        "chord_m": _metres(gap.chord_m),
        "moving_before": gap.moving_before,
    }


def _rejected(rejected: Rejected) -> dict[str, Any]:
    return {"at": _iso(rejected.fix.at), "reason": rejected.reason.value}


def _bad_row(row: BadRow) -> dict[str, Any]:
    return {"at": None, "reason": row.reason.value, "line": row.line, "detail": row.detail}
