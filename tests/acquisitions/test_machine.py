"""The whole chain in any order: quota, indicator, budget, purchase, registration, transfer and disposal keep the quota identity.

A model of plain numbers runs beside the services on a real database; after every step both agree on every unit's free places,
and no step that the model forbids succeeds.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text

from fleetapp import wiring
from fleetapp.accounts.queries import get_org_by_code
from fleetapp.acquisitions import purchase, queries, service
from fleetapp.acquisitions.rules import IndicatorAction, IndicatorKind
from fleetapp.disposal import service as disposal
from fleetapp.disposal.rules import Mode
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.kit.errors import FleetError
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.acquisitions.conftest import APPROVER, REVIEWER, Chain
from tests.conftest import NOW
from tests.serving import furnish

CLASS = "YJBZ"
UNITS = {"330106-EDU": "unit_admin.xhedu", "330106-HEALTH": "unit_admin.xhhealth"}
NAMES = {}
MANAGER, SECOND = "fleet_manager.city", "finance.city"


@dataclass
class Sought:
    """An indicator in the model."""

    unit: str
    kind: IndicatorKind
    old: "Car | None" = None
    state: str = "REVIEWED"


@dataclass(eq=False)
class Car:
    """A vehicle in the model."""

    id: int
    unit: str
    rented: bool = False
    retired: bool = False
    going: bool = False


@dataclass
class Model:
    """What the units hold, in plain numbers."""

    quota: dict[str, int] = field(default_factory=lambda: dict.fromkeys(UNITS, 0))
    cars: list[Car] = field(default_factory=list)
    sought: dict[int, Sought] = field(default_factory=dict)

    def free(self, unit: str) -> int:
        held = sum(car.unit == unit and not car.retired and not car.rented for car in self.cars)
        reserved = sum(
            one.unit == unit and one.state == "APPROVED" and one.kind is not IndicatorKind.RENTAL
            for one in self.sought.values()
        )
        leaving = sum(
            one.unit == unit and one.state in {"APPROVED", "USED"} and one.old is not None and one.old.unit == unit and not one.old.retired
            for one in self.sought.values()
        )  # fmt: skip
        return self.quota[unit] - held - reserved + leaving


class Life(RuleBasedStateMachine):
    """Officers who do anything the services let them do."""

    applications = Bundle("applications")
    approved = Bundle("approved")
    bought = Bundle("bought")
    cars = Bundle("cars")
    cases = Bundle("cases")
    connection = None
    approvals = 0

    def __init__(self):
        super().__init__()
        self.outer = self.connection.begin_nested()
        self.database = Database(self.connection, wiring.CONSTRAINT_ERRORS)
        self.chain, self.model, self.serial = Chain(self.database, NOW), Model(), 0
        self.refused = ""
        with self.database.transaction(SYSTEM) as session:
            for car in session.scalars(select(Vehicle).where(Vehicle.category == CLASS)):
                if car.org.code in UNITS:
                    self.model.cars.append(Car(car.id, car.org.code))
            for code in UNITS:
                NAMES[code] = get_org_by_code(session, code=code).name_zh
        for code in UNITS:
            self.model.quota[code] = sum(car.unit == code for car in self.model.cars) + 1
            self.chain.quota(self.model.quota[code], unit=code)

    def teardown(self):
        self.outer.rollback()

    def does(self, username, function, **given):
        """Return what a step gives, or None when it is refused."""
        who = world.actor(self.database, username)
        try:
            with self.database.transaction(who) as session:
                made = function(session, actor=who, now=NOW, **given)
                return made.id if hasattr(made, "id") else made
        except FleetError as error:
            self.refused = str(error)
            return None

    def reviewed(self, unit, **given):
        """Return an application that passed its review; one that does not is rejected, so that it is in nobody's way."""
        try:
            made = self.chain.apply(username=UNITS[unit], **given)
        except FleetError:
            return None
        self.chain.step(made, IndicatorAction.SUBMIT, UNITS[unit])
        try:
            self.chain.step(made, IndicatorAction.REVIEW, REVIEWER)
        except FleetError:
            self.chain.step(made, IndicatorAction.REJECT, REVIEWER, "不符合条件")
            return None
        return made

    @rule(target=cars)
    def existing(self):
        return multiple(*[car for car in self.model.cars if not car.going])

    @rule(unit=st.sampled_from(sorted(UNITS)), delta=st.integers(-2, 3))
    def change_quota(self, unit, delta):
        with self.database.transaction(SYSTEM) as session:
            org_id = get_org_by_code(session, code=unit).id
        made = self.does(
            REVIEWER,
            service.change_quota,
            org_id=org_id,
            category=CLASS,
            delta=delta,
            effective_on=date(2026, 1, 1),
            document_no="编1",
        )
        assert (made is not None) is (delta != 0 and self.model.quota[unit] + delta >= 0)
        self.model.quota[unit] += delta if made is not None else 0

    @rule(
        target=applications,
        unit=st.sampled_from(sorted(UNITS)),
        kind=st.sampled_from([IndicatorKind.NEW, IndicatorKind.TRANSFER, IndicatorKind.RENTAL]),
    )
    def apply(self, unit, kind):
        made = self.reviewed(unit, kind=kind)
        if made is None:  # the check list names the missing place already
            assert self.model.free(unit) < 1
            return multiple()
        self.model.sought[made] = Sought(unit, kind)
        return made

    @rule(target=applications, car=cars)
    def apply_for_renewal(self, car):
        if car.retired:
            return multiple()
        made = self.reviewed(car.unit, kind=IndicatorKind.RENEWAL, old_vehicle_id=car.id)
        if made is None:
            taken = any(
                one.old is car and one.state in {"REVIEWED", "APPROVED", "USED"} for one in self.model.sought.values()
            )
            assert taken or car.rented or self.model.free(car.unit) < 0
            return multiple()
        self.model.sought[made] = Sought(car.unit, IndicatorKind.RENEWAL, car)
        return made

    @rule(target=approved, indicator=consumes(applications))
    def approve(self, indicator):
        one = self.model.sought[indicator]
        own = one.old is not None and one.old.unit == one.unit and not one.old.retired
        allowed = one.kind is IndicatorKind.RENTAL or self.model.free(one.unit) + own >= 1
        try:
            self.chain.step(indicator, IndicatorAction.APPROVE, APPROVER)
        except FleetError:
            assert one.kind is IndicatorKind.RENTAL or not allowed
            return multiple()
        assert allowed
        Life.approvals += 1
        one.state = "APPROVED"
        return indicator

    @rule(indicator=approved)
    def cancel(self, indicator):
        one = self.model.sought[indicator]
        done = self.does(
            REVIEWER, service.advance, indicator_id=indicator, action=IndicatorAction.CANCEL, note="不再需要"
        )
        if done is not None:
            assert one.state == "APPROVED", "a place was given back twice"
            one.state = "CANCELLED"

    @rule(target=bought, indicator=approved)
    def buy(self, indicator):
        self.does(
            SECOND,
            service.add_budget,
            indicator_id=indicator,
            amount=Decimal("150000.00"),
            fiscal_year=2026,
            document_no="财1",
        )
        opened = self.does(
            REVIEWER,
            purchase.open_purchase,
            indicator_id=indicator,
            model="示例轿车",
            domestic=True,
            displacement_ml=None,
        )
        if opened is None:
            return multiple()
        one = self.model.sought[indicator]
        assert one.state == "APPROVED"
        assert one.kind is not IndicatorKind.TRANSFER
        return (indicator, opened)

    @rule(target=cars, purchase_=consumes(bought))
    def take_delivery(self, purchase_):
        indicator, opened = purchase_
        one = self.model.sought[indicator]
        self.serial += 1
        vin = world.with_check_digit(f"LSVAA11Z0M3{self.serial:06d}")
        second = world.user_id(self.database, MANAGER)
        for function, given in (
            (
                purchase.contract,
                {
                    "contract_no": f"HT-{opened}",
                    "contract_on": date(2026, 11, 10),
                    "price": Decimal("150000.00"),
                    "supplier": "供应商",
                },
            ),
            (purchase.deliver, {"vin": vin, "engine_no": None}),
            (purchase.accept, {"vin": vin, "second_acceptor_id": second, "no_extras": True}),
        ):
            done = self.does(REVIEWER, function, procurement_id=opened, **given)
            if one.state != "APPROVED":  # it expired while the purchase was open
                assert done is None
                return multiple()
            assert done is not None, self.refused
        made = self.does(REVIEWER, purchase.register, procurement_id=opened, plate=f"浙AD{90000 + self.serial}", registered_on=date(2026, 11, 17),
                         owner_name=NAMES[one.unit], seats=5, range_km=400)  # fmt: skip
        assert made is not None
        one.state = "USED"
        car = Car(made, one.unit, rented=one.kind is IndicatorKind.RENTAL)
        self.model.cars.append(car)
        return multiple()  # it is being prepared: nothing to dispose of yet

    @rule(target=cases, car=cars, mode=st.sampled_from([Mode.AUCTION, Mode.TRANSFER]))
    def dispose(self, car, mode):
        other = next(unit for unit in UNITS if unit != car.unit)
        with self.database.transaction(SYSTEM) as session:
            receiver = get_org_by_code(session, code=other).id if mode is Mode.TRANSFER else None
        made = self.does(
            UNITS[car.unit], disposal.ask, vehicle_id=car.id, mode=mode, reason="车辆老旧", receiver_org_id=receiver
        )
        assert (made is not None) is (not car.going and not car.retired), self.refused
        if made is None:
            return multiple()
        car.going = True
        price = Decimal("9000.00") if mode is Mode.AUCTION else None
        self.does(
            REVIEWER,
            disposal.appraise,
            case_id=made,
            appraised_value=Decimal("9000.00"),
            appraiser="评估",
            reserve_price=price,
        )
        assert (
            self.does(APPROVER, disposal.decide, case_id=made, approve=True, note="同意", approval_no="批1") is not None
        )
        return (made, car, mode, other)

    @rule(case=consumes(cases))
    def finish(self, case):
        made, car, mode, other = case
        if mode is Mode.TRANSFER:
            waiting = [
                one
                for one in self.model.sought.values()
                if (one.unit, one.kind, one.state) == (other, IndicatorKind.TRANSFER, "APPROVED")
            ]
            handed = self.does(REVIEWER, disposal.hand_over, case_id=made)
            assert (handed is not None) is bool(waiting)
            if handed is not None:
                waiting[0].state, car.unit, car.going = "USED", other, False
            return
        assert (
            self.does(
                REVIEWER,
                disposal.deal,
                case_id=made,
                deal_on=NOW.date(),
                deal_price=Decimal("9500.00"),
                buyer="竞得单位",
            )
            is not None
        )
        assert (
            self.does(
                SECOND,
                disposal.remit,
                case_id=made,
                allowed_fees=Decimal("500.00"),
                remitted_on=NOW.date(),
                receipt_no="票1",
            )
            is not None
        )
        checked = {"marking_removed": True, "cards_cancelled": True, "insurance_ended": True}
        assert (
            self.does(
                REVIEWER, disposal.deregister, case_id=made, certificate_no="注1", deregistered_on=NOW.date(), **checked
            )
            is not None
        )
        car.retired = True
        assert self.does(REVIEWER, disposal.archive, case_id=made) is not None

    @rule()
    def next_year(self):
        """Every indicator without a contract expires, and gives its place back once."""
        with self.database.transaction(SYSTEM) as session:
            contracted = set(
                session.scalars(text("SELECT indicator_id FROM procurement WHERE state NOT IN ('OPEN', 'CANCELLED')"))
            )
            service.expire(session, now=NOW + timedelta(days=60))
        for indicator, one in self.model.sought.items():
            if one.state == "APPROVED" and indicator not in contracted:
                one.state = "EXPIRED"

    @invariant()
    def both_agree_on_every_place(self):
        with self.database.transaction(SYSTEM) as session:
            found = queries.matrix(session, actor=SYSTEM, on=date(2026, 11, 18))
            for org, row in found.items():
                if org.code in UNITS:
                    free = session.scalar(
                        text("SELECT quota_free(:org, :class, DATE '2026-11-18')"), {"org": org.id, "class": CLASS}
                    )
                    assert row[CLASS].free == free == self.model.free(org.code)


@pytest.fixture
def furnished(database_url):
    """A connection to a furnished database whose vehicles are all old enough; nothing of it stays."""
    engine = make_engine(database_url)
    with engine.connect() as connection:
        outer = connection.begin()
        database = Database(connection, wiring.CONSTRAINT_ERRORS)
        furnish(database, NOW)
        with database.transaction(SYSTEM) as session:
            session.execute(text("UPDATE vehicle SET registered_on = DATE '2010-01-01'"))
        yield connection
        outer.rollback()
    engine.dispose()


def test_the_quota_identity_holds_over_the_whole_chain(furnished):
    Life.connection, Life.approvals = furnished, 0
    limits = settings(max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Life, settings=limits)
    assert Life.approvals > 0
