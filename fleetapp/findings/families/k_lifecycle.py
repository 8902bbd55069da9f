"""Family K: quota, standard, papers and life cycle of a vehicle, K-01 to K-13. Judged as of the window's end."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from fleetapp.acquisitions import rules as acquisitions
from fleetapp.findings.families.tools import Answers, clue, km, month_of
from fleetapp.findings.known import Known
from fleetapp.findings.rules import Clue, Severity
from fleetapp.kit import clock
from fleetapp.vehicles.rules import Body, Category, Energy


def _as_of(known: Known) -> datetime:
    """Return the last moment of the window that has passed."""
    return min(known.end, known.now) - timedelta(seconds=1)


def _on(known: Known) -> date:
    return clock.local_date(_as_of(known))


def _life(known: Known, rule: str, key: str, severity: Severity, saw: dict[str, Any], **more: Any) -> Clue:
    at = clock.start_of(_on(known))
    return clue(known, rule, key=key, start=at, end=_as_of(known), severity=severity, saw=saw, **more)


IN_USE = frozenset(["IN_SERVICE", "SEALED", "MAINTENANCE", "SUSPENDED"])


def over_quota(known: Known) -> Answers:
    """K-01: the active vehicles of unit and class exceed the authorised number; told of the youngest vehicle."""
    life = known.life
    if life is not None and life.quota is not None and life.active > life.quota and known.car.state in IN_USE:
        saw = {"category": known.car.category, "count": life.active, "quota": life.quota}
        yield _life(known, "K-01", f"{known.car.org_id}|{known.car.category}", Severity.RED, saw)


def over_standard(known: Known) -> Answers:
    """K-02: price or displacement above the standard in force on the day of the contract, without special approval.

    The cap is the one by which a purchase is approved: new-energy vehicles have their own.
    """
    life, car = known.life, known.car
    if life is None or life.special_approval or "nev.phev_no_displacement_cap" not in (life.figures_on_contract or {}):
        return  # bought before there was a standard
    figures = {
        code: acquisitions.Figure(Decimal(str(figure.value)), figure.source)
        for code, figure in (life.figures_on_contract or {}).items()
    }
    cap = acquisitions.cap_of(
        figures, category=Category(car.category), body=Body(car.body), energy=Energy(car.energy), step=acquisitions.Step.NORMAL
    )  # fmt: skip
    if cap is None:
        return
    for what, zh, en, value, limit in (
        ("price", "购置价格", "price", car.price, cap.price),
        ("displacement", "排气量", "displacement", car.displacement_ml, cap.displacement_ml),
    ):
        if value is not None and limit is not None and value > limit:
            saw = {"what_zh": zh, "what_en": en, "value": f"{value:,.0f}", "limit": f"{limit:,.0f}"}
            yield _life(known, "K-02", what, Severity.RED, saw)


def bought_before_approval(known: Known) -> Answers:
    """K-03: the contract is older than the indicator's approval."""
    life = known.life
    if life is not None and life.contract_on and life.indicator_on and life.contract_on < life.indicator_on:
        saw = {
            "number": life.indicator_no or "",
            "due": life.indicator_on.isoformat(),
            "done": life.contract_on.isoformat(),
        }
        yield _life(known, "K-03", str(life.indicator_id), Severity.RED, saw)


def renewed_early(known: Known) -> Answers:
    """K-04: the replaced vehicle was younger than the least age, without special approval."""
    life = known.life
    if life is None or life.special_approval or life.old_registered_on is None or life.indicator_on is None:
        return
    years = (life.indicator_on - life.old_registered_on).days / 365.25
    limit = known.value("renewal.min_years", _as_of(known))
    if years <= limit:
        yield _life(
            known, "K-04", str(life.indicator_id), Severity.RED, {"years": f"{years:.1f}", "limit": f"{limit:g}"}
        )


def kept_after_renewal(known: Known) -> Answers:
    """K-05: still in use longer than ``max_days`` after its replacement came."""
    life = known.life
    if life is None or life.replaced_on is None or known.car.state not in IN_USE:
        return
    days = (_on(known) - life.replaced_on).days
    if days > known.value("K-05.max_days", _as_of(known)):
        yield _life(known, "K-05", life.replaced_on.isoformat(), Severity.ORANGE, {"days": days})


