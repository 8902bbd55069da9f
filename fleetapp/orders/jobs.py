"""What the system does about orders nobody does anything about."""

from datetime import datetime, timedelta

from fleetapp.approvals import queries as approvals
from fleetapp.approvals import service as approval_service
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.orders import cases, follow, queries
from fleetapp.policies import queries as policies

AT_ONCE = 500


def lapse(database: Database, now: datetime) -> dict[str, int]:
    """Cancel what nobody decided or served: the window ended longer ago than the policy figure ``order.lapse_h``."""
    done = 0
    with database.transaction(SYSTEM) as session:
        found = queries.lapsed(session, before=now, limit=AT_ONCE)
        hours = policies.by_org(
            session, "order.lapse_h", on=clock.local_date(now), org_paths={path for _, path, _ in found}
        )
        due = [
            order_id
            for order_id, path, end_at in found
            if path in hours and end_at < now - timedelta(hours=float(hours[path]))
        ]
    for order_id in due:
        with database.transaction(SYSTEM) as session:
            order = queries.hold_order(session, order_id=order_id)
            if order.state in queries.LAPSING:
                follow.lapse(session, order=order, reason="用车时间已过，逾期未办，系统自动取消。", now=now)
                done += 1
    return {"lapsed": done}


def keep_moving(database: Database, now: datetime) -> dict[str, int]:
    """Give what waits only for absent people to the organisation above, and remind of what is late, once each."""
    moved = 0
    with database.transaction(SYSTEM) as session:
        unowned = approvals.unowned(session, at=now)
        late = approvals.overdue(session, at=now)
    for case_id in unowned:
        with database.transaction(SYSTEM) as session:
            case = approvals.get_case(session, case_id=case_id, lock=True)
            if approval_service.reseat(session, case=case, actor=SYSTEM, now=now):
                order = queries.get_order(session, order_id=case.subject_id, actor=SYSTEM)
                cases.tell_asked(session, order, case, now=now, again=f"seat{len(case.steps)}")
                moved += 1
    for case_id in late:
        with database.transaction(SYSTEM) as session:
            case = approvals.get_case(session, case_id=case_id)
            order = queries.get_order(session, order_id=case.subject_id, actor=SYSTEM)
            cases.tell_asked(session, order, case, now=now, code="orders.notice.remind", again="late")
    return {"moved": moved, "late": len(late)}
