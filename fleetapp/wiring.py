"""The only file that knows every slice: tables, pages, APIs, jobs, commands, menu and the names of constraints."""

import functools
import pkgutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

from fleetapp.accounts import providers, sign_ins
from fleetapp.accounts.rules import Limits as SignInLimits
from fleetapp.acquisitions import effects as acquisition_effects
from fleetapp.costs import queries as cost_queries
from fleetapp.duty import queries as duty_queries
from fleetapp.exchange.adapter import configured as exchange_platform
from fleetapp.findings import queries as finding_queries
from fleetapp.kit import clock, signatures
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Base, Database
from fleetapp.notices.channels import configured as notice_channels
from fleetapp.notices.rules import Limits as NoticeLimits
from fleetapp.occasions import summary as occasion_summary
from fleetapp.orders import queries as order_queries
from fleetapp.orders.rules import DRIVEN, OrderState
from fleetapp.planning import paper as slip_paper
from fleetapp.policies import preview as policy_preview
from fleetapp.policies import queries as policy_queries
from fleetapp.pricing import preview as pricing_preview
from fleetapp.settings import Settings
from fleetapp.settlement import queries as settlement_queries
from fleetapp.vehicles import queries as vehicle_queries
from fleetapp.web import api as web_api
from fleetapp.web.request import Shell
from fleetapp.web.texts import language


def _modules(*names: str) -> Iterator[ModuleType]:
    """Import and return the modules of these names of every slice that has them; ``web`` is the shell, no slice."""
    for package in pkgutil.iter_modules([str(Path(__file__).parent)], "fleetapp."):
        for name in names if package.ispkg and package.name != "fleetapp.web" else ():
            if find_spec(f"{package.name}.{name}"):
                yield import_module(f"{package.name}.{name}")


list(_modules("models", "rule_models"))  # which fills the metadata
metadata = Base.metadata

CONSTRAINT_ERRORS: dict[str, str] = tomllib.loads((Path(__file__).parent / "refusals.toml").read_text(encoding="utf-8"))
"""What the database refuses by name, and the message that says so."""


@dataclass(frozen=True, slots=True)
class MenuItem:
    """An entry of the side menu under its heading, shown to whoever may do ``action`` anywhere."""

    endpoint: str
    text: str
    icon: str
    action: str | None = None
    heading: str = ""


