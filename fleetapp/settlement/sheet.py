"""A statement as rows: what the page, the workbook and the PDF all show, and what they add up to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.orders.rules import OrderKind
from fleetapp.pricing.rules import PASSED_ON, ZERO, Item
from fleetapp.settlement import queries
from fleetapp.settlement.models import Adjustment, Charge, Statement


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a statement, CNY: a journey, or a correction of one, which has only its amount."""

    seq: int
    order_no: str
    at: datetime
    plate: str
    reason: str
    distance_m: int | None
    service: Decimal
    toll: Decimal
    parking: Decimal
    charge: Charge | None = None
    adjustment: Adjustment | None = None

    @property
    def amount(self) -> Decimal:
        """What the line comes to."""
        return self.service + self.toll + self.parking


@dataclass(frozen=True, slots=True)
class Sheet:
    """A statement with its rows."""

    statement: Statement
    rows: Sequence[Row]
    by_item: dict[Item, Decimal]
    corrected: Decimal

    def sum(self, part: str) -> Decimal:
        """Return the sum of a column of money: ``service``, ``toll``, ``parking`` or ``amount``."""
        return sum((getattr(row, part) for row in self.rows), ZERO)

    @property
    def distance_m(self) -> int:
        """Metres of all journeys."""
        return sum(row.distance_m or 0 for row in self.rows)


def of(session: Session, statement: Statement) -> Sheet:
    """Return a statement's journeys in their order, then its corrections by number.

    The reason of a confidential journey is not for the unit that is paid, so it stands on no sheet.
    """
    charges = queries.charges_of(session, statement_id=statement.id)
    corrections = queries.adjustments_of(session, statement_id=statement.id)
    rows = [_journey(number, one) for number, one in enumerate(charges, start=1)]
    rows += [
        Row(
            number,
            one.charge.order.number if one.charge.order else "",
            one.made_at,
            one.number,
            one.reason,
            None,
            one.amount,
            ZERO,
            ZERO,
            adjustment=one,
        )
        for number, one in enumerate(corrections, start=len(rows) + 1)
    ]
    by_item: dict[Item, Decimal] = {}
    for one in charges:
        for line in one.lines:
            by_item[Item(line.item)] = by_item.get(Item(line.item), ZERO) + line.amount
    ordered = {item: by_item[item] for item in Item if item in by_item}
    return Sheet(statement, rows, ordered, sum((one.amount for one in corrections), ZERO))


def _journey(number: int, one: Charge) -> Row:
    passed = {line.item: line.amount for line in one.lines if line.item in PASSED_ON}
    toll, parking = passed.get(Item.TOLL, ZERO), passed.get(Item.PARKING, ZERO)
    secret = one.order is None or one.order.kind == OrderKind.CONFIDENTIAL
    return Row(
        number, one.order.number if one.order else str(one.order_id), one.start_at, one.vehicle.plate if one.vehicle else "–",
        "–" if secret else one.order.reason, one.distance_m, one.amount - toll - parking, toll, parking, charge=one,
    )  # fmt: skip
