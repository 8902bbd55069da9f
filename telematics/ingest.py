"""Any fixes, in any order, any number of times -> one canonical sequence."""

import json
from collections.abc import Iterable
from hashlib import blake2b
from itertools import groupby
from math import isfinite
from operator import attrgetter

from telematics.model import Fix


def digest(fix: Fix) -> int:
    """Content digest of a fix, signed 64 bit; with terminal and time it is the identity of the fix.

    Covers position (1e-6 degrees), speed (0.1 km/h), direction and odometer (m): the resolution of the terminal and
    of the store, so that a fix has the same digest before and after storage. Alarm and status words are left out: a
    terminal that repeats a position with a changed alarm bit has not been anywhere else.
    """
    return content_digest(
        _scaled(fix.lat, 1e6), _scaled(fix.lon, 1e6), _scaled(fix.speed_kmh, 10), fix.direction_deg, fix.odometer_m
    )


def content_digest(
    lat_e6: int | str | None,
    lon_e6: int | str | None,
    speed_dkmh: int | str | None,
    direction_deg: int | None,
    odometer_m: int | None,
) -> int:
    """``digest`` of the values it covers, in the store's units; a number that is none stands as its text."""
    content = f"{lat_e6},{lon_e6},{speed_dkmh},{direction_deg},{odometer_m}".encode()
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big", signed=True)


def order_and_dedupe(fixes: Iterable[Fix]) -> list[Fix]:
    """Fixes by time, then by digest, each (time, digest) once.

    The result depends only on the set of fixes given, not on their order or number. Of copies that differ in what
    the digest leaves out, the one delivered live (not ``blind``) is kept.

    Raises
    ------
    ValueError
        If a time carries no zone.
    """
    given = list(fixes)
    if any(fix.at.tzinfo is None for fix in given):
        raise ValueError("Fix without a time zone: give aware UTC times.")
    ordered = sorted(given, key=attrgetter("at"))
    canonical: list[Fix] = []
    for _, group in groupby(ordered, key=attrgetter("at")):
        same_time = list(group)
        canonical.extend(same_time if len(same_time) == 1 else _distinct(same_time))
    return canonical


def _distinct(same_time: list[Fix]) -> list[Fix]:
    first = same_time[0]
    if all(fix == first for fix in same_time):
        return [first]
    best: dict[int, Fix] = {}
    for fix in same_time:
        key = digest(fix)
        if key not in best or _rank(fix) < _rank(best[key]):
            best[key] = fix
    return [best[key] for key in sorted(best)]


def _rank(fix: Fix) -> tuple[bool, str]:
    """Total order over everything the digest leaves out."""
    rest = (
        fix.mock,
        not fix.fixed,
        fix.acc,
        fix.alarm,
        fix.status,
        fix.altitude_m,
        fix.accuracy_m,
        fix.source,
        json.dumps(fix.items, sort_keys=True, default=str),
        # Below the digest's resolution two copies may still differ.
        repr((fix.lat, fix.lon, fix.speed_kmh)),
    )
    return fix.blind, repr(rest)


def _scaled(value: float | None, per_unit: float) -> int | str | None:
    if value is None:
        return None
    return round(value * per_unit) if isfinite(value) else repr(value)
