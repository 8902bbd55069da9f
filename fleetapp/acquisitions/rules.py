"""What a vehicle may be bought as, and which way an application goes: values in, values or ``RuleBroken`` out.

Sources: 党政机关公务用车管理办法 (中办发〔2017〕71号), Art. 6, 7, 22, 26; the figures are policy rows (``config/policy.toml``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles.rules import CAR_SEATS, NEV, SEATS, Body, Category, Energy


class IndicatorKind(StrEnum):
    """A new vehicle, one in place of an old one, one from another unit, or a rented one instead."""

    NEW = "new"
    RENEWAL = "renewal"
    TRANSFER = "transfer"
    RENTAL = "rental"


class Step(StrEnum):
    """Which line of the caps applies: the normal one, or a higher one that must be justified."""

    NORMAL = "normal"
    WORK_NEED = "work_need"
    EXCEPTIONAL = "exceptional"


class IndicatorState(StrEnum):
    """Where an application stands; APPROVED reserves one place of the quota."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    REVIEWED = "REVIEWED"
    APPROVED = "APPROVED"
    RETURNED = "RETURNED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    USED = "USED"


class IndicatorAction(StrEnum):
    """What moves an application; the unit does the first group, the vehicle office the second, the system the last."""

    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    REVIEW = "review"
    RETURN = "return"
    REJECT = "reject"
    APPROVE = "approve"
    CANCEL = "cancel"
    EXPIRE = "expire"
    USE = "use"


_S, _A = IndicatorState, IndicatorAction
TRANSITIONS: Mapping[tuple[IndicatorState, IndicatorAction], IndicatorState] = {
    (_S.DRAFT, _A.SUBMIT): _S.SUBMITTED,
    (_S.RETURNED, _A.SUBMIT): _S.SUBMITTED,
    (_S.DRAFT, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.RETURNED, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.SUBMITTED, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.SUBMITTED, _A.REVIEW): _S.REVIEWED,
    (_S.SUBMITTED, _A.RETURN): _S.RETURNED,
    (_S.SUBMITTED, _A.REJECT): _S.REJECTED,
    (_S.REVIEWED, _A.RETURN): _S.RETURNED,
    (_S.REVIEWED, _A.REJECT): _S.REJECTED,
    (_S.REVIEWED, _A.APPROVE): _S.APPROVED,
    (_S.APPROVED, _A.CANCEL): _S.CANCELLED,
    (_S.APPROVED, _A.EXPIRE): _S.EXPIRED,
    (_S.APPROVED, _A.USE): _S.USED,
}
EDITABLE = frozenset([_S.DRAFT, _S.RETURNED])
NEEDS_NOTE = frozenset([_A.RETURN, _A.REJECT, _A.CANCEL])
OPEN_STATES = frozenset([_S.DRAFT, _S.SUBMITTED, _S.REVIEWED, _S.RETURNED])


class ProcurementState(StrEnum):
    """Where a purchase stands; REGISTERED has made the vehicle."""

    OPEN = "OPEN"
    CONTRACTED = "CONTRACTED"
    DELIVERED = "DELIVERED"
    ACCEPTED = "ACCEPTED"
    REGISTERED = "REGISTERED"
    CANCELLED = "CANCELLED"


_P = ProcurementState
NEXT_STAGE: Mapping[ProcurementState, ProcurementState] = {
    _P.OPEN: _P.CONTRACTED,
    _P.CONTRACTED: _P.DELIVERED,
    _P.DELIVERED: _P.ACCEPTED,
    _P.ACCEPTED: _P.REGISTERED,
}
"""The one next stage of each; until DELIVERED a purchase may also be cancelled."""
CANCELLABLE = frozenset([_P.OPEN, _P.CONTRACTED])


def next_state(state: str, action: IndicatorAction) -> IndicatorState:
    """Return where an action leads.

    :raises RuleBroken: ``acquisitions.wrong_step``.
    """
    after = TRANSITIONS.get((IndicatorState(state), action))
    if after is None:
        raise RuleBroken("acquisitions.wrong_step", state=state)
    return after


def check_stage(state: str, to: ProcurementState) -> None:
    """Refuse a stage that is not the next one.

    :raises RuleBroken: ``acquisitions.wrong_step``.
    """
    now = ProcurementState(state)
    if NEXT_STAGE.get(now) is not to and not (to is _P.CANCELLED and now in CANCELLABLE):
        raise RuleBroken("acquisitions.wrong_step", state=state)