MENU = (
    MenuItem("reports.home", "web.menu.home", "home"),
    MenuItem("dashboard.index", "dashboard.title", "dashboard", "dashboard.read"),
    MenuItem("orders.index", "web.menu.orders", "clipboard-list", "orders.read", "web.menu.group.travel"),
    MenuItem("orders.inbox", "web.menu.inbox", "checkbox", "orders.approve", "web.menu.group.travel"),
    MenuItem("desk.waiting_list", "orders.waiting", "clock", "orders.waiting", "web.menu.group.travel"),
    MenuItem(
        "approvals.delegations", "approvals.delegations", "user-check", "approvals.delegate", "web.menu.group.travel"
    ),
    MenuItem("board.live", "web.menu.board", "layout-kanban", "planning.read", "web.menu.group.travel"),
    MenuItem("occasions.index", "occasions.title", "flag", "occasions.read", "web.menu.group.travel"),
    MenuItem("pool.index", "pool.title", "refresh", "pool.read", "web.menu.group.travel"),
    MenuItem("emergency.index", "emergency.title", "alert-triangle", "emergency.read", "web.menu.group.travel"),
    MenuItem("reserves.index", "reserves.title", "shield-check", "reserves.read", "web.menu.group.travel"),
    MenuItem("roster.index", "board.roster", "calendar-event", "drivers.read", "web.menu.group.travel"),
    MenuItem("slips.index", "planning.register", "file-text", "planning.read", "web.menu.group.travel"),
    MenuItem("duty.today", "web.menu.duty", "steering-wheel", "duty.read", "web.menu.group.travel"),
    MenuItem("confirmations.index", "confirmations.list", "checks", "confirmations.read", "web.menu.group.travel"),
    MenuItem(
        "confirmations.results", "confirmations.results", "star", "confirmations.ratings", "web.menu.group.travel"
    ),
    MenuItem("duty.all_expenses", "duty.expenses_all", "receipt", "duty.expenses", "web.menu.group.travel"),
    MenuItem("tracking.live", "web.menu.live", "map-pin", "tracking.live", "web.menu.group.travel"),
    MenuItem("settlement.index", "settlement.title", "receipt", "settlement.read", "web.menu.group.travel"),
    MenuItem("trips.index", "web.menu.trips", "route", "trips.read", "web.menu.group.watch"),
    MenuItem("findings.index", "web.menu.findings", "alert-triangle", "findings.read", "web.menu.group.watch"),
    MenuItem("rulebook.index", "findings.rulebook", "book", "findings.rules", "web.menu.group.watch"),
    MenuItem("reports.exports", "web.menu.exports", "file-export", "reports.export", "web.menu.group.watch"),
    MenuItem("statistics.index", "statistics.title", "report-analytics", "statistics.read", "web.menu.group.watch"),
    MenuItem("evidence.requests", "evidence.requests", "lock", "evidence.make", "web.menu.group.watch"),
    MenuItem("exchange.index", "exchange.title", "upload", "exchange.read", "web.menu.group.watch"),
    MenuItem("audit.index", "web.menu.audit", "shield-check", "audit.read", "web.menu.group.watch"),
    MenuItem("vehicles.index", "web.menu.vehicles", "car", "vehicles.read", "web.menu.group.life"),
    MenuItem("ledgers.index", "ledgers.title", "file-spreadsheet", "ledgers.export", "web.menu.group.life"),
    MenuItem("acquisitions.matrix", "acquisitions.menu.quota", "table", "quota.read", "web.menu.group.life"),
    MenuItem(
        "acquisitions.index",
        "acquisitions.menu.indicators",
        "file-certificate",
        "indicators.read",
        "web.menu.group.life",
    ),
    MenuItem(
        "acquisitions.pipeline", "acquisitions.menu.pipeline", "shopping-cart", "indicators.read", "web.menu.group.life"
    ),
    MenuItem("renewal.path", "renewal.title", "leaf", "renewal.read", "web.menu.group.life"),
    MenuItem("lab.index", "lab.title", "wand", "lab.read", "web.menu.group.life"),
    MenuItem("upkeep.index", "upkeep.due", "calendar-event", "upkeep.overview", "web.menu.group.life"),
    MenuItem("work.index", "upkeep.orders", "tool", "upkeep.read", "web.menu.group.life"),
    MenuItem("disposal.index", "disposal.title", "recycle", "disposal.read", "web.menu.group.life"),
    MenuItem("seals.index", "seals.title", "lock", "seals.read", "web.menu.group.life"),
    MenuItem("energy.index", "energy.title", "gas-station", "energy.read", "web.menu.group.life"),
    MenuItem("costs.units", "costs.title", "receipt", "costs.read", "web.menu.group.life"),
    MenuItem("drivers.index", "web.menu.drivers", "users", "drivers.read", "web.menu.group.settings"),
    MenuItem("vehicle_codes.index", "phone.codes", "qrcode", "phone.codes", "web.menu.group.settings"),
    MenuItem("places.parking", "places.parking", "parking", "places.read", "web.menu.group.settings"),
    MenuItem(
        "tracking.terminals", "web.menu.terminals", "device-desktop", "tracking.terminals", "web.menu.group.settings"
    ),
    MenuItem("terminals.health", "tracking.health", "heartbeat", "tracking.health", "web.menu.group.settings"),
    MenuItem("commands.index", "tracking.commands", "send", "tracking.commands", "web.menu.group.settings"),
    MenuItem("quarantine.index", "tracking.quarantine", "shield-x", "tracking.quarantine", "web.menu.group.settings"),
    MenuItem("pricing.index", "pricing.title", "receipt", "pricing.read", "web.menu.group.settings"),
    MenuItem("approvals.index", "approvals.title", "sitemap", "approvals.read", "web.menu.group.settings"),
    MenuItem("policies.index", "web.menu.policies", "book", "policies.read", "web.menu.group.settings"),
    MenuItem("care.deliveries", "notices.deliveries", "send", "notices.deliveries", "web.menu.group.settings"),
    MenuItem("accounts.index", "web.menu.accounts", "user-cog", "accounts.read", "web.menu.group.settings"),
)


