"""Planning again from now: a run in the background over what waits and what is given, taken over whole or in part.

What has begun, is locked or shared, and what a dispatcher gave against a rule of the optimizer stays as it is. Nothing is
changed before somebody accepts; a what-if is such a run in a world that is a little different.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fleetapp.approvals import queries as approvals
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as order_queries
from fleetapp.orders.models import TravelOrder
from fleetapp.planning import floors, moves, queries, rules, service
from fleetapp.planning.bridge import again as bridge
from fleetapp.planning.bridge.again import Extra, Held, Inserted, Standing
from fleetapp.planning.models import Assignment, PlanRun, RunState
from fleetapp.planning.moves import Move, Moved
from fleetapp.policies import queries as policies

NOTED = timedelta(seconds=1)
"""How often a run at work tells how far it is and looks whether it is still wanted."""
OPEN = frozenset({RunState.WAITING, RunState.RUNNING})
ROUNDS = 4
"""How often what breaks a rule is taken out of the plan that stands before all of it is left as it is."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A world a little different: vehicles out, drivers ill, and orders like others at other times."""

    vehicles_out: Sequence[int] = ()
    drivers_out: Sequence[int] = ()
    extra: Sequence[Extra] = ()

    def __bool__(self) -> bool:
        """Whether anything is different at all."""
        return bool(self.vehicles_out or self.drivers_out or self.extra)


# ---- what stands ----------------------------------------------------------------------------------------------------


def standing(
    session: Session, *, window: Span, actor: Actor, now: datetime, what_if: WhatIf | None = None, also: TravelOrder | None = None,
) -> tuple[Standing, dict[int, int]]:  # fmt: skip
    """Return what stands in a window as the optimizer sees it, and the assignment that each order in it has.

    ``also`` is an order that waits, inside the window or not.

    :raises RuleBroken: ``planning.nothing_to_plan``, ``planning.no_vehicles``, ``planning.no_drivers``.
    """
    differs = what_if or WhatIf()
    _, org_path = service.seat(actor)
    limits = queries.figures(session, now=now, org_path=org_path)
    change = policies.value(session, "dispatch.change_cost", clock.local_date(now), org_path)
    waiting, given = _scope(session, window=window, actor=actor, now=now)
    if also is not None and also.id not in {one.id for one in waiting}:
        waiting = [*waiting, also]
    fixed: set[int] = set()
    for tried in range(ROUNDS + 1):
        inside = [row for row in given if row.order_id not in fixed and tried < ROUNDS]
        found = [*waiting, *(row.order for row in inside)]
        if not found:
            raise RuleBroken("planning.nothing_to_plan")
        span = Span(min(one.start_at for one in found), max(one.end_at for one in found))
        until_on = clock.local_date(span.end)
        cars, people = service.fleet_of(session, actor=actor, span=span, until_on=until_on)
        cars = [car for car in cars if car.id not in differs.vehicles_out]
        people = [
            one for one in people if one.id not in differs.drivers_out and one.user_id != actor.user_id
        ]  # fmt: skip
        scene = service.furnished(session, window=span, found=found, cars=cars, people=people, limits=limits, now=now,
                                  besides=[row.order_id for row in inside])  # fmt: skip
        used = {row.vehicle_id for row in inside}
        free = floors.kept_back(session, scene=replace(scene, vehicles=[car for car in cars if car.id not in used]))
        scene = replace(scene, vehicles=[*free.vehicles, *(car for car in cars if car.id in used)])
        held = [Held(row.order_id, row.vehicle_id, row.driver_id) for row in inside]
        stands = bridge.standing(scene, held, change_fen=round(change * 100), extra=differs.extra)
        if not stands.broken:
            break
        fixed |= stands.broken
    if not stands.instance.vehicles:
        raise RuleBroken("planning.no_vehicles")
    if not stands.instance.drivers:
        raise RuleBroken("planning.no_drivers")
    return stands, {row.order_id: row.id for row in inside}


