"""Rows become what is known of a vehicle: one vehicle over some local days, with the history that patterns are made of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import shapely
from geoalchemy2.shape import to_shape
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleetapp.duty import queries as duties
from fleetapp.duty.queries import OrderOfVehicle
from fleetapp.findings import assembly, days, ledgers, queries, rule_queries, ways
from fleetapp.findings.bridge import observe
from fleetapp.findings.inputs import ApprovedStop, OrderFacts
from fleetapp.findings.known import Car, Known, Legs, Part, Peers, Position, Trip
from fleetapp.findings.rules import FigureRow, figures_on
from fleetapp.findings.semantics import Site, Sites
from fleetapp.kit import clock
from fleetapp.places.kinds import kind_of
from fleetapp.places.models import Place
from fleetapp.places.roads import LonLat, Route
from fleetapp.tracking import queries as tracking
from fleetapp.trips.models import Trip as TripRow
from fleetapp.trips.models import TripMatch
from fleetapp.trips.roads import Roads
from fleetapp.vehicles.models import Vehicle
from fleetapp.workdays import queries as workdays

PACE_OF_LIMIT = 0.8
"""OSRM's profile for cars expects this share of the speed limit (osrm-backend, profiles/car.lua, ``speed_reduction``)."""
MARGIN = timedelta(days=1)
"""Trips and orders this far around a window are read with it, so that outings across its edge are seen whole."""
HISTORY = timedelta(days=95)
"""Patterns look back so far at most (K-10's ninety days and some)."""


def sites(session: Session) -> Sites:
    """Return the gazetteer with the class of each place; read it once for many vehicles."""
    query = select(Place.name_zh, Place.category, func.ST_Y(Place.point), func.ST_X(Place.point)).order_by(Place.id)
    return Sites([Site(name, kind_of(category).value, lat, lon) for name, category, lat, lon in session.execute(query)])


def gather(
    session: Session, *, vehicle_id: int, first_on: date, last_on: date, now: datetime, figure_rows: Sequence[FigureRow],
    gazetteer: Sites | None = None, roads: Roads | None = None, keep: bool = True,
) -> Known:  # fmt: skip
    """Return what is known of a vehicle over local days, both included; ``keep`` writes down what its fixes said of them.

    ``roads`` is asked for the ways of the orders that ended; without an engine the rules take the main roads at hand.
    """
    start, end = clock.start_of(first_on), clock.start_of(last_on + timedelta(days=1))
    gazetteer = gazetteer or sites(session)
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id)
    car = _car(vehicle)
    parking = to_shape(vehicle.parking.area) if vehicle.parking is not None else None
    outside_m = assembly.outside_of(parking) if isinstance(parking, shapely.Polygon) else None
    found = [
        _trip(row, whole=True)
        for row in queries.trips_between(
            session, vehicle_id=vehicle_id, start=start - MARGIN, end=min(end + MARGIN, now)
        )
    ]
    older = _history(session, vehicle_id, start - HISTORY, min([start - MARGIN, *(trip.start_at for trip in found)]))
    orders = duties.orders_of_vehicle(session, vehicle_id=vehicle_id, start=start - HISTORY, end=end + MARGIN)
    journeys: dict[int, list[OrderOfVehicle]] = {}
    for order in orders:
        journeys.setdefault(order.journey, []).append(order)
    names = {journey: "、".join(mate.slip for mate in mates) for journey, mates in journeys.items()}
    papers = ledgers.papers(session, vehicle_id=vehicle_id, start=start - HISTORY, end=end + MARGIN)
    earliest_on = min([first_on - HISTORY, *(clock.local_date(trip.start_at) for trip in found)])
    calendar = {
        day.on: day
        for day in workdays.day_kinds(session, earliest_on - timedelta(days=3), last_on + timedelta(days=35))
    }
    fills = ledgers.fills(session, vehicle_id=vehicle_id, start=start - 2 * HISTORY, end=end)
    externals = ledgers.externals(session, plate=car.plate, start=start, end=end)
    moments = [at for at in [*(fill.at for fill in fills), *(record.at for record in externals)] if start <= at < end]
    hours = {row.figure.value for row in figure_rows if row.code == "E-02.at_h"}
    on = first_on
    while on <= last_on:
        moments += [clock.start_of(on) + timedelta(hours=hour) for hour in sorted(hours)]
        on += timedelta(days=1)
    fixes = tracking.track(session, vehicle_id=vehicle_id, start=start - MARGIN / 2, end=min(end + MARGIN / 2, now))
    seen = observe(fixes, start=start - MARGIN / 2, end=min(end + MARGIN / 2, now), moments=moments)
    stays = assembly.stays_of(
        found,
        now=min(end, now),
        sites=gazetteer,
        outside_m=outside_m,
        silent={trip.id: _lost_after(trip) for trip in found},
    )
    values: dict[str, Any] = {
        "stays": stays, "blanks": list(seen.blanks), "signals": list(seen.signals),
        "pauses": [assembly.placed(pause, gazetteer, outside_m) for pause in seen.pauses],
        "positions": [replace(one, home_m=round(outside_m([one.lat], [one.lon])[0], 1)) if outside_m else one for one in seen.positions],
    }  # fmt: skip
    known_days = days.load(session, vehicle_id=vehicle_id, start_on=first_on - HISTORY, end_on=first_on)
    covered = {day.on: float(day.facts.get("covered", 0.0)) for day in known_days}
    covered |= {on: share for on, share in seen.covered.items() if first_on <= on <= last_on}
    if keep:
        days.save(
            session,
            org_id=vehicle.org_id,
            vehicle_id=vehicle_id,
            days=_by_day(values, covered, first_on, last_on),
            now=now,
        )
    history = {name: [one for day in known_days for one in days.taken(day.facts, name)] for name in values}
    for name, rows in values.items():
        rows[:] = [*history[name], *(row for row in rows if _moment(row) >= start)]
    everything = [*older, *found]
    whole = [trip for trip in found if trip.path[0]]
    rest = any(calendar[day].kind != "workday" for day in (first_on, last_on) if day in calendar)
    known = Known(
        car=car, start=start, end=end, now=now, trips=everything, orders=[_order(mates, names[key], papers) for key, mates in journeys.items()],
        slips={order.order_id: names[order.journey] for order in orders}, papers=papers, days=calendar,
        away=assembly.away_of(whole, outside_m) if outside_m else {}, other_datum=assembly.other_datum(stays, outside_m),
        covered=covered, fills=fills, readings=ledgers.readings(session, vehicle_id=vehicle_id, start=start - MARGIN * 30, end=end),
        works=ledgers.works(session, vehicle_id=vehicle_id, start=start - 4 * HISTORY), seals=ledgers.seals(session, vehicle_id=vehicle_id, start_on=first_on - HISTORY),
        tickets=ledgers.tickets(session, vehicle_id=vehicle_id, start=start - HISTORY), externals=externals,
        life=ledgers.life(session, vehicle=vehicle, on=last_on, figure_rows=figure_rows),
        peers=_peers(session, vehicle, first_on, last_on, figure_rows=figure_rows, rest=rest), figure_rows=figure_rows,
        earlier=rule_queries.earlier(session, vehicle_id=vehicle_id, start=start - HISTORY, end=end), **values,
    )  # fmt: skip
    return replace(known, legs=_legs(known, roads)) if roads is not None else known


