"""From a vehicle's life to what the rules are asked about: the real library makes the trips, the real matcher the parts."""

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from fleetapp.demo.labelled.sim import Sim
from fleetapp.demo.labelled.world import FIRST_ON
from fleetapp.findings import assembly
from fleetapp.findings.bridge import observe
from fleetapp.findings.inputs import ApprovedStop, OrderFacts
from fleetapp.findings.known import Known, Life, Paper, Part, Peers, Trip
from fleetapp.findings.rules import Figure, FigureBook, FigureRow, figures_on
from fleetapp.kit import clock
from fleetapp.places import areas
from fleetapp.trips import bridge
from telematics.match import MatchParams
from telematics.track import columns

POLICY_FILE = Path(__file__).parents[3] / "config" / "policy.toml"


def policy_rows() -> FigureBook:
    """Return the shipped figures as rows of the nation."""
    found = []
    for code, rows in tomllib.loads(POLICY_FILE.read_text(encoding="utf-8")).items():
        for row in rows if isinstance(rows, list) else [rows]:
            figure = Figure(float(row["value"]), row["unit"], row["valid_from"], row["source"], row.get("article"))
            found.append(FigureRow(code, "/1/", row.get("valid_to"), figure))
    return FigureBook(found)


def build(sim: Sim, rows: Sequence[FigureRow], *, days: int) -> tuple[Known, list[Any]]:
    """Return what is known of a vehicle, without its peers, and the library's trips."""
    start, end = clock.start_of(FIRST_ON), clock.start_of(FIRST_ON + timedelta(days=days))
    fixes = [fix for fix in sim.reported() if fix.at < end]
    events = [at for order in sim.orders for at in (order.checked_out_at, order.returned_at) if at]
    trips = bridge.derive(columns(fixes), parking=sim.unit.area, boundaries=events, now=end).trips
    parts = bridge.match(trips, sim.orders, params=MatchParams())
    outside_m = assembly.outside_of(sim.unit.area)
    known_trips = [_trip(sim, index, trip, parts) for index, trip in enumerate(trips)]
    moments = [fill.at for fill in sim.fills] + [record.at for record in sim.externals]
    moments += [clock.start_of(FIRST_ON + timedelta(days=number)) + timedelta(hours=22) for number in range(days)]
    seen = observe(fixes, start=start, end=end, moments=moments)
    silent = {trip.id: any(gap["start"] >= trip.end_at.isoformat() for gap in trip.gaps) for trip in known_trips}
    mates: dict[int, list[Any]] = {}
    for order in sim.orders:
        mates.setdefault(order.journey, []).append(order)
    names = {journey: "、".join(order.slip for order in group) for journey, group in mates.items()}
    stays = assembly.stays_of(known_trips, now=end, sites=sim.world.index, outside_m=outside_m, silent=silent)
    return Known(
        car=sim.car, start=start, end=end, now=end, trips=known_trips, orders=[_order(sim, group, names[journey]) for journey, group in mates.items()],
        slips={order.order_id: names[order.journey] for order in sim.orders}, papers=[_paper(sim, paper) for paper in sim.papers],
        days=sim.world.days, away=assembly.away_of(known_trips, outside_m),
        stays=stays, other_datum=assembly.other_datum(stays, outside_m),
        pauses=[assembly.placed(pause, sim.world.index, outside_m) for pause in seen.pauses], blanks=seen.blanks, signals=seen.signals,
        positions=[replace(one, home_m=outside_m([one.lat], [one.lon])[0]) for one in seen.positions], covered=seen.covered,
        fills=sorted(sim.fills, key=lambda fill: fill.at), readings=sim.readings, works=sim.works, seals=sim.seals, tickets=sim.tickets,
        externals=sim.externals, life=_life(sim, rows), peers=Peers(rentals=sim.rentals), figure_rows=rows,
    ), list(trips)  # fmt: skip


def _life(sim: Sim, rows: Sequence[FigureRow]) -> Life | None:
    """Return the ledgers with the figures that stood when the vehicle was bought."""
    if sim.life is None:
        return None
    bought = sim.life.contract_on or clock.local_date(clock.start_of(FIRST_ON))
    return replace(sim.life, figures_on_contract=figures_on(rows, on=bought, org_path=sim.car.org_path, whole=False))


def _trip(sim: Sim, index: int, trip: Any, parts: Sequence[tuple[Any, float]]) -> Trip:
    values = bridge.trip_values(trip)
    trip_id = sim.car.id * 100_000 + index + 1
    own = [(part, metres) for part, metres in parts if part.trip_index == index]
    return Trip(
        id=trip_id, start_at=trip.start_at, end_at=trip.end_at, best_m=values["best_m"], gps_m=values["gps_m"],
        odometer_m=values["odometer_m"], coverage=values["coverage"], stops=values["stops"], gaps=values["gaps"],
        path=(tuple(fix.lat for fix in trip.fixes), tuple(fix.lon for fix in trip.fixes)),
        matches=[
            Part(id=trip_id * 10 + number, start_at=part.start_at, end_at=part.end_at, order_id=part.order_id, kind=part.kind.value,
                 distance_m=metres, margin=part.margin,
                 candidates=[{"order_id": order_id, **bridge.score_values(score)} for order_id, score in part.candidates],
                 **bridge.score_values(part.score))
            for number, (part, metres) in enumerate(own)
        ],
    )  # fmt: skip


def _order(sim: Sim, group: Sequence[Any], slip: str) -> OrderFacts:
    first = group[0]
    stops = tuple(
        ApprovedStop(stop.name, stop.lat, stop.lon, stop.tolerance_m) for mate in group for stop in mate.stops
    )
    reach = areas.area_of(sim.car.adcode, [(stop.lon, stop.lat) for stop in stops])
    return OrderFacts(
        order_id=first.order_id, kind=first.order_kind, slip=slip, start_at=min(mate.start_at for mate in group),
        end_at=max(mate.end_at for mate in group), driver_user_id=first.driver_user_id, checked_out_at=first.checked_out_at,
        returned_at=first.returned_at, stops=stops, area=sim.areas.get(first.order_id, reach),
        checked_out_m=first.checked_out_odometer_m, returned_m=first.returned_odometer_m,
    )  # fmt: skip


def _paper(sim: Sim, paper: Paper) -> Paper:
    order = next(one for one in sim.orders if one.order_id == paper.order_id)
    stops = tuple(ApprovedStop(stop.name, stop.lat, stop.lon, stop.tolerance_m) for stop in order.stops)
    return replace(paper, stops=stops)
