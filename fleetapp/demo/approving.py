"""One unit's own approval chain, a deputy, and orders in every stage of being decided, so that the pages have something to show."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.accounts.models import OrgKind
from fleetapp.accounts.queries import get_org
from fleetapp.approvals import chains
from fleetapp.approvals.rules import Level, Verdict
from fleetapp.demo import people
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor, Role
from fleetapp.kit.db import Database, become
from fleetapp.orders import changes
from fleetapp.orders import service as orders
from fleetapp.orders.rules import OrderKind, Purpose, Stop
from fleetapp.workdays.queries import day_kinds
from fleetapp.workdays.rules import DayKind

OFFICE = Stop("杭州市民中心", 30.2460, 120.2113)
NEAR, FAR = Stop("杭州东站", 30.2935, 120.2082), Stop("千岛湖镇", 29.6046, 119.0419)
LEVELS = (
    Level("科室负责人审批", role="approver", deadline_h=8),
    Level("单位车管员会同", role="unit_admin", flags=("off_day", "overnight"), deadline_h=8),
    Level("车辆管理机构审核", role="vehicle_office", place="bureau", over_m=200_000, areas=("province", "beyond")),
    Level("车辆管理机构审核（逾期补单）", role="vehicle_office", place="bureau", flags=("late",)),
)


def decide(database: Database, *, now: datetime) -> int:
    """Give the last unit that has all the people a chain of its own and five orders; returns how many orders there are."""
    with database.transaction(SYSTEM) as session:
        found = _unit(session)
        if found is None:
            return 0
        applicant, approver, admin = found
        become(session, admin)
        chains.publish_chain(session, org_id=admin.org_id or 0, valid_from=clock.local_date(now), note="本单位公务用车审批办法（示例）",
                                levels=LEVELS, actor=admin, now=now)  # fmt: skip
        soon = clock.local_date(now) + timedelta(days=2)
        # On a day off the chain asks for one signature more.
        working = next(
            day for day in day_kinds(session, soon, soon + timedelta(days=14)) if day.kind is DayKind.WORKDAY
        )
        day = clock.start_of(working.on)
        made = [
            _ask(session, applicant, day + timedelta(hours=8 + 2 * turn), FAR if turn == 4 else NEAR, now)
            for turn in range(5)
        ]
        become(session, approver)
        orders.decide(
            session, order_id=made[0], verdict=Verdict.SEND_BACK, actor=approver, now=now, note="请补充会议通知文号。"
        )
        orders.approve(session, order_id=made[1], actor=approver, now=now, note="同意。")
        orders.approve(session, order_id=made[4], actor=approver, now=now, note="同意，请车管机构审核。")
        become(session, applicant)
        changes.request(session, order_id=made[1], reason="会议增加一名记录人员。", actor=applicant, now=now, passenger_count=3,
                        passengers="业务科三人")  # fmt: skip
        become(session, approver)
        chains.delegate(session, org_id=approver.org_id or 0, delegator_id=approver.user_id or 0, delegate_id=admin.user_id,
                           start_at=now + timedelta(days=3), end_at=now + timedelta(days=5), actor=approver, now=now)  # fmt: skip
        return len(made)


def _unit(session: Session) -> tuple[Actor, Actor, Actor] | None:
    """Return an applicant, an approver and an administrator of the same unit, each another person."""
    everybody = people.everybody(session).values()
    of_unit: dict[int, dict[Role, Actor]] = {}
    for actor in everybody:
        for role in (Role.APPLICANT, Role.APPROVER, Role.UNIT_ADMIN):
            if actor.org_id is not None and actor.has(role):
                of_unit.setdefault(actor.org_id, {}).setdefault(role, actor)
    for org_id in sorted(of_unit, reverse=True):
        one = of_unit[org_id]
        if len({actor.user_id for actor in one.values()}) == 3 and get_org(session, org_id=org_id).kind == OrgKind.UNIT:
            return one[Role.APPLICANT], one[Role.APPROVER], one[Role.UNIT_ADMIN]
    return None


def _ask(session: Session, applicant: Actor, start_at: datetime, to: Stop, now: datetime) -> int:
    become(session, applicant)
    order = orders.submit(
        session, kind=OrderKind.ORDINARY, purpose=Purpose.MEETING, reason="参加全市业务工作会议", passengers="业务科二人", passenger_count=2,
        contact="0571-12345", body="sedan", start_at=start_at, end_at=start_at + timedelta(hours=1), stops=[OFFICE, to],
        actor=applicant, now=now,
    )  # fmt: skip
    session.flush()
    return order.id