def other_owner(known: Known) -> Answers:
    """K-06: the owner in the registration is not the holding unit; rented vehicles have another by nature."""
    life = known.life
    if life is not None and life.owner and life.unit and life.owner != life.unit and known.car.acquired_by != "rental":
        yield _life(known, "K-06", "owner", Severity.RED, {"holder": life.owner}, confidence=0.9)


def donated(known: Known) -> Answers:
    """K-07: came as a donation, or borrowed for longer than ``max_days``."""
    life = known.life
    since = life.borrowed_since if life is not None else None
    days = (_on(known) - since).days if since is not None else 0
    if known.car.acquired_by == "donation" or (since and days > known.value("K-07.max_days", _as_of(known))):
        yield _life(known, "K-07", "source", Severity.RED, {"days": days or "–"})


def unmarked(known: Known) -> Answers:
    """K-08: neither a marking nor an exemption from it on record."""
    if known.life is not None and known.life.marked is False and known.car.state in IN_USE:
        yield _life(known, "K-08", "marking", Severity.YELLOW, {})


PAPERS = {"compulsory_insurance": ("交强险", "compulsory insurance"), "inspection": ("检验合格标志", "inspection")}


def stale_papers(known: Known) -> Answers:
    """K-09: compulsory insurance or inspection has run out and the vehicle drives."""
    if known.life is None or known.car.state not in IN_USE:
        return
    for kind, until in known.life.papers_until.items():
        if kind in PAPERS and until <= _on(known):
            saw = {"paper_zh": PAPERS[kind][0], "paper_en": PAPERS[kind][1], "on": until.isoformat()}
            yield _life(known, "K-09", f"{kind}|{until}", Severity.ORANGE, saw)


def idle(known: Known) -> Answers:
    """K-10: few trips and few kilometres in ``days``, neither in reserve nor sealed; known for that long."""
    at = _as_of(known)
    days = known.value("K-10.days", at)
    since = at - timedelta(days=days)
    if known.car.state != "IN_SERVICE" or known.car.in_reserve or known.car.parking_id is None:
        return
    if not known.covered or min(known.covered) > clock.local_date(since) + timedelta(days=1):
        return  # not watched for so long
    recent = [trip for trip in known.trips if since <= trip.start_at <= at]
    metres = sum(trip.best_m for trip in recent)
    if len(recent) < known.value("K-10.max_trips", at) and metres < known.value("K-10.max_km", at) * 1000:
        yield _life(
            known, "K-10", month_of(at), Severity.YELLOW, {"days": round(days), "count": len(recent), "km": km(metres)},
            confidence=min(1.0, sum(known.covered.values()) / len(known.covered) + 0.3),
        )  # fmt: skip


def proceeds_late(known: Known) -> Answers:
    """K-12: the proceeds were not remitted within ``max_days`` of the deal."""
    life = known.life
    if life is None or life.deal_on is None:
        return
    days = ((life.remitted_on or _on(known)) - life.deal_on).days
    if days > known.value("K-12.max_days", _as_of(known)):
        yield _life(
            known, "K-12", life.deal_on.isoformat(), Severity.ORANGE, {"on": life.deal_on.isoformat(), "days": days}
        )


def empty_running(known: Known) -> Answers:
    """K-13: too large a share of a month's kilometres belongs to no order."""
    at = _as_of(known)
    own = [trip for trip in known.trips if month_of(trip.start_at) == month_of(at) and trip.start_at <= at]
    total = sum(trip.best_m for trip in own)
    empty = sum(part.distance_m for trip in own for part in trip.matches if part.kind == "unmatched")
    if total >= known.value("K-13.min_km", at) * 1000 and empty > known.value("K-13.share", at) * total:
        yield _life(
            known,
            "K-13",
            month_of(at),
            Severity.GREEN,
            {"km": km(total), "percent": round(empty / total * 100)},
            distance_m=total,
        )


JUDGES = {
    "K-01": over_quota, "K-02": over_standard, "K-03": bought_before_approval, "K-04": renewed_early, "K-05": kept_after_renewal,
    "K-06": other_owner, "K-07": donated, "K-08": unmarked, "K-09": stale_papers, "K-10": idle, "K-12": proceeds_late, "K-13": empty_running,
}  # fmt: skip
