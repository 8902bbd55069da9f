"""Making of renewal plans."""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.db import Database
from fleetapp.kit.errors import RuleBroken
from fleetapp.policies import queries as policies
from fleetapp.renewal import bridge, queries, rules
from fleetapp.renewal.models import RenewalRun


def plan(
    database: Database, *, org_id: int, years: int, budget: Decimal, stock_share: Decimal, bought_share: Decimal, actor: Actor,
    now: datetime, charging_places: int | None = None, time_limit_s: float = 30.0,
) -> RenewalRun:  # fmt: skip
    """Plan the renewals of an organisation's sub-tree from next year on; ``budget`` is CNY a year.

    ``charging_places`` are those each unit has now; more are built where that is cheapest; None: they do not limit the plan.

    Takes the database, not a session: no transaction waits for the optimizer.

    :raises RuleBroken: ``renewal.years``, ``budget``, ``share``, or ``no_vehicles``.
    """
    rules.check_asked(years=years, budget=budget, stock_share=stock_share, bought_share=bought_share)
    today = clock.local_date(now)
    asked = bridge.Asked(today.year + 1, years, budget, stock_share, bought_share, charging_places)
    with database.transaction(actor) as session:
        org = accounts.get_org(session, org_id=org_id)
        permits.require("renewal.plan", actor, org_path=org.path)
        figures = {
            **policies.values(session, "plan.", today, org.path),
            **policies.values(session, "renewal.", today, org.path),
        }
        cars = queries.to_plan(session, org_path=org.path)
        if not cars:
            raise RuleBroken("renewal.no_vehicles")
        under_way = queries.renewed_already(session, actor=actor)
        problem, cars_of = bridge.problem_of(cars, asked=asked, figures=figures, left_out=under_way, today=today)
    result = bridge.solve(problem, cars_of, asked=asked, time_limit_s=time_limit_s)
    run = RenewalRun(
        org_id=org_id, requested_by=actor.user_id, requested_at=now, first_year=asked.first_year, years=years,
        asked={key: str(value) for key, value in asdict(asked).items()} | {"under_way": len(under_way)}, result=result,
        gap=Decimal(str(round(result["gap"], 6))),
    )  # fmt: skip
    with database.transaction(actor) as session:
        session.add(run)
        session.flush()
        audit.record(session, actor=actor, now=now, action="renewal.planned", subject_type="renewal_run", subject_id=run.id,
                     org_id=org_id, asked=run.asked, cost_cny=result["cost_cny"], cars=len(result["cars"]),
                     shortfalls=result["shortfalls"])  # fmt: skip
    return run
