"""The only file that knows every slice: tables, pages, APIs, jobs, commands, menu and the names of constraints."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time

from flask import Flask
from sqlalchemy.orm import Session

import fleetapp.accounts.models
import fleetapp.acquisitions.models
import fleetapp.applications.models
import fleetapp.approvals.models
import fleetapp.attachments.models
import fleetapp.audit.models
import fleetapp.confirmations.models
import fleetapp.costs.models
import fleetapp.disposal.models
import fleetapp.dossier.models
import fleetapp.drivers.models
import fleetapp.duty.models
import fleetapp.emergency.models
import fleetapp.energy.models
import fleetapp.findings.models
import fleetapp.ledgers.models
import fleetapp.notices.models
import fleetapp.occasions.models
import fleetapp.orders.models
import fleetapp.places.models
import fleetapp.planning.models
import fleetapp.policies.models
import fleetapp.pricing.models
import fleetapp.renewal.models
import fleetapp.reserves.models
import fleetapp.seals.models
import fleetapp.settlement.models
import fleetapp.sharing.models
import fleetapp.trips.models
import fleetapp.upkeep.models
import fleetapp.vehicles.models
import fleetapp.workdays.models  # noqa: F401 -- importing the models fills the metadata
from fleetapp.accounts import service as accounts_service
from fleetapp.acquisitions import effects as acquisition_effects
from fleetapp.costs import queries as cost_queries
from fleetapp.duty import queries as duty_queries
from fleetapp.findings import queries as finding_queries
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
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

metadata = Base.metadata

CONSTRAINT_ERRORS = {
    "ex_policy_value_one_in_force": "policies.same_day_now",
    "ck_policy_value_same_day": "policies.same_day_now",
    "ck_policy_value_past": "policies.past_now",
    "ck_policy_value_unit": "policies.unit_now",
    "uq_charge_order_id": "settlement.charged_already",
    "ck_charge_unconfirmed": "settlement.unconfirmed",
    "ck_charge_statement": "settlement.statement_closed",
    "ck_statement_step": "settlement.step_now",
    "ck_statement_sum": "settlement.sum_now",
    "ck_statement_no_self_confirm": "kit.own_row",
    "ck_adjustment_statement": "settlement.statement_closed",
    "ck_adjustment_below": "settlement.adjust_below_now",
    "ck_statement_dispute_closed": "settlement.statement_closed",
    "ck_statement_dispute_no_self_answer": "kit.own_row",
    "uq_statement_dispute_open": "settlement.disputed_already",
    "ck_travel_order_settled": "settlement.settled_once",
    "uq_price_book_first_day": "pricing.same_day",
    "uq_price_book_org_id_version_no": "pricing.version_taken",
    "ck_price_book_no_self_approval": "kit.own_row",
    "ck_price_book_too_late": "pricing.too_late_now",
    "uq_vehicle_plate_active": "vehicles.plate_taken",
    "uq_vehicle_vin_active": "vehicles.vin_taken",
    "ex_terminal_binding_vehicle": "vehicles.terminal_present",
    "ex_terminal_binding_terminal": "vehicles.terminal_elsewhere",
    "ck_vehicle_odometer_back": "vehicles.reading_order",
    "ck_odometer_reading_order": "vehicles.reading_order",
    "ex_assignment_vehicle": "planning.vehicle_booked",
    "ex_assignment_driver": "planning.driver_booked",
    "ex_assignment_pool_vehicle": "planning.vehicle_booked",
    "ex_assignment_pool_driver": "planning.driver_booked",
    "ck_assignment_pool": "planning.pool_refused",
    "ck_assignment_seats": "planning.pool_refused",
    "uq_assignment_order_active": "planning.already_assigned",
    "ck_occasion_released": "occasions.still_keeps",
    "ck_hold_occasion": "occasions.closed",
    "ck_occasion_shift_kept": "occasions.not_kept",
    "uq_occasion_shift_vehicle": "occasions.driver_twice",
    "uq_occasion_shift_driver": "occasions.driver_twice",
    "ck_travel_order_occasion": "occasions.not_open",
    "uq_duty_event_idempotency_key": "duty.already_received",
    "uq_trip_expense_idempotency_key": "duty.already_received",
    "ck_trip_expense_open": "duty.expense_closed",
    "uq_mileage_confirmation_order_id": "confirmations.there",
    "ck_mileage_confirmation_state": "confirmations.not_now",
    "ck_mileage_confirmation_open": "confirmations.objection_open",
    "ck_mileage_confirmation_person": "confirmations.not_yours",
    "ck_mileage_confirmation_explained": "confirmations.explain",
    "uq_mileage_remark_order_id_seq": "confirmations.remark_there",
    "ck_mileage_remark_turn": "confirmations.remark_there",
    "ck_mileage_remark_person": "confirmations.not_yours",
    "uq_trip_rating_order_id": "confirmations.rated_now",
    "ck_trip_rating_person": "confirmations.not_yours",
    "ck_travel_order_confirmed": "confirmations.row_first",
    "uq_gps_terminal_phone": "tracking.phone_taken",
    "uq_user_account_username": "accounts.username_taken_now",
    "uq_travel_order_applicant_id_request_key": "orders.received_already",
    "ck_vehicle_retired": "vehicles.by_disposal",
    "ck_vehicle_moved": "acquisitions.moved_without",
    "uq_disposal_case_vehicle_living": "disposal.there",
    "uq_disposal_case_vehicle_out": "disposal.there",
    "ck_disposal_case_no_self_approval": "kit.own_row",
    "ck_vehicle_sealed": "seals.by_unsealing",
    "ck_assignment_sealed": "seals.vehicle_sealed",
    "uq_emergency_activation_active": "emergency.active_now",
    "ck_emergency_effect_drill": "emergency.drill_takes_nothing",
    "ck_emergency_car_driver": "emergency.same_person",
    "ck_emergency_activation_two_people": "emergency.same_person",
    "ck_emergency_activation_three_people": "emergency.same_person",
    "ck_assignment_reserve": "reserves.broken",
    "ck_hold_reserve": "reserves.broken",
    "ex_reserve_floor_one": "reserves.floor_there",
    "ex_reserve_alert_one": "reserves.alert_there",
    "ck_approval_step_own": "kit.own_row",
    "ck_approval_task_barred": "kit.own_row",
    "ck_approval_case_barred": "kit.own_row",
    "ck_approval_step_separation": "approvals.drives",
    "ck_approval_step_asked": "approvals.not_waited_for_now",
    "ck_approval_case_signed": "approvals.not_signed",
    "ck_approval_task_signed": "approvals.not_signed",
    "ck_travel_order_agreed": "approvals.not_signed",
    "ck_order_change_agreed": "approvals.not_signed",
    "ck_assignment_separation": "planning.approver_drives",
    "ck_approval_chain_backdated": "approvals.backdated",
    "uq_approval_chain_org_id_version": "approvals.version_there",
    "uq_approval_task_open": "approvals.not_open_now",
    "uq_order_change_open": "orders.change_open",
    "ex_approval_delegation_once": "approvals.delegated_already",
    "ck_assignment_hold": "planning.kept_for_other",
    "ck_assignment_fit_state": "planning.why.vehicle_state",
    "ck_assignment_fit_purpose": "planning.why.purpose",
    "ck_assignment_fit_seats": "planning.unfit_seats",
    "ck_assignment_fit_range": "planning.unfit_range",
    "ck_assignment_fit_licence": "planning.unfit_licence",
    "ck_assignment_fit_rest": "planning.rest_short",
    "ck_hold_assignment": "planning.has_orders",
    "ex_hold_vehicle": "planning.kept_already",
    "ex_hold_driver": "planning.kept_already",
    "ex_share_loan_vehicle": "sharing.lent_now",
    "ex_share_loan_driver": "sharing.driver_lent",
    "ck_share_loan_holder": "sharing.driver_other",
    "ck_share_loan_in_service": "sharing.not_in_service",
    "ck_share_loan_sealed": "sharing.to_be_sealed",
    "ck_share_loan_held": "sharing.kept",
    "ck_share_loan_booked": "sharing.booked",
    "ck_share_loan_out": "sharing.still_out",
    "ck_assignment_lent": "planning.why.lent_elsewhere",
    "ck_share_request_no_self_answer": "kit.own_row",
    "uq_share_request_order_open": "sharing.asked_already",
    "uq_share_loan_request_id": "sharing.answered",
    "uq_fallback_order_id": "sharing.outsourced_now",
    "ex_seal_record_vehicle": "seals.held",
    "uq_seal_record_campaign_id_vehicle_id": "seals.held",
    "ck_seal_record_proof": "seals.proof",
    "ck_seal_record_photo": "seals.photo_needed",
    "ck_seal_record_vehicle": "seals.proof",
    "ck_seal_record_unsealed": "seals.unsealed_odd",
    "ck_seal_record_exception": "seals.not_approved",
    "ck_seal_exception_no_self_approval": "kit.own_row",
    "uq_seal_exception_record_open": "seals.exception_there",
    "ex_energy_card_number": "energy.card_taken",
    "ex_energy_card_vehicle": "energy.card_second",
    "ck_energy_card_kind_fits": "energy.kind_fits",
    "ck_energy_entry_kind_fits": "energy.kind_fits",
    "ck_energy_entry_card": "energy.card_other_now",
    "ck_energy_entry_amount": "energy.amount_now",
    "uq_energy_entry_digest": "energy.there",
    "uq_energy_entry_card_moment": "energy.there",
    "uq_energy_entry_vehicle_moment": "energy.there",
    "ck_cost_entry_order": "costs.order_other",
    "ck_cost_entry_task": "costs.task_needed",
    "ck_cost_entry_kind": "costs.elsewhere",
    "uq_cost_entry_document": "costs.there",
    "ex_work_order_vehicle": "upkeep.in_shop",
    "ck_vehicle_in_work": "upkeep.vehicle_in_work",
    "ck_work_order_no_self_approval": "kit.own_row",
    "ck_work_order_on_journey": "upkeep.on_journey",
    "ck_work_order_excess": "upkeep.excess_again",
    "ck_work_order_quotes": "upkeep.quotes_or_reason",
    "uq_work_quote_order_id_supplier_id": "upkeep.quote_there",
    "uq_upkeep_plan_open": "upkeep.plan_there",
    "uq_supplier_org_id_contract_no_kind": "upkeep.contract_there",
    "ck_vehicle_ready": "vehicles.not_ready_now",
    "ck_assignment_papers": "planning.papers_ended",
    "ck_indicator_quota": "acquisitions.no_quota",
    "ck_indicator_no_self_approval": "kit.own_row",
    "uq_indicator_old_vehicle": "acquisitions.old_vehicle_taken",
    "uq_budget_line_indicator_id": "acquisitions.budget_there",
    "uq_procurement_indicator_open": "acquisitions.purchase_there",
    "uq_ledger_import_content": "ledgers.there",
    "uq_procurement_contract_no": "acquisitions.contract_taken",
}


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
    MenuItem("orders.index", "web.menu.orders", "clipboard-list", "orders.read", "web.menu.group.travel"),
    MenuItem("orders.inbox", "web.menu.inbox", "checkbox", "orders.approve", "web.menu.group.travel"),
    MenuItem("desk.waiting_list", "orders.waiting", "clock", "orders.waiting", "web.menu.group.travel"),
    MenuItem(
        "approvals.delegations", "approvals.delegations", "user-check", "approvals.delegate", "web.menu.group.travel"
    ),
    MenuItem("planning.board", "web.menu.board", "layout-kanban", "planning.read", "web.menu.group.travel"),
    MenuItem("occasions.index", "occasions.title", "flag", "occasions.read", "web.menu.group.travel"),
    MenuItem("pool.index", "pool.title", "refresh", "pool.read", "web.menu.group.travel"),
    MenuItem("emergency.index", "emergency.title", "alert-triangle", "emergency.read", "web.menu.group.travel"),
    MenuItem("reserves.index", "reserves.title", "shield-check", "reserves.read", "web.menu.group.travel"),
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
    MenuItem("reports.exports", "web.menu.exports", "file-export", "reports.export", "web.menu.group.watch"),
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
    MenuItem("upkeep.index", "upkeep.due", "calendar-event", "upkeep.overview", "web.menu.group.life"),
    MenuItem("work.index", "upkeep.orders", "tool", "upkeep.read", "web.menu.group.life"),
    MenuItem("disposal.index", "disposal.title", "recycle", "disposal.read", "web.menu.group.life"),
    MenuItem("seals.index", "seals.title", "lock", "seals.read", "web.menu.group.life"),
    MenuItem("energy.index", "energy.title", "gas-station", "energy.read", "web.menu.group.life"),
    MenuItem("costs.units", "costs.title", "receipt", "costs.read", "web.menu.group.life"),
    MenuItem("drivers.index", "web.menu.drivers", "users", "drivers.read", "web.menu.group.settings"),
    MenuItem("places.parking", "places.parking", "parking", "places.read", "web.menu.group.settings"),
    MenuItem(
        "tracking.terminals", "web.menu.terminals", "device-desktop", "tracking.terminals", "web.menu.group.settings"
    ),
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
    import fleetapp.confirmations.jobs
    import fleetapp.findings.jobs
    import fleetapp.ledgers.jobs
    import fleetapp.notices.jobs
    import fleetapp.occasions.jobs
    import fleetapp.orders.jobs
    import fleetapp.planning.jobs
    import fleetapp.pool.jobs
    import fleetapp.seals.jobs
    import fleetapp.settlement.jobs
    import fleetapp.sharing.jobs
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
        ("findings", 30, fleetapp.findings.jobs.scan),
        ("ledgers", 2, functools.partial(fleetapp.ledgers.jobs.work, most_rows=settings.ledger_max_rows)),
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
        ("unaccepted", 60, fleetapp.planning.jobs.remind_unaccepted),
    )


def _notice_limits(session: Session, now: datetime) -> NoticeLimits:
    """Return the policy figures of notices: their slice lies below that of policies."""
    found = policy_queries.values(session, "notices.", clock.local_date(now))
    return NoticeLimits(
        quiet_from=time(int(found["notices.quiet_from_h"])), quiet_until=time(int(found["notices.quiet_until_h"])),
        per_hour=int(found["notices.per_hour"]), digest_from=int(found["notices.digest_from"]),
        most_attempts=int(found["notices.most_attempts"]),
    )  # fmt: skip


def _resume(settings: Settings, database: Database, **asked: object) -> Actor | None:
    return accounts_service.resume(database, **asked, idle_min=settings.session_idle_min, language=language())  # type: ignore[arg-type]


def shell(database: Database, settings: Settings) -> Shell:
    """Return the parts that every request needs."""
    return Shell(database, settings, functools.partial(_resume, settings), MENU)


NOT_OVER = frozenset(OrderState) - DRIVEN - {OrderState.OUTSOURCED}
"""An order in these states has nothing to be charged for yet."""


def register(app: Flask) -> None:
    """Plug the slices' pages, APIs and commands into an application."""
    import fleetapp.accounts.api
    import fleetapp.accounts.views
    import fleetapp.acquisitions.api
    import fleetapp.acquisitions.views
    import fleetapp.applications.api
    import fleetapp.applications.desk
    import fleetapp.applications.views
    import fleetapp.approvals.api
    import fleetapp.approvals.views
    import fleetapp.attachments.views
    import fleetapp.audit.cli
    import fleetapp.audit.views
    import fleetapp.confirmations.api
    import fleetapp.confirmations.views
    import fleetapp.costs.api
    import fleetapp.costs.views
    import fleetapp.demo.cli
    import fleetapp.disposal.api
    import fleetapp.disposal.views
    import fleetapp.dossier.api
    import fleetapp.dossier.views
    import fleetapp.drivers.api
    import fleetapp.drivers.views
    import fleetapp.duty.api
    import fleetapp.duty.views
    import fleetapp.emergency.api
    import fleetapp.emergency.desk
    import fleetapp.emergency.views
    import fleetapp.energy.api
    import fleetapp.energy.views
    import fleetapp.findings.api
    import fleetapp.findings.views
    import fleetapp.ledgers.api
    import fleetapp.ledgers.views
    import fleetapp.notices.api
    import fleetapp.notices.care
    import fleetapp.notices.views
    import fleetapp.occasions.api
    import fleetapp.occasions.views
    import fleetapp.orders.api
    import fleetapp.orders.desk
    import fleetapp.orders.views
    import fleetapp.places.api
    import fleetapp.places.views
    import fleetapp.planning.api
    import fleetapp.planning.cli
    import fleetapp.planning.slips
    import fleetapp.planning.views
    import fleetapp.policies.api
    import fleetapp.policies.views
    import fleetapp.pool.api
    import fleetapp.pool.desk
    import fleetapp.pool.views
    import fleetapp.pricing.api
    import fleetapp.pricing.views
    import fleetapp.renewal.api
    import fleetapp.renewal.views
    import fleetapp.reports.api
    import fleetapp.reports.views
    import fleetapp.reserves.api
    import fleetapp.reserves.views
    import fleetapp.seals.api
    import fleetapp.seals.views
    import fleetapp.settlement.api
    import fleetapp.settlement.views
    import fleetapp.sharing.api
    import fleetapp.tracking.api
    import fleetapp.tracking.views
    import fleetapp.trips.api
    import fleetapp.trips.views
    import fleetapp.upkeep.api
    import fleetapp.upkeep.desk
    import fleetapp.upkeep.views
    import fleetapp.vehicles.api
    import fleetapp.vehicles.views
    import fleetapp.workdays.api

    for views in (
        fleetapp.accounts.views,
        fleetapp.acquisitions.views,
        fleetapp.applications.desk,
        fleetapp.applications.views,
        fleetapp.approvals.views,
        fleetapp.attachments.views,
        fleetapp.audit.views,
        fleetapp.confirmations.views,
        fleetapp.costs.views,
        fleetapp.disposal.views,
        fleetapp.dossier.views,
        fleetapp.drivers.views,
        fleetapp.duty.views,
        fleetapp.emergency.desk,
        fleetapp.emergency.views,
        fleetapp.energy.views,
        fleetapp.findings.views,
        fleetapp.ledgers.views,
        fleetapp.occasions.views,
        fleetapp.notices.care,
        fleetapp.notices.views,
        fleetapp.orders.desk,
        fleetapp.orders.views,
        fleetapp.places.views,
        fleetapp.planning.slips,
        fleetapp.planning.views,
        fleetapp.policies.views,
        fleetapp.pool.desk,
        fleetapp.pool.views,
        fleetapp.pricing.views,
        fleetapp.renewal.views,
        fleetapp.reports.views,
        fleetapp.reserves.views,
        fleetapp.seals.views,
        fleetapp.settlement.views,
        fleetapp.tracking.views,
        fleetapp.trips.views,
        fleetapp.upkeep.desk,
        fleetapp.upkeep.views,
        fleetapp.vehicles.views,
    ):
        app.register_blueprint(views.blueprint)
    api = web_api.init_app(app)
    for endpoints in (
        fleetapp.accounts.api,
        fleetapp.acquisitions.api,
        fleetapp.confirmations.api,
        fleetapp.applications.api,
        fleetapp.approvals.api,
        fleetapp.costs.api,
        fleetapp.disposal.api,
        fleetapp.dossier.api,
        fleetapp.drivers.api,
        fleetapp.duty.api,
        fleetapp.emergency.api,
        fleetapp.energy.api,
        fleetapp.findings.api,
        fleetapp.ledgers.api,
        fleetapp.occasions.api,
        fleetapp.notices.api,
        fleetapp.orders.api,
        fleetapp.places.api,
        fleetapp.planning.api,
        fleetapp.policies.api,
        fleetapp.pool.api,
        fleetapp.pricing.api,
        fleetapp.renewal.api,
        fleetapp.reports.api,
        fleetapp.reserves.api,
        fleetapp.seals.api,
        fleetapp.settlement.api,
        fleetapp.sharing.api,
        fleetapp.tracking.api,
        fleetapp.trips.api,
        fleetapp.upkeep.api,
        fleetapp.vehicles.api,
        fleetapp.workdays.api,
    ):
        api.register_blueprint(endpoints.blueprint)
    early = {
        OrderState.SUBMITTED,
        OrderState.APPROVING,
        OrderState.SENT_BACK,
        OrderState.REJECTED,
        OrderState.WITHDRAWN,
    }
    panel = fleetapp.orders.views.Panel
    fleetapp.orders.views.PANELS[:] = [
        panel("desk.panel", "approvals.chain"),
        panel("sharing.order_card", "pool.panel", hidden=frozenset(early)),
        panel("papers.panel", "applications.panel"),
        panel("confirmations.panel", "confirmations.title", "orders.read", hidden=NOT_OVER),
        panel("settlement.panel", "settlement.panel", hidden=NOT_OVER),
    ]
    for commands in (fleetapp.audit.cli, fleetapp.demo.cli, fleetapp.planning.cli):
        app.cli.add_command(commands.group)
