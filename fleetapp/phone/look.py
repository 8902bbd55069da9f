"""What the API of the phone shows: duties with the addresses of map apps, and the answer to an action."""

from typing import Any
from urllib.parse import quote

from geoalchemy2.shape import to_shape

from fleetapp.duty import bridge
from fleetapp.phone import queries
from fleetapp.phone.models import PhoneAction
from fleetapp.web import display
from fleetapp.web.errors import words
from fleetapp.web.texts import language, t


def task_shown(task: queries.Task) -> dict[str, Any]:
    duty, journey = task.duty, task.journey
    return {
        "id": duty.id, "plate": duty.vehicle.plate, "state": journey.state, "arrived": journey.arrived, "coded": task.coded,
        "done": sorted(task.done), "odometer_km": duty.vehicle.odometer_m / 1000, "electric": duty.vehicle.energy == "bev",
        "start_at": min(one.order.start_at for one in journey.duties).isoformat(),
        "end_at": max(one.order.end_at for one in journey.duties).isoformat(),
        "orders": [
            {"number": one.order.number, "slip": one.slip.number, "unit": display.name(one.order.org), "purpose": one.order.purpose,
             "people": one.order.passenger_count, "passengers": one.order.passengers, "contact": one.order.contact}
            for one in journey.duties
        ],
        "stops": [_stop(turn) for turn in journey.turns],
        "last_place": journey.turns[-1].place,
        "events": [{"action": event.action, "at": event.at.isoformat(), "odometer_m": event.odometer_m} for event in journey.events],
        "expenses": [{"kind": one.kind, "amount": str(one.amount), "at": one.at.isoformat(), "void": one.void_at is not None}
                     for one in task.expenses],
    }  # fmt: skip


def _stop(turn: Any) -> dict[str, Any]:
    point = to_shape(turn.stop.point).centroid
    return {"name": turn.stop.name, "place": turn.place, "maps": map_links(turn.stop.name, point.y, point.x),
            "planned_at": turn.planned_at.isoformat() if turn.planned_at else None}  # fmt: skip


def map_links(name: str, lat: float, lon: float) -> dict[str, str]:
    """Return the addresses that open the map apps of a Chinese phone on a WGS-84 point, each in the datum it expects.

    Amap and Tencent take GCJ-02, Baidu BD-09, ``geo:`` WGS-84 (RFC 5870).
    """
    gcj, bd, said = bridge.map_app_point(lat, lon), bridge.baidu_point(lat, lon), quote(name, safe="")
    return {
        "amap": f"https://uri.amap.com/navigation?to={gcj[1]},{gcj[0]},{said}&mode=car&coordinate=gaode&callnative=1",
        "baidu": f"baidumap://map/direction?destination=latlng:{bd[0]},{bd[1]}%7Cname:{said}&coord_type=bd09ll&mode=driving&src=fleet",
        "tencent": f"qqmap://map/routeplan?type=drive&to={said}&tocoord={gcj[0]},{gcj[1]}&referer=fleet",
        "geo": f"geo:{lat:.6f},{lon:.6f}?q={lat:.6f},{lon:.6f}({said})",
    }


def answer(made: PhoneAction) -> dict[str, Any]:
    """Return what the phone is told of an action, in the page's language."""
    lang = language()
    refused = words(made.code, made.params or {})[lang] if made.code else None
    return {
        "key": made.key, "outcome": made.outcome, "code": made.code, "message": refused, "at": made.at.isoformat(), "skew_s": made.skew_s,
        "remarks": [t(f"phone.remark.{one['code']}", **one["params"]) for one in made.remarks],
    }  # fmt: skip