def _legs(known: Known, roads: Roads) -> Legs:
    found: dict[tuple[LonLat, LonLat], list[Route]] = {}
    for order in known.orders:
        trips = ways.finished(known, order)
        for pair in ways.pairs(trips, order):
            if pair not in found and roads.answering:
                longest = known.value("C-02.longest_time", order.start_at)
                routes = roads.routes([(lat, lon) for lon, lat in pair], longest_time=longest)
                found[pair] = [
                    Route(
                        one.points[:, ::-1],
                        one.pace_kmh / PACE_OF_LIMIT,
                        np.zeros(len(one.points), bool),
                        one.metres,
                        one.seconds,
                    )
                    for one in routes
                    if one.source == "osrm"
                ]
    return {pair: legs for pair, legs in found.items() if legs}


def _moment(row: Any) -> datetime:
    moment: datetime = row.at if isinstance(row, Position) else row.start_at
    return moment


def _by_day(
    values: Mapping[str, Sequence[Any]], covered: Mapping[date, float], first_on: date, last_on: date
) -> dict[date, dict[str, Any]]:
    found: dict[date, dict[str, Any]] = {}
    on = first_on
    while on <= last_on:
        own = {name: [row for row in rows if clock.local_date(_moment(row)) == on] for name, rows in values.items()}
        found[on] = {**days.kept(**own), "covered": round(covered.get(on, 0.0), 4)}
        on += timedelta(days=1)
    return found


def _peers(
    session: Session, vehicle: Vehicle, first_on: date, last_on: date, *, figure_rows: Sequence[FigureRow], rest: bool
) -> Peers:
    """Return what the unit's papers say, and on days off who stood where."""
    rows = days.gatherings(session, start_on=first_on - MARGIN, end_on=last_on + MARGIN) if rest else []
    figures = figures_on(figure_rows, on=last_on, org_path=vehicle.org.path, category=vehicle.category)
    small, large = assembly.fill_limits(
        ledgers.fills_of_unit(session, org_id=vehicle.org_id, start_on=first_on, end_on=last_on), own_id=vehicle.id,
        small_cny=figures["G-08.small_cny"].value, large_cny=figures["G-08.large_cny"].value,
    )  # fmt: skip
    return Peers(
        supplementary=ledgers.supplementary(session, org_id=vehicle.org_id, start_on=first_on - HISTORY, end_on=last_on),
        rentals=ledgers.rentals(
            session, org_id=vehicle.org_id, start=clock.start_of(first_on), end=clock.start_of(last_on + timedelta(days=1))
        ), small_fills=small, large_fills=large, gatherings=assembly.together(rows, timedelta(hours=2)),
    )  # fmt: skip