occasion_summary.COSTS.append(cost_queries.all_rows)
"""What the orders of an event have cost, by the slices above events."""

policy_preview.EFFECTS.update({
    "renewal.min_years": (vehicle_queries.renewable, acquisition_effects.too_young),
    "scrap.": (vehicle_queries.to_scrap,),
    "cap.": (acquisition_effects.over_cap,),
    "nev.phev_no_displacement_cap": (acquisition_effects.over_cap,),
    "nev.acquisition_share": (acquisition_effects.below_share,),
    "nev.fixed_route_share": (acquisition_effects.below_share,),
    "idle.": (acquisition_effects.idle,),
    "order.lead_min": (order_queries.short_notice,),
    **dict.fromkeys(("A-", "B-", "E-"), (finding_queries.still_caught,)),
})  # fmt: skip
"""What a new policy figure touches, counted by the slices above policies."""

pricing_preview.SOURCES.append(settlement_queries.past)

slip_paper.ACTUALS[:] = [duty_queries.actuals]
"""What slips show of a journey that is over."""

Job = Callable[[Database, datetime], object]


def jobs(settings: Settings) -> tuple[tuple[str, int, Job], ...]:
    """Return the scheduled work: name, seconds between runs, function of the database and the moment."""
    import fleetapp.acquisitions.jobs
    import fleetapp.audit.jobs
    import fleetapp.confirmations.jobs
    import fleetapp.exchange.jobs
    import fleetapp.findings.jobs
    import fleetapp.lab.jobs
    import fleetapp.ledgers.jobs
    import fleetapp.notices.jobs
    import fleetapp.occasions.jobs
    import fleetapp.operations.jobs
    import fleetapp.orders.jobs
    import fleetapp.planning.jobs
    import fleetapp.pool.jobs
    import fleetapp.reports.jobs
    import fleetapp.retention.jobs
    import fleetapp.seals.jobs
    import fleetapp.settlement.jobs
    import fleetapp.sharing.jobs
    import fleetapp.tracking.jobs
    import fleetapp.trips.jobs
    import fleetapp.upkeep.jobs

    return (
        (
            "notices",
            5,
            functools.partial(
                fleetapp.notices.jobs.deliver,
                channels=notice_channels(settings),
                limits_of=_notice_limits,
                base_url=settings.public_url.rstrip("/"),
            ),
        ),
        ("trips", 15, functools.partial(fleetapp.trips.jobs.derive, osrm_url=settings.osrm_url)),
        ("positions", 6 * 3600, functools.partial(fleetapp.tracking.jobs.keep, archive_dir=settings.archive_dir)),
        ("sim_cards", 86_400, fleetapp.tracking.jobs.remind),
        ("findings", 30, functools.partial(fleetapp.findings.jobs.scan, osrm_url=settings.osrm_url)),
        ("cases", 60, fleetapp.findings.jobs.keep_up),
        ("ledgers", 2, functools.partial(fleetapp.ledgers.jobs.work, most_rows=settings.ledger_max_rows)),
        ("reports", 3, fleetapp.reports.jobs.work),
        ("lab", 3, fleetapp.lab.jobs.work),
        ("old_reports", 3600, fleetapp.reports.jobs.forget),
        ("retention", 86_400, fleetapp.retention.jobs.forget),
        ("indicators", 3600, fleetapp.acquisitions.jobs.expire),
        ("confirmations", 300, fleetapp.confirmations.jobs.confirm_due),
        ("orders_lapse", 600, fleetapp.orders.jobs.lapse),
        ("approvals", 300, fleetapp.orders.jobs.keep_moving),
        ("seals", 60, fleetapp.seals.jobs.move_due),
        ("occasions", 60, fleetapp.occasions.jobs.move_due),
        ("charges", 60, fleetapp.settlement.jobs.charge),
        ("statements", 3600, fleetapp.settlement.jobs.issue),
        ("closing", 600, fleetapp.settlement.jobs.close),
        ("sharing", 30, fleetapp.sharing.jobs.move_due),
        ("pool", 30, fleetapp.pool.jobs.release_lost),
        ("upkeep", 86_400, fleetapp.upkeep.jobs.remind),
        (
            "heads",
            600,
            functools.partial(
                fleetapp.audit.jobs.publish, sign=functools.partial(signatures.sign, signatures.of(settings))
            ),
        ),
        ("plans", 1, fleetapp.planning.jobs.plan_waiting),
        ("chain", 3600, fleetapp.operations.jobs.check_chain),
        ("unaccepted", 60, fleetapp.planning.jobs.remind_unaccepted),
        ("exchange", 30, functools.partial(fleetapp.exchange.jobs.run, adapter=exchange_platform(settings))),
    )


