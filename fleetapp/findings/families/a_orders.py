"""Family A: what the papers of an order say, A-04 to A-10. A-01 to A-03 are in ``judge``."""

from datetime import datetime, timedelta

from fleetapp.findings.families.tools import Answers, clue, distance_m, km, minutes, month_of
from fleetapp.findings.known import Known, Paper
from fleetapp.findings.rules import Severity, Silence
from fleetapp.kit import clock
from fleetapp.orders.rules import OrderKind

EXEMPT = frozenset([OrderKind.EMERGENCY, OrderKind.SERVICE])


def _papers(known: Known) -> list[Paper]:
    """Return the orders that began in the window and were driven, or are said to have been."""
    return [paper for paper in known.papers if known.holds(paper.start_at)]


def late_supplement(known: Known) -> Answers:
    """A-04: a supplementary order filed later than ``late_h`` after the start; orange above the unit's share."""
    for paper in known.papers:
        if not paper.supplementary or not known.holds(paper.created_at):
            continue
        late_h = minutes(paper.start_at, paper.created_at) / 60
        if late_h <= known.value("A-04.late_h", paper.created_at):
            continue
        late, every = known.peers.supplementary.get(month_of(paper.start_at), (0, 0))
        grave = every > 0 and late / every > known.value("A-04.unit_share", paper.created_at) and late > 1
        share = [{"code": "unit_share", "late": late, "all": every}] if grave else []
        yield clue(
            known, "A-04", key=str(paper.order_id), start=paper.created_at, end=paper.created_at, order_id=paper.order_id,
            severity=Severity.ORANGE if grave else Severity.YELLOW, saw={"hours": round(late_h)}, supporting=share,
            concerned_id=paper.applicant_id, slip=paper.slip,
        )  # fmt: skip


def approved_by_oneself(known: Known) -> Answers:
    """A-05: the approver is the applicant, the filer or the driver. The system refuses it; imports may not have."""
    for paper in _papers(known):
        if paper.approver_id is None:
            continue
        part = {paper.applicant_id: ("申请人", "applicant"), paper.filed_by_id: ("代填人", "filer"),
                paper.driver_user_id: ("驾驶员", "driver")}.get(paper.approver_id)  # fmt: skip
        if part is not None:
            yield clue(
                known, "A-05", key=str(paper.order_id), start=paper.start_at, end=paper.end_at, severity=Severity.RED,
                saw={"slip": paper.slip, "role_zh": part[0], "role_en": part[1]}, order_id=paper.order_id, slip=paper.slip,
            )  # fmt: skip


def ghost_order(known: Known) -> Answers:
    """A-06: an order said to have been driven, well covered by fixes, without any trip that fits."""
    for paper in _papers(known):
        if not paper.driven or paper.end_at > known.now:
            continue
        if any(part.order_id == paper.order_id for trip in known.trips for part in trip.matches):
            continue
        mates = known.slips.get(paper.order_id)
        if any(known.slips.get(order_id) == mates and mates for trip in known.trips for order_id in trip.order_ids):
            continue
        coverage = min(
            (known.covered.get(clock.local_date(at), 0.0) for at in (paper.start_at, paper.end_at)), default=0.0
        )
        if coverage < known.value("A-06.min_coverage", paper.start_at):
            yield Silence.INSUFFICIENT_DATA
            continue
        if any(_touches(paper, trip.start_at, trip.end_at) and trip.best_m > 500 for trip in known.trips):
            continue  # it drove then, whatever for: A-01 and C-04 speak about that
        spent = [{"code": "expenses", "cny": f"{paper.expenses:.2f}"}] if paper.expenses else []
        yield clue(
            known, "A-06", key=str(paper.order_id), start=paper.start_at, end=paper.end_at, coverage=coverage, confidence=coverage,
            severity=Severity.ORANGE if spent else Severity.YELLOW, saw={"slip": paper.slip, "percent": round(coverage * 100)},
            supporting=spent, order=known.order(paper.order_id), order_id=paper.order_id,
        )  # fmt: skip


