"""Some policy figures of the demo's own: of districts, of the city for next year, and one withdrawn."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from fleetapp.accounts.models import Organisation, OrgKind
from fleetapp.demo import people
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Role
from fleetapp.kit.db import Database
from fleetapp.policies import service
from fleetapp.policies.rules import Scope

ROWS = (
    # whose (0 the city), code, value, unit, days from today (None: next new year), source, article, reason
    (0, "nev.acquisition_share", "0.50", "share", None, "市级年度更新计划", "新能源占比", "下一年度更新以新能源为主"),
    (0, "plan.price_bev_cny", "165000", "CNY", 7, "协议供货平台报价", "纯电动车", "报价下调"),
    (1, "order.lead_min", "60", "min", 7, "区公务用车管理细则", "预约", "区内车辆集中调度，需提前一小时"),
    (2, "finding.explain_days.yellow", "5", "workday", 7, "区公务用车管理细则", "线索说明", "缩短说明期限"),
    (0, "idle.max_trips", "6", "count", None, "闲置车辆调剂方案（征求意见稿）", "认定标准", "拟从严认定闲置"),
)  # fmt: skip


def set_figures(database: Database, *, now: datetime) -> int:
    """Enter them, each by the vehicle office it is of; none changes how the days already told are judged. Returns how many."""
    today = clock.local_date(now)
    with database.transaction(SYSTEM) as session:
        orgs = (
            select(Organisation.id)
            .where(Organisation.kind.in_([OrgKind.CITY, OrgKind.DISTRICT]))
            .order_by(Organisation.code)
        )
        offices = {
            actor.org_id: actor for actor in people.everybody(session).values() if actor.has(Role.VEHICLE_OFFICE)
        }
        whose = [offices[org_id] for org_id in session.scalars(orgs) if org_id in offices]
    for number, code, value, unit, days, source, article, reason in ROWS:
        office = whose[number]
        with database.transaction(office) as session:
            made = service.enter(
                session, code=code, scope=Scope.ORG if number else Scope.CITY, org_id=office.org_id if number else None, value=Decimal(value),
                unit=unit, valid_from=today + timedelta(days=days) if days else date(today.year + 1, 1, 1), source=source, article=article,
                reason=reason, actor=office, now=now,
            )  # fmt: skip
            if number == 0 and code == ROWS[-1][1]:
                service.withdraw(session, policy_id=made.id, reason="征求意见后暂不调整", actor=office, now=now)
    return len(ROWS)
