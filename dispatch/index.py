"""An instance with look-ups, and what does not depend on who serves a request."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dispatch.model import Driver, Instance, Request, Vehicle, by_id
from dispatch.params import Params

if TYPE_CHECKING:
    from dispatch.ride import Ride

Timeline = tuple[tuple[bool, int], ...]  # (driving, seconds) in order


@dataclass(frozen=True, slots=True)
class Service:
    """The part of a request that does not depend on who serves it; `timeline` leaves out time of unknown use."""

    drive_s: int
    distance_m: int
    busy_s: int
    timeline: Timeline


def service_of(instance: Instance, request: Request, start_s: int | None = None) -> Service:
    """Return driving, distance and busy time of a request along its stops, at the pace of a start where given."""
    timeline: list[tuple[bool, int]] = [(False, request.stops[0].dwell_s)]
    drive_s = distance_m = 0
    at_s = None if start_s is None else start_s + request.stops[0].dwell_s
    for a, b in zip(request.stops, request.stops[1:], strict=False):
        leg_s, leg_m = instance.travel.leg(a.place, b.place)
        if at_s is not None:
            leg_s = instance.travel.slowed(leg_s, at_s)
            at_s += leg_s + b.dwell_s
        drive_s += leg_s
        distance_m += leg_m
        timeline += [(True, leg_s), (False, b.dwell_s)]
    dwell_s = sum(stop.dwell_s for stop in request.stops)
    return Service(drive_s, distance_m, max(request.duration_s, drive_s + dwell_s), tuple(timeline))


@dataclass(frozen=True)
class Index:
    """An instance with look-ups by id, made once and passed along."""

    instance: Instance
    params: Params

    @cached_property
    def requests(self) -> dict[str, Request]:
        """Requests by id."""
        return by_id(self.instance.requests)

    @cached_property
    def vehicles(self) -> dict[str, Vehicle]:
        """Vehicles by id."""
        return by_id(self.instance.vehicles)

    @cached_property
    def drivers(self) -> dict[str, Driver]:
        """Drivers by id."""
        return by_id(self.instance.drivers)

    @cached_property
    def vehicle_of(self) -> dict[str, str]:
        """Vehicles by the driver bound to them."""
        return {v.driver_id: v.id for v in self.instance.vehicles if v.driver_id is not None}

    @cached_property
    def services(self) -> dict[str, Service]:
        """Services by request id."""
        return {r.id: service_of(self.instance, r) for r in self.instance.requests}

    @cached_property
    def rides(self) -> "dict[tuple[str, ...], Ride | None]":
        """Shared rides looked at so far, by request ids in order (filled by `dispatch.ride.ride_of`)."""
        return {}

    @cached_property
    def _paced(self) -> dict[tuple[str, int], Service]:
        return {}

    def service_at(self, request_id: str, start_s: int) -> Service:
        """Return the service of a request that starts at a moment."""
        if not self.instance.travel.paces:
            return self.services[request_id]
        key = request_id, start_s
        if key not in self._paced:
            self._paced[key] = service_of(self.instance, self.requests[request_id], start_s)
        return self._paced[key]
