"""GPX: points of an uploaded file as plain rows, and fixes written as GPX 1.1.

Reading walks the XML itself, with entity and DTD tricks refused, because a reader of the whole document gives up at
the first bad point; one bad point must cost one point.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from xml.etree.ElementTree import Element, ParseError, SubElement

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from gpxpy.gpx import GPX, GPXTrack, GPXTrackPoint, GPXTrackSegment

from telematics.model import Fix

EXTENSION_PREFIX = "gpxtpx"
EXTENSION_NAMESPACE = "http://www.garmin.com/xmlschemas/TrackPointExtension/v2"
"""Garmin's point extension, version 2: speed in m/s and course in degrees, read by most GPX programs."""

FIELDS = {
    "time": "at",
    "ele": "altitude_m",
    "hdop": "hdop",
    "sat": "satellites",
    "course": "direction_deg",
    "speed": "speed_ms",
}
"""Elements read, wherever in a point they stand: GPX 1.0 has speed and course, later writers put them in extensions."""


class GpxError(ValueError):
    """The document cannot be read at all; the message says why."""


def read_points(data: bytes) -> Iterator[dict[str, str]]:
    """Track points of a GPX 1.0 or 1.1 document as rows of text by field, in document order.

    Raises
    ------
    GpxError
        If it is not well-formed XML, is not GPX, or declares a DTD or entities.
    """
    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException:
        raise GpxError("the file declares a document type or entities, which a GPX file does not need") from None
    except (ParseError, ValueError, LookupError) as error:
        raise GpxError(f"the file is not well-formed XML ({error})") from None
    if _name(root) != "gpx":
        raise GpxError(f"the file is XML but not GPX: its root is <{_name(root)}>")
    return (_row(point) for point in root.iter() if _name(point) == "trkpt")


def write_gpx(fixes: Sequence[Fix], *, name: str = "", gap_s: float = 600.0) -> str:
    """GPX 1.1 text of fixes in time order, one track; a new segment after each silence of more than ``gap_s``.

    Keeps time, position, altitude, speed and direction; GPX has no place for ignition and odometer.
    """
    document = GPX()
    document.creator = "fleet"
    document.nsmap[EXTENSION_PREFIX] = EXTENSION_NAMESPACE
    track = GPXTrack(name=name or None)
    document.tracks.append(track)
    for i, fix in enumerate(fixes):
        if i == 0 or fix.at - fixes[i - 1].at > timedelta(seconds=gap_s):
            track.segments.append(GPXTrackSegment())
        point = GPXTrackPoint(fix.lat, fix.lon, elevation=fix.altitude_m, time=fix.at.astimezone(UTC))
        if fix.speed_kmh is not None or fix.direction_deg is not None:
            point.extensions.append(_extension(fix))
        track.segments[-1].points.append(point)
    return str(document.to_xml(version="1.1"))


def _extension(fix: Fix) -> Element:
    extension = Element(f"{{{EXTENSION_NAMESPACE}}}TrackPointExtension")
    if fix.speed_kmh is not None:
        SubElement(extension, f"{{{EXTENSION_NAMESPACE}}}speed").text = f"{fix.speed_kmh / 3.6:.3f}"
    if fix.direction_deg is not None:
        SubElement(extension, f"{{{EXTENSION_NAMESPACE}}}course").text = str(fix.direction_deg)
    return extension


def _row(point: Element) -> dict[str, str]:
    row: dict[str, str] = {key: point.attrib[key] for key in ("lat", "lon") if key in point.attrib}
    for element in point.iter():
        field = FIELDS.get(_name(element))
        if field and field not in row and element.text and element.text.strip():
            row[field] = element.text.strip()
    return row


def _name(element: Element) -> str:
    """Local name; comments and processing instructions have none."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
