"""What is offered to whom, who comes first, and which way requests and loans go: values in, values or ``RuleBroken`` out."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders.rules import OrderKind


class RequestState(StrEnum):
    """Where a request stands; PENDING ones have a time by which the answer is due."""

    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class RequestAction(StrEnum):
    """What moves a request."""

    ACCEPT = "accept"
    DECLINE = "decline"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"


class LoanState(StrEnum):
    """Where a loan stands; AGREED and RECALLED ones are living: the borrower has the vehicle in view."""

    AGREED = "AGREED"
    RECALLED = "RECALLED"
    CALLED_OFF = "CALLED_OFF"
    RETURNED = "RETURNED"
    ENDED = "ENDED"


class LoanAction(StrEnum):
    """What moves a loan."""

    RECALL = "recall"
    CALL_OFF = "call_off"
    GIVE_BACK = "give_back"
    END = "end"


class FallbackKind(StrEnum):
    """How a journey is served without an official vehicle."""

    PUBLIC_TRANSPORT = "public_transport"
    RENTAL = "rental"
    RIDE_HAILING = "ride_hailing"


class FallbackReason(StrEnum):
    """Why no official vehicle serves it."""

    NONE_FREE = "none_free"
    NONE_SUITABLE = "none_suitable"
    NO_DRIVER = "no_driver"
    DECLINED = "declined"
    CHEAPER = "cheaper"


class Way(StrEnum):
    """How a vehicle comes to serve a unit."""

    OWN = "own"
    POOL = "pool"
    OFFER = "offer"
    LOAN = "loan"


REQUESTS: Mapping[tuple[RequestState, RequestAction], RequestState] = {
    (RequestState.PENDING, RequestAction.ACCEPT): RequestState.ACCEPTED,
    (RequestState.PENDING, RequestAction.DECLINE): RequestState.DECLINED,
    (RequestState.PENDING, RequestAction.WITHDRAW): RequestState.WITHDRAWN,
    (RequestState.PENDING, RequestAction.EXPIRE): RequestState.EXPIRED,
}
LOANS: Mapping[tuple[LoanState, LoanAction], LoanState] = {
    (LoanState.AGREED, LoanAction.RECALL): LoanState.RECALLED,
    (LoanState.AGREED, LoanAction.CALL_OFF): LoanState.CALLED_OFF,
    (LoanState.AGREED, LoanAction.GIVE_BACK): LoanState.RETURNED,
    (LoanState.AGREED, LoanAction.END): LoanState.ENDED,
    (LoanState.RECALLED, LoanAction.GIVE_BACK): LoanState.RETURNED,
    (LoanState.RECALLED, LoanAction.END): LoanState.ENDED,
}
LIVING = frozenset({LoanState.AGREED, LoanState.RECALLED})
URGENT, ORDINARY = 1, 3
"""Priorities: the lower number is answered first."""
LONGEST_LOAN = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a unit said about a vehicle: for whom (a tree path, ``/`` for all), when and with what notice.

    ``weekdays`` are ISO days (1 Monday); the hours ``[from_time, to_time)`` are the office's, ``to_time`` None is midnight;
    the days ``[valid_from, valid_to)``.
    """

    to_path: str
    weekdays: frozenset[int]
    from_time: time
    to_time: time | None
    valid_from: date
    valid_to: date | None
    notice: timedelta
    priority: int = ORDINARY

    def covers(self, window: Span) -> bool:
        """Tell whether the offer stands over all of a window; one of several days needs whole days."""
        first, last = clock.local(window.start), clock.local(window.end - timedelta(microseconds=1))
        days = [first.date() + timedelta(days=n) for n in range((last.date() - first.date()).days + 1)]
        if any(
            day < self.valid_from or (self.valid_to and day >= self.valid_to) or day.isoweekday() not in self.weekdays
            for day in days
        ):
            return False
        whole_day = self.from_time == time(0) and self.to_time is None
        opens = len(days) == 1 or whole_day
        return opens and first.time() >= self.from_time and (self.to_time is None or last.time() < self.to_time)


