"""The ledgers as tables of columns: template, check, import and export all follow these."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from fleetapp.acquisitions.rules import Step
from fleetapp.ledgers.rules import Column, Kind, LedgerKind
from fleetapp.vehicles.rules import Acquired, Body, Category, Energy, ManagementMode, Secrecy

TENTH = Decimal("0.1")


def _choice(
    key: str, values: type[StrEnum], prefix: str, width: float = 12, *, required: bool = False, told: bool = False
) -> Column:
    return Column(key, Kind.CHOICE, width, required, tuple(value.value for value in values), prefix, told)


UNIT = (
    Column("org_code", Kind.CODE, 16, required=True, most=40),
    Column("org_name", Kind.TEXT, 24),
)
VEHICLES = (
    *UNIT,
    Column("plate", Kind.CODE, 12, required=True, most=12),
    Column("vin", Kind.CODE, 21, required=True, most=40),
    _choice("category", Category, "vehicles.category", 16, required=True),
    _choice("body", Body, "vehicles.body", required=True),
    _choice("energy", Energy, "vehicles.energy", required=True),
    Column("seats", Kind.WHOLE, 9, required=True, least=1, most=60),
    Column("model", Kind.TEXT, 24, required=True),
    Column("displacement_ml", Kind.DISPLACEMENT, 11, least=1, most=20_000),
    Column("engine_no", Kind.CODE, 16, most=40),
    Column("price_ex_tax", Kind.MONEY, 14, most=9_999_999_999),
    Column("purchase_tax", Kind.MONEY, 13, most=9_999_999_999),
    _choice("step", Step, "ledgers.step", 12),
    Column("registered_on", Kind.DATE, 13, required=True),
    _choice("acquired_by", Acquired, "vehicles.acquired"),
    Column("acquired_on", Kind.DATE, 13),
    Column("made_on", Kind.DATE, 13),
    Column("domestic", Kind.FLAG, 8),
    _choice("management_mode", ManagementMode, "vehicles.mode"),
    _choice("secrecy", Secrecy, "vehicles.secrecy"),
    Column("range_km", Kind.WHOLE, 12, least=1, most=2000),
    Column("battery_kwh", Kind.TENTHS, 12, least=TENTH, most=9999),
    Column("tank_l", Kind.TENTHS, 11, least=TENTH, most=9999),
    Column("fuel_grade", Kind.CODE, 10, most=20),
    Column("colour", Kind.TEXT, 8, most=20),
    Column("parking", Kind.TEXT, 22, most=120),
    Column("terminal_phone", Kind.CODE, 16, most=40),
    Column("odometer_m", Kind.KM, 13, most=5_000_000),
    Column("state", Kind.TEXT, 9, told=True),
)
QUOTAS = (
    *UNIT,
    _choice("category", Category, "vehicles.category", 18, required=True),
    Column("quota", Kind.WHOLE, 11, required=True, most=100_000),
    Column("held", Kind.WHOLE, 9, told=True),
    Column("free", Kind.WHOLE, 11, told=True),
    Column("effective_on", Kind.DATE, 14),
    Column("document_no", Kind.TEXT, 26, most=120),
)
COLUMNS: Mapping[LedgerKind, tuple[Column, ...]] = {LedgerKind.VEHICLES: VEHICLES, LedgerKind.QUOTAS: QUOTAS}
FAULTS = Column("faults", Kind.TEXT, 60, told=True)
"""The column that a checked file is returned with; it may come back and is not read."""