def _scope(
    session: Session, *, window: Span, actor: Actor, now: datetime
) -> tuple[list[TravelOrder], list[Assignment]]:
    """Return what waits and what is given and may still be given otherwise, that start in the window and not before now."""
    first_at = max(window.start, now)
    agreed_to = set(session.scalars(approvals.signed_by(actor.user_id)))

    def mine(order: TravelOrder) -> bool:
        return (
            first_at <= order.start_at < window.end
            and permits.may("planning.assign", actor, org_path=order.org.path, owner_id=order.applicant_id)
            and order.approver_id != actor.user_id
            and order.id not in agreed_to
        )

    waiting = order_queries.approved_waiting(
        session, actor=actor, start=first_at, end=window.end, limit=rules.MOST_ORDERS
    )
    rows = session.scalars(queries.between(queries.visible_to(actor), window)).unique().all()
    sizes: dict[int, int] = {}
    for row in queries.journeys(session, pool_keys={row.pool_key for row in rows}):
        sizes[row.pool_key] = sizes.get(row.pool_key, 0) + 1
    given = [
        row for row in rows
        if row.order.state in rules.MOVABLE and row.locked_at is None and sizes.get(row.pool_key) == 1 and mine(row.order)
        and permits.may("planning.release", actor, org_path=row.order.org.path, owner_id=row.order.applicant_id)
    ]  # fmt: skip
    return [order for order in waiting if mine(order)], given[: rules.MOST_ORDERS]


def insert(session: Session, *, order: TravelOrder, actor: Actor, now: datetime) -> tuple[Inserted, dict[int, int]]:
    """Answer a waiting order at once from what stands around it; with the assignment that each order has.

    :raises RuleBroken: nobody could go, see ``standing``.
    """
    permits.require("planning.assign", actor, org_path=order.org.path, owner_id=order.applicant_id, state=order.state)
    start, end = clock.day_span(clock.local_date(order.start_at))
    stands, seen = standing(session, window=Span(start, end), actor=actor, now=now, also=order)
    return bridge.insert(stands, order.id), seen


# ---- a run: asked for, worked on, given up -----------------------------------------------------------------------------


def ask(
    session: Session, *, window: Span, actor: Actor, now: datetime, time_limit_s: int = 20, seed: int = 0, what_if: WhatIf | None = None
) -> PlanRun:  # fmt: skip
    """Ask for a plan of what starts in the window from now on; the scheduler makes it.

    :raises RuleBroken: ``planning.window_over``, ``planning.window_too_long``, see ``standing``.
    :raises NotAllowed: no dispatcher.
    """
    permits.require("planning.plan", actor)
    rules.check_plan_window(window, now)
    org_id, _ = service.seat(actor)
    if actor.user_id is None:
        raise NotAllowed("kit.not_allowed", action="planning.plan")
    stands, seen = standing(session, window=window, actor=actor, now=now, what_if=what_if)
    kept, plan = stands.kept()
    asked = {"time_limit_s": time_limit_s, "seed": seed, "seen": {str(key): one for key, one in seen.items()},
             "what_if": asdict(what_if) if what_if else {}}  # fmt: skip
    run = PlanRun(org_id=org_id, requested_by=actor.user_id, requested_at=now, start_at=window.start, end_at=window.end,
                  state=RunState.WAITING, instance=kept, plan={"standing": plan}, asked=asked, progress={})  # fmt: skip
    session.add(run)
    session.flush()
    audit.record(session, actor=actor, now=now, action="planning.asked", subject_type="plan_run", subject_id=run.id, org_id=org_id,
                 start_at=window.start, end_at=window.end, orders=len(stands.instance.requests), what_if=asked["what_if"])  # fmt: skip
    return run


def stop(session: Session, *, run_id: int, actor: Actor, now: datetime) -> PlanRun:
    """Stop a run: what it has found so far is its result. One that is over stays as it is."""
    run = queries.get_run(session, run_id=run_id, actor=actor)
    permits.require("planning.plan", actor, org_path=run.org.path)
    if run.state in OPEN and run.cancel_asked_at is None:
        run.cancel_asked_at = now
        audit.record(session, actor=actor, now=now, action="planning.stopped", subject_type="plan_run", subject_id=run.id,
                     org_id=run.org_id)  # fmt: skip
    return run


def work(database: Database, *, tick: Callable[[], datetime]) -> int:
    """Make the runs that wait, one after the other; one that was broken off begins anew. Returns how many."""
    made = 0
    while (run_id := _next(database)) is not None:
        _make(database, run_id, tick)
        made += 1
    return made


