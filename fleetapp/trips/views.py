"""Pages of trips: the list and one trip with map, time strip, distances and the reckoning of its match."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, render_template, request

from fleetapp.accounts import queries as accounts
from fleetapp.duty import queries as duties
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.orders import queries as order_queries
from fleetapp.policies import queries as policies
from fleetapp.trips import picture, queries, service
from fleetapp.trips.models import Trip
from fleetapp.trips.schemas import KINDS, PurposeQuery, TripQuery
from fleetapp.web.forms import load, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("trips", __name__, template_folder="templates")

DEFAULT_DAYS = 7
NEIGHBOURS = timedelta(hours=12)
"""Orders this near are drawn beside a trip."""


@blueprint.get("/trips")
def index() -> str:
    """List the trips of the last days, or of the period asked for."""
    permits.require("trips.read", actor())
    query = load_query(TripQuery())
    if not (query["start_on"] or query["end_on"] or query["order_id"]):
        query["end_on"] = clock.local_date(now())
        query["start_on"] = query["end_on"] - timedelta(days=DEFAULT_DAYS - 1)
    with transaction() as s:
        rows = queries.filtered(
            queries.visible_to(actor()), plate=query["plate"], kind=query["kind"], org_id=query["org_id"],
            vehicle_id=query["vehicle_id"], order_id=query["order_id"],
            start=clock.day_span(query["start_on"])[0] if query["start_on"] else None,
            end=clock.day_span(query["end_on"])[1] if query["end_on"] else None,
        )  # fmt: skip
        page = paginate(s, rows, number=query["page"], size=query["size"])
        orgs = s.scalars(accounts.orgs_visible_to(actor())).all()
        return render_template("trips/index.html", page=page, query=query, orgs=orgs, kinds=KINDS)


@blueprint.get("/trips/<int:trip_id>")
def show(trip_id: int) -> str:
    """Show one trip; looking at a track is logged with its purpose."""
    purpose = load(PurposeQuery(), request.args.to_dict())["purpose"] or t("trips.review_purpose")
    with transaction() as s:
        trip = queries.get_trip(s, trip_id=trip_id, actor=actor())
        permits.require("trips.read", actor(), org_path=trip.vehicle.org.path)
        fixes = service.view_fixes(s, trip=trip, purpose=purpose, actor=actor(), now=now())
        orders = duties.orders_of_vehicle(
            s, vehicle_id=trip.vehicle_id, start=trip.start_at - NEIGHBOURS, end=trip.end_at + NEIGHBOURS
        )
        matched = {part.order_id for part in trip.matches if part.order_id is not None}
        stops = [stop for order in orders if order.order_id in matched for stop in order.stops]
        start, end = picture.window([
            (trip.start_at, trip.end_at), *((order.start_at, order.end_at) for order in orders if order.order_id in matched)
        ])  # fmt: skip
        neighbours = queries.current_in(s, vehicle_id=trip.vehicle_id, start=start, end=end)
        shown = [trip] if trip.superseded_at else neighbours
        return render_template(
            "trips/show.html", trip=trip, purpose=purpose, points=len(fixes), strip=picture.vehicle_strip(start, end, orders, shown, now()),
            features=picture.trip_features([trip], words=picture.map_words(), parking=trip.vehicle.parking, order_stops=stops),
            readable_orders=order_queries.readable(s, order_ids=[part.order_id or 0 for part in trip.matches], actor=actor()),
            distances=_distances(trip), stays=[
                (datetime.fromisoformat(stop["start"]), datetime.fromisoformat(stop["end"])) for stop in trip.stops
            ], reckonings=picture.reckonings(
                [trip], orders, policies.values(s, "match.weight_", clock.local_date(trip.start_at), trip.vehicle.org.path)
            ),
            clues_url="findings.for_trip" if "findings.for_trip" in current_app.view_functions else None,
        )  # fmt: skip


def _distances(trip: Trip) -> list[dict[str, Any]]:
    """Return the distance by every method, the best one marked."""
    methods = (("odometer", trip.odometer_m), ("gps", trip.gps_m), ("speed", trip.speed_m), ("road", trip.matched_m))
    return [
        {"method": name, "metres": metres, "best": name == trip.best_source,
         "note": t(f"trips.road_source.{trip.matched_source or 'none'}") if name == "road" else t(f"trips.method_note.{name}")}
        for name, metres in methods
    ]  # fmt: skip
