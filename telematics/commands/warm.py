"""Compile the inner loops once after installing, so that the first terminal and the first trip need not wait for it."""

import argparse
from datetime import UTC, datetime, timedelta

from telematics.gateway import wire_rows
from telematics.model import Fix
from telematics.rows import EPOCH, to_row
from telematics.segment import segment_track
from telematics.stored import of_rows


def add_arguments(_: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(_: argparse.Namespace) -> int:
    """Read frames; read and segment two hours of a vehicle that stands, drives and stands."""
    wire_rows.warm()
    start_at = datetime(2024, 1, 1, tzinfo=UTC)
    fixes = [
        Fix(start_at + timedelta(minutes=k), 30 + min(max(k - 20, 0), 30) * 0.01, 120.0, speed_kmh=60.0 * (20 < k < 50))
        for k in range(120)
    ]
    segment_track(of_rows([row[1:6] for fix in fixes for row in [to_row(1, fix, None, EPOCH + (fix.at - EPOCH))]]))
    return 0