def _next(database: Database) -> int | None:
    with database.transaction(SYSTEM) as session:
        query = select(PlanRun).where(or_(*(PlanRun.state == state for state in OPEN))).order_by(PlanRun.id).limit(1)
        run = session.scalar(query.with_for_update(skip_locked=True, of=PlanRun))
        if run is None:
            return None
        run.state = RunState.RUNNING
        return run.id


def _make(database: Database, run_id: int, tick: Callable[[], datetime]) -> None:
    with database.transaction(SYSTEM) as session:
        run = session.get_one(PlanRun, run_id)
        kept, stands, asked = run.instance, run.plan["standing"], run.asked
    looked, given_up = tick(), False

    def due() -> bool:
        nonlocal looked
        if tick() - looked < NOTED:
            return False
        looked = tick()
        return True

    def cancelled() -> bool:
        nonlocal given_up
        if not given_up and due():
            with database.transaction(SYSTEM) as session:
                given_up = session.scalar(select(PlanRun.cancel_asked_at).where(PlanRun.id == run_id)) is not None
        return given_up

    def told(step: bridge.Step) -> None:
        with database.transaction(SYSTEM) as session:
            session.get_one(PlanRun, run_id).progress = asdict(step)

    found, failure = None, None
    try:
        found = bridge.solve(
            kept, stands, time_limit_s=asked["time_limit_s"], seed=asked["seed"], told=told, cancelled=cancelled
        )
    except (AssertionError, ValueError) as error:
        failure = str(error)[:2000]  # the judge refused: a fault of the program, kept for whoever mends it
    with database.transaction(SYSTEM) as session:
        run = session.get_one(PlanRun, run_id)
        run.state, run.failure = (RunState.FAILED if found is None else RunState.DONE), failure
        run.plan = {"standing": stands, **(found or {})}
        audit.record(session, actor=SYSTEM, now=tick(), action="planning.planned", subject_type="plan_run", subject_id=run.id,
                     org_id=run.org_id, state=run.state, start_at=run.start_at, end_at=run.end_at,
                     served=found["figures"]["served"] if found else 0)  # fmt: skip


# ---- taking over ----------------------------------------------------------------------------------------------------


def accept(
    session: Session, *, run_id: int, order_ids: Collection[int], reason: str, actor: Actor, now: datetime
) -> list[Moved]:
    """Take over what a run changes, all or a part, whole or not at all: the judge looks at what comes of the part first.

    :raises RuleBroken: ``planning.run_failed``, ``planning.not_in_run``, ``planning.part_breaks`` with orders and the reason.
    :raises Conflict: ``planning.changed_meanwhile``, somebody has decided otherwise since.
    """
    run = queries.get_run(session, run_id=run_id, actor=actor)
    permits.require("planning.plan", actor, org_path=run.org.path)
    if run.state not in {RunState.DONE, RunState.CONFIRMED} or "plan" not in run.plan:
        raise RuleBroken("planning.run_failed")
    found = {
        one.order_id: one for one in bridge.changes(run.plan["plan"], run.plan["standing"]) if one.order_id is not None
    }
    if unknown := set(order_ids) - found.keys():
        raise RuleBroken("planning.not_in_run", orders=", ".join(str(one) for one in sorted(unknown)))
    broken = bridge.judge(run.instance, run.plan["plan"], run.plan["standing"], order_ids)
    if broken:
        known = queries.orders_by_id(session, order_ids=[key for key, _ in broken if key is not None], actor=actor)
        numbers = sorted({known[key].number for key, _ in broken if key in known})
        raise RuleBroken("planning.part_breaks", orders="、".join(numbers) or "–", n=len(numbers),
                         why={"text": f"planning.why.{broken[0][1].code}", **broken[0][1].params})  # fmt: skip
    seen = run.asked["seen"]
    wanted = []
    for order_id in sorted(order_ids):
        vehicle_id, driver_id = found[order_id].now or (None, None)
        wanted.append(Move(order_id, seen.get(str(order_id)), vehicle_id, driver_id, run_id=run.id))
    done = moves.move(session, moves=wanted, reason=reason, actor=actor, now=now)
    run.state, run.confirmed_at = RunState.CONFIRMED, run.confirmed_at or now
    audit.record(session, actor=actor, now=now, action="planning.confirmed", subject_type="plan_run", subject_id=run.id,
                 org_id=run.org_id, assigned=[one.number for one in done])  # fmt: skip
    return done