def _car(row: Vehicle) -> Car:
    return Car(
        id=row.id, org_id=row.org_id, org_path=row.org.path, plate=row.plate, category=row.category, body=row.body, energy=row.energy,
        seats=row.seats, state=row.state, parking_id=row.parking_id, adcode=row.org.adcode, registered_on=row.registered_on,
        acquired_by=row.acquired_by, tank_l=_number(row.tank_l), battery_kwh=_number(row.battery_kwh), fuel_grade=row.fuel_grade,
        price=_number(row.price_ex_tax), displacement_ml=row.displacement_ml,
    )  # fmt: skip


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _trip(row: TripRow, *, whole: bool) -> Trip:
    path: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    if whole:
        coordinates = shapely.get_coordinates(to_shape(row.path))
        path = tuple(coordinates[:, 1].tolist()), tuple(coordinates[:, 0].tolist())
    return Trip(
        id=row.id, start_at=row.start_at, end_at=row.end_at, best_m=row.best_m, gps_m=row.gps_m, coverage=row.coverage,
        odometer_m=row.odometer_m, start_place=row.start_place, end_place=row.end_place, stops=row.stops, gaps=row.gaps, path=path,
        matches=[_part(part) for part in row.matches],
    )  # fmt: skip


def _part(row: TripMatch) -> Part:
    return Part(
        id=row.id, start_at=row.start_at, end_at=row.end_at, order_id=row.order_id, kind=row.kind, distance_m=row.distance_m,
        margin=row.margin, score=row.score, score_time=row.score_time, score_dest=row.score_dest, score_orig=row.score_orig,
        score_driver=row.score_driver, score_events=row.score_events, candidates=row.candidates,
    )  # fmt: skip


def _history(session: Session, vehicle_id: int, start: datetime, before: datetime) -> list[Trip]:
    """Return the current trips before the window without their paths, in time order."""
    part = (
        TripMatch.id,
        TripMatch.start_at,
        TripMatch.end_at,
        TripMatch.order_id,
        TripMatch.kind,
        TripMatch.distance_m,
        TripMatch.margin,
    )
    query = (
        select(TripRow.id, TripRow.start_at, TripRow.end_at, TripRow.best_m, TripRow.gps_m, TripRow.coverage, TripRow.end_place, *part)
        .join(TripMatch, (TripMatch.trip_id == TripRow.id) & TripMatch.superseded_at.is_(None))
        .where(TripRow.vehicle_id == vehicle_id, TripRow.superseded_at.is_(None), TripRow.start_at >= start, TripRow.start_at < before)
        .order_by(TripRow.start_at, TripMatch.start_at)
    )  # fmt: skip
    found: dict[int, Trip] = {}
    for trip_id, begin, finish, best_m, gps_m, coverage, end_place, *own in session.execute(query):
        piece = Part(
            **dict(zip(("id", "start_at", "end_at", "order_id", "kind", "distance_m", "margin"), own, strict=True))
        )
        before_ = found.get(trip_id)
        found[trip_id] = Trip(
            id=trip_id, start_at=begin, end_at=finish, best_m=best_m, gps_m=gps_m, coverage=coverage, end_place=end_place,
            matches=[*(before_.matches if before_ else ()), piece],
        )  # fmt: skip
    return list(found.values())


def _lost_after(trip: Trip) -> bool:
    return any(datetime.fromisoformat(str(gap["start"])) >= trip.end_at for gap in trip.gaps)


def _order(mates: Sequence[OrderOfVehicle], slip: str, papers: Sequence[Any]) -> OrderFacts:
    """Return the facts of a journey: orders that share it are judged once, as the first of them, over all their time."""
    order = mates[0]
    areas = Counter(
        paper.area for paper in papers if paper.order_id in {mate.order_id for mate in mates} and paper.area
    )
    order_of = ("urban", "city", "province", "beyond")
    return OrderFacts(
        order_id=order.order_id, kind=order.order_kind, slip=slip, start_at=min(mate.start_at for mate in mates),
        end_at=max(mate.end_at for mate in mates), driver_user_id=order.driver_user_id, checked_out_at=order.checked_out_at,
        returned_at=order.returned_at, area=max(areas, key=order_of.index, default=None),
        stops=tuple(ApprovedStop(stop.name, stop.lat, stop.lon, float(stop.tolerance_m)) for mate in mates for stop in mate.stops),
        checked_out_m=order.checked_out_odometer_m, returned_m=order.returned_odometer_m,
    )  # fmt: skip
