"""Rules run over the past with other figures, in a sandbox: no clue is touched, only the difference is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.audit import service as audit
from fleetapp.findings import queries, rules, scene
from fleetapp.findings.catalogue import CATALOGUE
from fleetapp.findings.gather import gather, sites
from fleetapp.findings.rule_models import RuleRun
from fleetapp.findings.rules import Clue, FigureBook, FigureRow
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.trips.roads import Roads
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy, VehicleState

MOST_DAYS, MOST_VEHICLE_DAYS = 92, 2_800
"""A page waits for the answer; longer runs go by the command, which has no such limit."""
KEPT_CLUES = 500
"""Of each kind of difference so many are kept, the counts are of all."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What other figures would change: clues by key that are new, gone, or of another colour (before, after)."""

    new: tuple[Clue, ...]
    gone: tuple[Clue, ...]
    recoloured: tuple[tuple[Clue, Clue], ...]
    same: int


def difference(before: Sequence[Clue], after: Sequence[Clue]) -> Difference:
    """Compare two answers by the incidents' keys."""
    was, will = {clue.key: clue for clue in before}, {clue.key: clue for clue in after}
    both = [(was[key], will[key]) for key in was if key in will]
    return Difference(
        new=tuple(clue for key, clue in will.items() if key not in was),
        gone=tuple(clue for key, clue in was.items() if key not in will),
        recoloured=tuple(pair for pair in both if pair[0].severity != pair[1].severity),
        same=sum(one.severity == other.severity for one, other in both),
    )


def changed_rows(rows: Sequence[FigureRow], changes: Mapping[str, float]) -> FigureBook:
    """Return the figures with some values put in the place of all that stand, whatever their scope."""
    kept = [row for row in rows if row.code not in changes]
    lowest = {row.code: row for row in sorted(rows, key=lambda row: (-row.rank, -len(row.org_path)))}
    for code, value in changes.items():
        row = lowest[code]
        figure = replace(row.figure, value=value, valid_from=date.min, source="sandbox", article=None)
        kept.append(replace(row, org_path="/", valid_to=None, figure=figure))
    return FigureBook(kept)


def check_changes(given: Mapping[str, str]) -> dict[str, float]:
    """Return figures as numbers.

    :raises RuleBroken: ``findings.rerun_figure`` for a code no active rule compares, ``findings.rerun_value`` for no number.
    """
    found = {}
    for code, text in given.items():
        if code not in rules.FIGURES:
            raise RuleBroken("findings.rerun_figure", figure=code)
        try:
            value = Decimal(text)
        except InvalidOperation as error:
            raise RuleBroken("findings.rerun_value", figure=code) from error
        if not value.is_finite() or value < 0:
            raise RuleBroken("findings.rerun_value", figure=code)
        found[code] = float(value)
    return found


def run(
    session: Session, *, org: Organisation, start_on: date, end_on: date, changes: Mapping[str, float], only: Sequence[str] = (),
    actor: Actor, now: datetime, roads: Roads | None = None, limited: bool = True,
) -> RuleRun:  # fmt: skip
    """Ask the rules about past days twice, with the figures in force and with others, and keep the difference.

    :raises NotAllowed: not of the organisation's auditors or vehicle office.
    :raises RuleBroken: ``findings.rerun_period``, ``findings.rerun_size``.
    """
    permits.require("findings.rerun", actor, org_path=org.path)
    if start_on >= end_on or end_on > clock.local_date(now) or (end_on - start_on).days > MOST_DAYS:
        raise RuleBroken("findings.rerun_period", days=MOST_DAYS)
    vehicles = _vehicles(session, org)
    if limited and len(vehicles) * (end_on - start_on).days > MOST_VEHICLE_DAYS:
        raise RuleBroken(
            "findings.rerun_size", vehicles=len(vehicles), most=MOST_VEHICLE_DAYS // (end_on - start_on).days
        )
    rows = queries.figure_rows(session)
    others, gazetteer = changed_rows(rows, changes), sites(session)
    wanted = list(only) or list(CATALOGUE)
    before: list[Clue] = []
    after: list[Clue] = []
    plates: dict[int, str] = {}
    for vehicle_id in vehicles:
        known = gather(session, vehicle_id=vehicle_id, first_on=start_on, last_on=date.fromordinal(end_on.toordinal() - 1), now=now,
                       figure_rows=rows, gazetteer=gazetteer, roads=roads, keep=False)  # fmt: skip
        plates[vehicle_id] = known.car.plate
        before += scene.ask(known, wanted).clues
        after += scene.ask(replace(known, figure_rows=others, cache={}), wanted).clues
    found = difference(before, after)
    done = RuleRun(
        org_id=org.id, asked_by=actor.user_id, asked_at=now, start_on=start_on, end_on=end_on, version=rules.VERSION, vehicles=len(vehicles),
        asked={"figures": dict(changes), "rules": list(only)}, result=_kept(found, before, after, plates),
    )  # fmt: skip
    session.add(done)
    session.flush()
    audit.record(session, actor=actor, now=now, action="findings.rerun", subject_type="rule_run", subject_id=done.id, org_id=org.id,
                 start_on=start_on.isoformat(), end_on=end_on.isoformat(), figures=dict(changes))  # fmt: skip
    return done


def _vehicles(session: Session, org: Organisation) -> list[int]:
    query = (
        select(Vehicle.id)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .where(Organisation.path.startswith(org.path, autoescape=True), Vehicle.secrecy == Secrecy.NORMAL, Vehicle.state != VehicleState.RETIRED)
        .order_by(Vehicle.id)
    )  # fmt: skip
    return list(session.scalars(query))


def _kept(
    found: Difference, before: Sequence[Clue], after: Sequence[Clue], plates: Mapping[int, str]
) -> dict[str, Any]:
    def row(clue: Clue, was: Clue | None = None) -> dict[str, Any]:
        vehicle_id = int(clue.key.split("|")[1])
        return {"rule": clue.rule, "plate": plates.get(vehicle_id, ""), "start_at": clue.start_at.isoformat(), "severity": clue.severity.value,
                "was": was.severity.value if was else None, "saw": dict(clue.evidence_for[0])}  # fmt: skip

    by_rule: dict[str, dict[str, int]] = {}
    for name, clues in (("before", before), ("after", after)):
        for clue in clues:
            by_rule.setdefault(clue.rule, {"before": 0, "after": 0})[name] += 1
    return {
        "by_rule": dict(sorted(by_rule.items())), "same": found.same,
        "counts": {"new": len(found.new), "gone": len(found.gone), "recoloured": len(found.recoloured)},
        "new": [row(clue) for clue in found.new[:KEPT_CLUES]], "gone": [row(clue) for clue in found.gone[:KEPT_CLUES]],
        "recoloured": [row(clue, was) for was, clue in found.recoloured[:KEPT_CLUES]],
    }  # fmt: skip


def visible_to(actor: Actor) -> Select[RuleRun]:
    """Return the runs within the actor's reach, newest first."""
    paths = actor.paths(permits.table()["findings.rerun"].roles)
    inside = or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in paths))
    return (
        select(RuleRun).join(Organisation, Organisation.id == RuleRun.org_id).where(inside)
        .options(joinedload(RuleRun.org), joinedload(RuleRun.asker)).order_by(RuleRun.id.desc())
    )  # fmt: skip
