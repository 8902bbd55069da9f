"""Which way a disposal goes and what each step must state: values in, values or ``RuleBroken`` out.

Sources: 党政机关公务用车管理办法 (中办发〔2017〕71号), Art. 22: renewed cars are auctioned, bought back by the maker or scrapped, the
income is non-tax revenue; 机动车强制报废标准规定 (2013).
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken


class Mode(StrEnum):
    """What becomes of the vehicle."""

    TRANSFER = "transfer"
    AUCTION = "auction"
    BUYBACK = "buyback"
    SCRAP = "scrap"


class DisposalState(StrEnum):
    """Where a case stands."""

    REQUESTED = "REQUESTED"
    APPRAISED = "APPRAISED"
    APPROVED = "APPROVED"
    DEALT = "DEALT"
    REMITTED = "REMITTED"
    DEREGISTERED = "DEREGISTERED"
    ARCHIVED = "ARCHIVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


class DisposalAction(StrEnum):
    """What moves a case."""

    WITHDRAW = "withdraw"
    APPRAISE = "appraise"
    REJECT = "reject"
    APPROVE = "approve"
    DEAL = "deal"
    HAND_OVER = "hand_over"
    REMIT = "remit"
    DEREGISTER = "deregister"
    ARCHIVE = "archive"


_S, _A = DisposalState, DisposalAction
TRANSITIONS: Mapping[tuple[DisposalState, DisposalAction], DisposalState] = {
    (_S.REQUESTED, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.REQUESTED, _A.APPRAISE): _S.APPRAISED,
    (_S.REQUESTED, _A.REJECT): _S.REJECTED,
    (_S.APPRAISED, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.APPRAISED, _A.APPROVE): _S.APPROVED,
    (_S.APPRAISED, _A.REJECT): _S.REJECTED,
    (_S.APPROVED, _A.DEAL): _S.DEALT,
    (_S.APPROVED, _A.HAND_OVER): _S.ARCHIVED,
    (_S.DEALT, _A.REMIT): _S.REMITTED,
    (_S.REMITTED, _A.DEREGISTER): _S.DEREGISTERED,
    (_S.DEREGISTERED, _A.ARCHIVE): _S.ARCHIVED,
}
"""Sold or scrapped vehicles take the long way; one transferred to another unit is handed over and stays in the fleet."""
LIVING = frozenset(DisposalState) - {_S.ARCHIVED, _S.REJECTED, _S.WITHDRAWN}
CLOSED_WITHOUT = frozenset([_S.REJECTED, _S.WITHDRAWN])


def next_state(state: str, action: DisposalAction, mode: str) -> DisposalState:
    """Return where an action leads.

    :raises RuleBroken: ``disposal.wrong_step``, also for a sale of what is to be transferred and the reverse.
    """
    after = TRANSITIONS.get((DisposalState(state), action))
    wrong_mode = (action is _A.HAND_OVER and mode != Mode.TRANSFER) or (action is _A.DEAL and mode == Mode.TRANSFER)
    if after is None or wrong_mode:
        raise RuleBroken("disposal.wrong_step", state=state)
    return after


def check_age(*, mode: Mode, registered_on: date, on: date, min_years: Decimal, special_approval: str | None) -> None:
    """Refuse to give up a vehicle that is not older than the renewal age without a special approval.

    A transfer keeps it in use, so no age is asked for.

    :raises RuleBroken: ``disposal.too_young``.
    """
    years = Decimal((on - registered_on).days) / Decimal("365.25")
    if mode is not Mode.TRANSFER and years <= min_years and not special_approval:
        raise RuleBroken("disposal.too_young", years=f"{years:.1f}", least=f"{min_years:f}".rstrip("0").rstrip("."))


def check_deal(*, mode: Mode, reserve_price: Decimal | None, deal_price: Decimal, licence_no: str | None) -> None:
    """Refuse an auction below its reserve price and scrapping by whoever has no licence.

    :raises RuleBroken: ``disposal.below_reserve``, ``disposal.licence_needed``.
    """
    if mode is Mode.AUCTION and (reserve_price is None or deal_price < reserve_price):
        raise RuleBroken("disposal.below_reserve", reserve="–" if reserve_price is None else f"{reserve_price:,.2f}")
    if mode is Mode.SCRAP and not licence_no:
        raise RuleBroken("disposal.licence_needed")


def proceeds(deal_price: Decimal, allowed_fees: Decimal) -> Decimal:
    """Return what is remitted: the price less the fees that are allowed.

    :raises RuleBroken: ``disposal.fees``, more fees than price.
    """
    if allowed_fees < 0 or allowed_fees > deal_price:
        raise RuleBroken("disposal.fees", price=f"{deal_price:,.2f}")
    return deal_price - allowed_fees
