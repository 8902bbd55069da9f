"""A small valid instance to start from; invented, with coordinates in Hangzhou."""

from datetime import UTC, datetime

from dispatch.model import (
    EMERGENCY,
    Driver,
    Instance,
    Lending,
    Place,
    Request,
    Reserve,
    Span,
    Stop,
    Vehicle,
    estimate_travel,
)

HOUR_S = 3_600


def example() -> Instance:
    """Return a morning with five requests, four vehicles and three drivers of two organisations."""
    places = (
        Place("city-yard", 30.2460, 120.2097),
        Place("district-yard", 30.2595, 120.1300),
        Place("city-office", 30.2480, 120.2050),
        Place("district-office", 30.2620, 120.1270),
        Place("east-station", 30.2907, 120.2131),
        Place("north-site", 30.3400, 120.1700),
    )
    day = (Span(6 * HOUR_S, 20 * HOUR_S),)
    requests = (
        _request("meeting", ["city-office", "district-office", "city-office"], 8.5, 3, dwell_h=1),
        _request("pick-up-guests", ["east-station", "city-office"], 9.0, 5, wanted="mpv", purpose="reception"),
        _request(
            "site-inspection", ["district-office", "north-site", "district-office"], 9.5, 4, dwell_h=1.5, org="district"
        ),
        _request("documents", ["city-office", "east-station", "city-office"], 11.5, 1, window_h=0.5),
        _request("flood-duty", ["district-office", "north-site"], 10.0, 4, priority=EMERGENCY, org="district"),
    )
    vehicles = (
        Vehicle("city-sedan", "city-yard", "city", "sedan", 4, day),
        Vehicle("city-mpv", "city-yard", "city", "mpv", 6, day),
        Vehicle("district-sedan", "district-yard", "district", "sedan", 4, day, "bev", 300_000, 0.8),
        Vehicle("district-suv", "district-yard", "district", "suv", 4, day),
    )
    drivers = (
        Driver("city-driver-1", "city-yard", "city", "C1", day),
        Driver("city-driver-2", "city-yard", "city", "B1", day),
        Driver("district-driver-1", "district-yard", "district", "C1", day),
    )
    return Instance(
        epoch=datetime(2026, 3, 1, 16, tzinfo=UTC),
        travel=estimate_travel(places),
        requests=requests,
        vehicles=vehicles,
        drivers=drivers,
        lending=(Lending("city", "district"),),
        reserves=(Reserve("district-yard", "suv", Span(6 * HOUR_S, 20 * HOUR_S), 1),),
    )


def _request(
    name: str,
    route: list[str],
    start_h: float,
    passengers: int,
    *,
    wanted: str = "sedan",
    purpose: str = "meeting",
    org: str = "city",
    dwell_h: float = 0,
    window_h: float = 0,
    priority: int = 1,
) -> Request:
    stops = tuple(Stop(place, int(dwell_h * HOUR_S) if k == 1 else 0) for k, place in enumerate(route))
    earliest_s = int(start_h * HOUR_S)
    return Request(
        name,
        stops,
        earliest_s,
        earliest_s + int(window_h * HOUR_S),
        HOUR_S // 2,
        passengers,
        wanted,
        purpose,
        org,
        priority,
    )
