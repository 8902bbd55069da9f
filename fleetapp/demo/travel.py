"""What of travel is more than orders and duties: sharing, events, statements, favourites, approvals, emergencies, notices."""

from collections.abc import Callable
from datetime import datetime

from fleetapp.demo import applications, approving, emergencies, gatherings, notices, reporting, settlement, sharing
from fleetapp.demo.city import City
from fleetapp.demo.records import Story
from fleetapp.kit.db import Database


def keep(database: Database, city: City, story: Story, *, now: datetime, stage: Callable[[str], None]) -> None:
    """Add them, a line of progress each."""
    stage(f"{sharing.share(database, city, story, now=now)} 项资源共享 / offers, requests and loans")
    stage(f"{gatherings.gather(database, city, now=now)} 单重大活动和拼车 / orders of an event and on a shared journey")
    settled = settlement.settle(database, now=now)
    stage(
        f"{settled['charged']} 单计费，{settled['statements']} 张结算单 / {settled['charged']} orders charged, {settled['statements']} statements"
    )
    stage(f"{applications.apply(database, now=now)} 个常用行程 / favourite trips")
    stage(f"{approving.decide(database, now=now)} 份申请在审 / orders being decided along a unit's own chain")
    stage(
        f"{emergencies.prepare(database, city, story, now=now)} 辆车参加应急和演练 / vehicles came to a drill and an emergency"
    )
    reports, studies = reporting.report(database, now=now), reporting.ask(database, now=now)
    stage(f"{reports} 份统计报告，{studies} 项决策研究 / {reports} statistical reports, {studies} studies asked for")
    stage(f"{notices.tell(database, now=now)} 条消息已发出 / notices went out")