def _touches(paper: Paper, start: datetime, end: datetime) -> bool:
    margin = timedelta(minutes=30)
    return start < paper.end_at + margin and end > paper.start_at - margin


def changed_without_approval(known: Known) -> Answers:
    """A-07: a change took effect without a case of approval."""
    for paper in _papers(known):
        if paper.unapproved_changes:
            yield clue(
                known, "A-07", key=str(paper.order_id), start=paper.start_at, end=paper.end_at, severity=Severity.ORANGE,
                saw={"slip": paper.slip, "count": paper.unapproved_changes}, order=known.order(paper.order_id), order_id=paper.order_id,
            )  # fmt: skip


def purpose_of_class(known: Known) -> Answers:
    """A-08: the table of class and purpose does not allow the pair."""
    for paper in _papers(known):
        code = f"A-08.{known.car.category}.{paper.purpose}"
        figures = known.figures(paper.start_at)
        if code not in figures or not figures[code].value:
            continue
        if paper.kind in EXEMPT:
            yield Silence.EMERGENCY_ORDER if paper.kind == OrderKind.EMERGENCY else Silence.SERVICE_ORDER
            continue
        yield clue(
            known, "A-08", key=str(paper.order_id), start=paper.start_at, end=paper.end_at, severity=Severity.ORANGE,
            saw={"slip": paper.slip}, order=known.order(paper.order_id), order_id=paper.order_id,
            against=[{"code": "order_exists", "slip": paper.slip}],
        )  # fmt: skip


def too_many_people(known: Known) -> Answers:
    """A-09: passengers and driver exceed the seats."""
    for paper in _papers(known):
        if paper.passenger_count + 1 > known.car.seats:
            yield clue(
                known, "A-09", key=str(paper.order_id), start=paper.start_at, end=paper.end_at, severity=Severity.YELLOW,
                saw={"slip": paper.slip, "count": paper.passenger_count, "seats": known.car.seats},
                order=known.order(paper.order_id), order_id=paper.order_id,
            )  # fmt: skip


def split_orders(known: Known) -> Answers:
    """A-10: consecutive orders of one applicant, each under the limit of approval and over it together."""
    run: list[Paper] = []
    for paper in [*sorted(known.papers, key=lambda paper: paper.start_at), None]:
        follows = (
            paper is not None and bool(run) and paper.applicant_id == run[-1].applicant_id
            and minutes(run[-1].end_at, paper.start_at) <= known.value("A-10.gap_h", paper.start_at) * 60
            and not (run[-1].end_at == paper.start_at and known.slips.get(run[-1].order_id) == known.slips.get(paper.order_id))
        )  # fmt: skip
        if follows and paper is not None:
            run.append(paper)
            continue
        yield from _split(known, run)
        run = [] if paper is None or paper.kind in EXEMPT else [paper]


def _split(known: Known, run: list[Paper]) -> Answers:
    if len(run) < 2 or not known.holds(run[-1].start_at):
        return
    limit_m = known.value("A-10.limit_km", run[0].start_at) * 1000
    lengths = [paper.route_m or 0.0 for paper in run]
    if max(lengths) > limit_m or sum(lengths) <= limit_m:
        return
    same_way = any(
        distance_m(a.lat, a.lon, b.lat, b.lon) <= max(a.tolerance_m, b.tolerance_m)
        for a in run[0].stops[-1:] for b in run[1].stops[:1]
    )  # fmt: skip
    yield clue(
        known, "A-10", key=str(run[0].order_id), start=run[0].start_at, end=run[-1].end_at, severity=Severity.YELLOW,
        saw={"count": len(run), "km": km(sum(lengths)), "limit": km(limit_m)}, confidence=1.0 if same_way else 0.7,
        order=known.order(run[0].order_id), order_id=run[0].order_id,
        against=[{"code": "order_exists", "slip": paper.slip} for paper in run],
    )  # fmt: skip


JUDGES = {
    "A-04": late_supplement, "A-05": approved_by_oneself, "A-06": ghost_order, "A-07": changed_without_approval,
    "A-08": purpose_of_class, "A-09": too_many_people, "A-10": split_orders,
}  # fmt: skip