@dataclass(frozen=True, slots=True)
class Loan:
    """A vehicle lent over ``span`` to a part of the tree, with the holder's driver or without one."""

    id: int
    to_org_id: int
    to_path: str
    span: Span
    driver_id: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a vehicle may serve a unit: ``way`` and no ``code``, or the ``code`` of what is in the way."""

    way: Way | None
    code: str | None = None
    loan: Loan | None = None


# ---- who lends to whom ------------------------------------------------------------------------------------------------


def pool_of(path: str, districts: Collection[str]) -> str:
    """Return the tree path of the level an organisation belongs to: its district, else the city.

    >>> pool_of("/1/4/17/", ["/1/4/"]), pool_of("/1/3/", ["/1/4/"])
    ('/1/4/', '/1/')
    """
    above = [district for district in districts if path.startswith(district)]
    return max(above, key=len) if above else f"/{path.split('/')[1]}/"


def lends(*, holder_path: str, holder_is_operator: bool, unit_path: str, districts: Collection[str]) -> bool:
    """Tell whether a holder that has said nothing lends to a unit.

    Units of one district lend to each other, so do the city's own units; an operator serves everybody of its level
    and below. Anything farther needs an offer, a loan or a dispatcher's decision.
    """
    pool = pool_of(holder_path, districts)
    return pool_of(unit_path, districts) == pool or (holder_is_operator and unit_path.startswith(pool))


def home_of(*, holder_path: str, holder_is_operator: bool, districts: Collection[str]) -> str:
    """Return the part of the tree with first call on a holder's vehicles: itself and below; an operator's whole level."""
    return pool_of(holder_path, districts) if holder_is_operator else holder_path


def answer(
    *, home_path: str, unit_path: str, by_default: bool, offers: Sequence[Offer], loans: Sequence[Loan], window: Span,
    held: Span, now: datetime, home_waits: bool = False,
) -> Answer:  # fmt: skip
    """Tell whether a vehicle may serve a unit's order over ``window``; ``held`` is the window with its buffers.

    A loan stands above all, also above the holder's own orders: codes ``lent_elsewhere``, ``loan_ends``. Then the home unit.
    What was offered decides for everybody else (``lending`` outside it, ``home_first`` while the home unit's own orders wait
    for such a vehicle, ``offer_notice``); a holder without any offer of the vehicle lends as ever (``by_default``).
    """
    over = [loan for loan in loans if loan.span.overlaps(held)]
    ours = [loan for loan in over if unit_path.startswith(loan.to_path)]
    for loan in ours:
        if loan.span.start <= window.start and window.end <= loan.span.end:
            return Answer(Way.LOAN, loan=loan)
    if over:
        return Answer(None, "loan_ends" if ours else "lent_elsewhere")
    if unit_path.startswith(home_path):
        return Answer(Way.OWN)
    if not offers:
        return Answer(Way.POOL) if by_default else Answer(None, "lending")
    standing = [offer for offer in offers if unit_path.startswith(offer.to_path) and offer.covers(window)]
    if not standing:
        return Answer(None, "lending")
    if home_waits:
        return Answer(None, "home_first")
    if all(now + offer.notice > window.start for offer in standing):
        return Answer(None, "offer_notice")
    return Answer(Way.OFFER)


def may_answer(*, asked_path: str, holder_path: str, offers: Sequence[Offer], asker_path: str, window: Span,
               districts: Collection[str]) -> bool:  # fmt: skip
    """Tell whether whoever was asked may lend a vehicle: one of its own level, or one whose holder offered it to the asker."""
    if asked_path in districts or asked_path == pool_of(asked_path, districts):
        own = pool_of(holder_path, districts) == asked_path
    else:
        own = holder_path.startswith(asked_path)
    return own or any(asker_path.startswith(offer.to_path) and offer.covers(window) for offer in offers)


# ---- requests and loans -----------------------------------------------------------------------------------------------


def next_request(state: RequestState | str, action: RequestAction | str) -> RequestState:
    """Return where an action leads a request.

    :raises RuleBroken: ``sharing.wrong_step``.
    """
    found = REQUESTS.get((RequestState(state), RequestAction(action)))
    if found is None:
        raise RuleBroken("sharing.wrong_step", state=str(state))
    return found


def next_loan(state: LoanState | str, action: LoanAction | str) -> LoanState:
    """Return where an action leads a loan.

    :raises RuleBroken: ``sharing.wrong_step``.
    """
    found = LOANS.get((LoanState(state), LoanAction(action)))
    if found is None:
        raise RuleBroken("sharing.wrong_step", state=str(state))
    return found


def priority_of(kind: str | None) -> int:
    """Return how soon a request for an order of a kind is answered: emergencies first."""
    return URGENT if kind == OrderKind.EMERGENCY else ORDINARY


def check_span(span: Span, now: datetime) -> None:
    """Refuse a span that has begun or is too long.

    :raises RuleBroken: ``sharing.over``, ``sharing.too_long``.
    """
    if span.end <= now:
        raise RuleBroken("sharing.over")
    if span.end - span.start > LONGEST_LOAN:
        raise RuleBroken("sharing.too_long", days=LONGEST_LOAN.days)


def reply_by(span: Span, now: datetime, timer: timedelta) -> datetime:
    """Return when the answer is due: after the timer, and never after the vehicle is needed, but not at once."""
    return max(min(now + timer, span.start), now + timedelta(minutes=10))


def check_recall(span: Span, at: datetime, *, now: datetime, notice: timedelta) -> None:
    """Refuse to call a vehicle back without the notice, or when the loan is over by then.

    :raises RuleBroken: ``sharing.recall_notice``, ``sharing.recall_late``.
    """
    if at < now.replace(second=0, microsecond=0) + notice:
        raise RuleBroken("sharing.recall_notice", hours=f"{notice / timedelta(hours=1):g}")
    if not span.start < at < span.end:
        raise RuleBroken("sharing.recall_late")


# ---- without a vehicle ------------------------------------------------------------------------------------------------


def rental_norm(day_price: Decimal, window: Span) -> Decimal:
    """Return the reference price of renting over a window: whole days of 24 hours, one at least, in CNY.

    >>> from datetime import UTC
    >>> rental_norm(Decimal("450"), Span(datetime(2026, 1, 1, 8, tzinfo=UTC), datetime(2026, 1, 2, 9, tzinfo=UTC)))
    Decimal('900.00')
    """
    days = max(1, math.ceil((window.end - window.start) / timedelta(days=1)))
    return (day_price * days).quantize(Decimal("0.01"))


def check_price(kind: FallbackKind, price: Decimal, norm: Decimal, note: str | None) -> None:
    """Refuse a price below nothing, and one above the reference without saying why.

    :raises RuleBroken: ``sharing.price``, ``sharing.above_norm``.
    """
    if price < 0:
        raise RuleBroken("sharing.price")
    if kind is not FallbackKind.PUBLIC_TRANSPORT and price > norm and len((note or "").strip()) < 4:
        raise RuleBroken("sharing.above_norm", norm=f"{norm:,.2f}")