def _notice_limits(session: Session, now: datetime) -> NoticeLimits:
    """Return the policy figures of notices: their slice lies below that of policies."""
    found = policy_queries.values(session, "notices.", clock.local_date(now))
    return NoticeLimits(
        quiet_from=time(int(found["notices.quiet_from_h"])), quiet_until=time(int(found["notices.quiet_until_h"])),
        per_hour=int(found["notices.per_hour"]), digest_from=int(found["notices.digest_from"]),
        most_attempts=int(found["notices.most_attempts"]),
    )  # fmt: skip


def _sign_in_limits(settings: Settings, database: Database) -> Callable[[datetime], SignInLimits]:
    """Return a reader of sign-in's policy figures, asked once a minute; the slice of accounts lies below that of policies.

    The second factor of administrators is asked for in production only: a demo prints its logins.
    """
    kept: dict[datetime, SignInLimits] = {}

    def limits(now: datetime) -> SignInLimits:
        minute = now.replace(second=0, microsecond=0)
        if (found := kept.get(minute)) is None:
            with database.transaction(SYSTEM) as session:
                figures = policy_queries.values(session, "sign_in.", clock.local_date(now))
            numbers = {name.removeprefix("sign_in."): int(value) for name, value in figures.items()}
            needed = bool(numbers.pop("admin_second_factor")) and settings.production
            found = SignInLimits(**numbers, admin_second_factor=needed)
            kept.clear()
            kept[minute] = found
        return found

    return limits


def _resume(limits: Callable[[datetime], SignInLimits], database: Database, **asked: Any) -> Actor | None:
    return sign_ins.resume(database, **asked, limits=limits(asked["now"]), language=language())


def shell(database: Database, settings: Settings) -> Shell:
    """Return the parts that every request needs."""
    limits = _sign_in_limits(settings, database)
    return Shell(database, settings, functools.partial(_resume, limits), MENU, limits, providers.configured(settings))


NOT_OVER = frozenset(OrderState) - DRIVEN - {OrderState.OUTSOURCED}
"""An order in these states has nothing to be charged for yet."""


def register(app: Flask) -> None:
    """Plug the slices' pages, APIs and commands into an application."""
    for module in _modules(
        "views", "desk", "slips", "care", "watch", "rulebook", "ordering", "unknown", "roster", "own", "second", "sso"
    ):
        app.register_blueprint(module.blueprint)
    api = web_api.init_app(app)
    for module in _modules("api"):
        api.register_blueprint(module.blueprint)
    for module in _modules("cli"):
        app.cli.add_command(module.group)
    early = {
        OrderState.SUBMITTED,
        OrderState.APPROVING,
        OrderState.SENT_BACK,
        OrderState.REJECTED,
        OrderState.WITHDRAWN,
    }
    order_views = import_module("fleetapp.orders.views")
    panel = order_views.Panel
    order_views.PANELS[:] = [
        panel("desk.panel", "approvals.chain"),
        panel("sharing.order_card", "pool.panel", hidden=frozenset(early)),
        panel("papers.panel", "applications.panel"),
        panel("confirmations.panel", "confirmations.title", "orders.read", hidden=NOT_OVER),
        panel("settlement.panel", "settlement.panel", hidden=NOT_OVER),
    ]
