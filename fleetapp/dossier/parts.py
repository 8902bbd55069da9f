"""Parts of a file that are lists of other slices' rows, as lines in the page's language; each slice's own page has them all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.costs import figures as costs
from fleetapp.energy import queries as energy
from fleetapp.kit import clock
from fleetapp.seals import queries as seals
from fleetapp.upkeep import queries as upkeep
from fleetapp.upkeep.rules import DueKind
from fleetapp.vehicles.models import Vehicle
from fleetapp.web.display import moment
from fleetapp.web.request import actor, now
from fleetapp.web.texts import t

NEWEST = 30
YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Line:
    """One line: when, what, its figure or state, where it leads."""

    when: str
    what: str
    figure: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a title, and the page that has all of them."""

    title: str
    lines: list[Line]
    href: str = ""


def of_upkeep(session: Session, vehicle: Vehicle) -> list[Section]:
    """Return what comes due, work orders, accidents and violations, changes of meter."""
    found = upkeep.of_vehicle(session, vehicle_id=vehicle.id, actor=actor(), now=now())
    page = f"/upkeep/vehicles/{vehicle.id}"
    due = [
        Line(row.due.on.isoformat(), t(f"upkeep.duekind.{row.due.kind}") + (f" · {t(f'upkeep.item.{row.due.item}')}" if row.due.kind == DueKind.MAINTENANCE else ""),
             t("upkeep.left_days", n=row.left_days) if row.left_days >= 0 else t("upkeep.over_days", n=-row.left_days))
        for row in found.due[:NEWEST] if row.due.on < date.max
    ]  # fmt: skip
    work = [
        Line(moment(one.created_at)[:10], f"{one.number} · {t(f'upkeep.kind.{one.kind}')} · {one.fault}",
             f"{one.final_cost:,.2f}" if one.final_cost else t(f"upkeep.state.{one.state}"), f"/upkeep/orders/{one.id}")
        for one in found.orders[:NEWEST]
    ]  # fmt: skip
    incidents = [
        Line(moment(one.happened_at)[:10], f"{t(f'upkeep.incident.{one.kind}')} · {one.place}", t(f"upkeep.incident_state.{one.state}"),
             f"/upkeep/incidents/{one.id}") for one in found.incidents[:NEWEST]
    ]  # fmt: skip
    meters = [
        Line(moment(one.at)[:10], one.reason, f"{one.end_m / 1000:,.0f} → {one.start_m / 1000:,.0f} km") for one in found.meter_changes
    ]  # fmt: skip
    return [Section(t("upkeep.file_due"), due, page), Section(t("upkeep.file_orders"), work, page),
            Section(t("upkeep.incidents"), incidents, page), Section(t("dossier.meters"), meters, page)]  # fmt: skip


def of_energy(session: Session, vehicle: Vehicle) -> list[Section]:
    """Return the newest fillings and chargings."""
    rows = energy.filtered(energy.visible_to(actor()), vehicle_id=vehicle.id).limit(NEWEST)
    units = {"fuel": "L", "charge": "kWh"}
    lines = [
        Line(
            moment(one.at),
            f"{t(f'energy.kind.{one.kind}')} · {one.station or '–'}",
            f"{one.quantity:,.2f} {units[one.kind]} · {one.amount:,.2f}",
        )
        for one in session.scalars(rows)
        if one.void_at is None
    ]
    return [Section(t("energy.title"), lines, f"/energy/vehicles/{vehicle.id}")]


def of_costs(session: Session, vehicle: Vehicle) -> list[Section]:
    """Return the costs of a year by kind and per kilometre, then the newest rows."""
    until = clock.local_date(now()) + timedelta(days=1)
    found = costs.of_vehicle(session, vehicle_id=vehicle.id, actor=actor(), start=until - YEAR, end=until)
    rows = found.rows
    page = f"/costs/vehicles/{vehicle.id}"
    sums: dict[str, Decimal] = {}
    for row in rows:
        sums[row.kind] = sums.get(row.kind, Decimal(0)) + row.amount
    year = [
        Line("", t(f"costs.kind.{kind}"), f"{amount:,.2f}")
        for kind, amount in sorted(sums.items(), key=lambda one: -one[1])
    ]
    if found.per_km is not None:
        year.append(Line("", t("dossier.per_km"), f"{found.per_km:,.2f}"))
    newest = [Line(row.on.isoformat(), " · ".join(filter(None, (t(f"costs.kind.{row.kind}"), row.note))), f"{row.amount:,.2f}")
              for row in reversed(rows[-NEWEST:])]  # fmt: skip
    return [Section(t("dossier.costs_year"), year, page), Section(t("dossier.costs_newest"), newest, page)]


def of_seals(session: Session, vehicle: Vehicle) -> list[Section]:
    """Return the seals over holidays."""
    lines = [
        Line(one.campaign.start_on.isoformat(), one.campaign.holiday, t(f"seals.record.{one.state}"), f"/seals/records/{one.id}")
        for one in seals.of_vehicle(session, vehicle_id=vehicle.id, actor=actor())
    ]  # fmt: skip
    return [Section(t("seals.history"), lines, f"/seals/vehicles/{vehicle.id}")]


LISTS: dict[str, tuple[str, Callable[[Session, Vehicle], list[Section]]]] = {
    "upkeep": ("upkeep.overview", of_upkeep), "energy": ("energy.read", of_energy), "costs": ("costs.read", of_costs),
    "seals": ("seals.read", of_seals),
}  # fmt: skip
"""Who reads each part, and what makes its sections."""