def check_note(action: IndicatorAction, note: str | None) -> None:
    """Refuse to take something away without saying why.

    :raises RuleBroken: ``acquisitions.note_needed``.
    """
    if action in NEEDS_NOTE and len((note or "").strip()) < 4:
        raise RuleBroken("acquisitions.note_needed")


# ---- configuration standards ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cap:
    """The highest price without purchase tax (CNY) and displacement (mL, None: no cap) with the article that says so."""

    price: Decimal
    displacement_ml: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A policy figure in force with its source."""

    value: Decimal
    source: str


Figures = Mapping[str, Figure]


def cap_of(figures: Figures, *, category: Category, body: Body, energy: Energy, step: Step) -> Cap | None:
    """Return the cap that applies, None where the law leaves it to the department (special technical vehicles).

    A new-energy sedan has one price cap in every class; other new-energy bodies have the price cap of the same type with an
    engine. None by displacement, but for plug-in hybrids where that is the policy. Large coaches have their own, in
    exceptional cases only.
    """
    free = energy in NEV and (energy is not Energy.PHEV or bool(figures["nev.phev_no_displacement_cap"].value))
    displacement = None if free else figures.get(f"cap.{category.value}.{step.value}.displacement_ml")
    limit = None if displacement is None else int(displacement.value)
    if energy in NEV and body is Body.SEDAN:
        figure = figures["cap.nev_sedan.price_cny"]
        return Cap(figure.value, limit, figure.source)
    if body is Body.COACH and step is Step.EXCEPTIONAL:
        figure = figures["cap.coach.price_cny"]
        return Cap(figure.value, None, figure.source)
    price = figures.get(f"cap.{category.value}.{step.value}.price_cny")
    if price is None:
        return None
    return Cap(price.value, limit, price.source)


def has_step(figures: Figures, category: Category, step: Step) -> bool:
    """Tell whether a class has this line of the caps at all."""
    return step is Step.NORMAL or f"cap.{category.value}.{step.value}.price_cny" in figures


def body_problem(figures: Figures, *, category: Category, body: Body, energy: Energy, step: Step) -> Figure | None:
    """Return the figure by which a line of the caps does not mean this body, None where it does or says nothing.

    The law speaks of sedans and other small buses, and in exceptional cases of larger bodies but no sedans; a large coach has
    a line of its own there, and the cap of a new-energy sedan is one for all lines.
    """
    if body is Body.COACH and step is Step.EXCEPTIONAL:
        return None
    seats = figures.get(f"cap.{category.value}.{step.value}.seats")
    if seats is not None and SEATS.get(body, CAR_SEATS)[0] > seats.value:
        return seats
    sedan = figures.get(f"cap.{category.value}.{step.value}.sedan")
    return sedan if body is Body.SEDAN and energy not in NEV and sedan is not None and not sedan.value else None


def nominal_ml(displacement_ml: int) -> int:
    """Return the displacement as it is traded: 1598 mL is a 1.6-litre engine."""
    return -(-displacement_ml // 100) * 100 if displacement_ml % 100 > 50 else displacement_ml


def keeps_to_caps(
    figures: Figures,
    *,
    category: Category,
    body: Body,
    energy: Energy,
    step: Step,
    price: Decimal,
    displacement_ml: int | None,
) -> bool:
    """Tell whether an application keeps to its line of the caps; a displacement that has a cap must be stated."""
    if body_problem(figures, category=category, body=body, energy=energy, step=step) is not None:
        return False
    cap = cap_of(figures, category=category, body=body, energy=energy, step=step)
    if cap is None or cap.displacement_ml is None:
        return cap is None or price <= cap.price
    return price <= cap.price and displacement_ml is not None and nominal_ml(displacement_ml) <= cap.displacement_ml


def check_cap(cap: Cap | None, *, price: Decimal, displacement_ml: int | None) -> None:
    """Refuse a price or displacement above the cap; the cap itself is allowed.

    :raises RuleBroken: ``acquisitions.over_price``, ``acquisitions.over_displacement``.
    """
    if cap is None:
        return
    if price > cap.price:
        raise RuleBroken("acquisitions.over_price", price=f"{price:,.2f}", cap=f"{cap.price:,.2f}", source=cap.source)
    if (
        cap.displacement_ml is not None
        and displacement_ml is not None
        and nominal_ml(displacement_ml) > cap.displacement_ml
    ):
        raise RuleBroken(
            "acquisitions.over_displacement", ml=displacement_ml, cap=cap.displacement_ml, source=cap.source
        )


# ---- the check list of the review page ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for, with the old vehicle of a renewal (its age in whole years)."""

    kind: IndicatorKind
    category: Category
    body: Body
    energy: Energy
    step: Step
    max_price: Decimal
    max_displacement_ml: int | None
    fuel_reason: str | None
    leader_fixed: bool
    old_age_years: float | None = None
    special_approval: str | None = None
    reason_promotion: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the check list compares with: free places and the year's shares before and with this one."""

    free: int
    idle_comparable: int
    acquired: int
    acquired_nev: int


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the check list; ``blocks`` says whether approval is refused while it is not ``ok``."""

    code: str
    ok: bool
    blocks: bool
    source: str
    params: Mapping[str, object]


def checks(wish: Wish, around: Surroundings, figures: Figures) -> list[Check]:
    """Return the check list of an application, in the order of the law."""
    cap = cap_of(figures, category=wish.category, body=wish.body, energy=wish.energy, step=wish.step)
    law = figures["renewal.min_years"].source.partition(" · ")[0]
    found = [Check("quota", around.free >= 1, True, law, {"free": around.free})]
    found.append(Check("step", has_step(figures, wish.category, wish.step), True, law, {}))
    problem = body_problem(figures, category=wish.category, body=wish.body, energy=wish.energy, step=wish.step)
    found.append(Check("body", problem is None, True, problem.source if problem else law, {}))
    if cap is not None:
        found.append(Check("price", wish.max_price <= cap.price, True, cap.source, {"cap": f"{cap.price:,.2f}"}))
        if cap.displacement_ml is not None:
            fits = wish.max_displacement_ml is not None and nominal_ml(wish.max_displacement_ml) <= cap.displacement_ml
            found.append(Check("displacement", fits, True, cap.source, {"cap": cap.displacement_ml}))
    if wish.kind is IndicatorKind.RENEWAL:
        years = figures["renewal.min_years"]
        old_enough = wish.old_age_years is not None and Decimal(str(wish.old_age_years)) > years.value
        found.append(Check("age", old_enough or bool(wish.special_approval), True, years.source, {
            "years": "–" if wish.old_age_years is None else f"{wish.old_age_years:.1f}", "least": f"{years.value:f}".rstrip("0").rstrip("."),
        }))  # fmt: skip
        found.append(Check("promotion", not wish.reason_promotion, True, law, {}))
    found.append(Check("offroad", not (wish.leader_fixed and wish.body is Body.OFFROAD), True, law, {}))
    if wish.energy not in NEV:
        found.append(
            Check(
                "fuel_reason", bool((wish.fuel_reason or "").strip()), True, figures["nev.acquisition_share"].source, {}
            )
        )
    share = figures["nev.fixed_route_share" if wish.category is Category.JYTX else "nev.acquisition_share"]
    nev_after = around.acquired_nev + (wish.energy in NEV)
    after = Decimal(nev_after) / Decimal(around.acquired + 1)
    found.append(Check("nev_share", after >= share.value, False, share.source, {
        "after": f"{after:.0%}", "target": f"{share.value:.0%}",
    }))  # fmt: skip
    if wish.kind is not IndicatorKind.TRANSFER:
        found.append(Check("transfer_first", around.idle_comparable == 0, False, law, {"n": around.idle_comparable}))
    return found


PROMOTION_WORDS = ("晋升", "提拔", "调任", "升职", "promotion", "promoted")


def speaks_of_promotion(text: str) -> bool:
    """Tell whether a reason is that a leader was promoted or moved, which is no reason (条例 2025)."""
    return any(word in text.lower() for word in PROMOTION_WORDS)


def age_years(registered_on: date, on: date) -> float:
    """Return a vehicle's age in years."""
    return (on - registered_on).days / 365.25


def expires_on(fiscal_year: int) -> date:
    """Return the first day on which an indicator no longer counts: the end of its fiscal year."""
    return date(fiscal_year + 1, 1, 1)
