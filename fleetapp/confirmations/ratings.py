"""Writing of ratings: once per journey, by who travelled or filed it."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.confirmations import queries, rules
from fleetapp.confirmations.models import TripRating
from fleetapp.confirmations.service import owner_of
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import Conflict, NotFound
from fleetapp.notices import service as notices
from fleetapp.orders import queries as orders
from fleetapp.policies import queries as policies


def rate(
    session: Session, *, order_id: int, actor: Actor, now: datetime, scores: Mapping[str, int] | None = None, comment: str | None = None
) -> TripRating:  # fmt: skip
    """Rate a journey's five items from 1 to 5, or leave it out (no ``scores``); the same again changes nothing.

    :raises NotAllowed: somebody else's journey, the driver's own, or not driven yet.
    :raises NotFound: no vehicle of ours served it.
    :raises Conflict: ``confirmations.rated``: it is rated otherwise already.
    :raises RuleBroken: ``confirmations.rating_late``.
    """
    order = orders.hold_order(session, order_id=order_id)
    permits.require("confirmations.rate", actor, owner_id=owner_of(order, actor), state=order.state)
    duty = queries.duty_of(session, order_id=order.id)
    if duty is None:
        raise NotFound("kit.not_found")
    rules.check_person(actor.user_id, duty.driver.user_id)
    given = {item: scores[item] if scores else None for item in rules.ITEMS}
    known = queries.find_rating(session, order_id=order.id)
    if known is not None:
        if ({item: getattr(known, item) for item in rules.ITEMS}, known.comment) != (given, comment):
            raise Conflict("confirmations.rated", number=order.number)
        return known
    on, path = clock.local_date(now), duty.vehicle.org.path
    within = timedelta(days=float(policies.value(session, "rating.days", on, path)))
    rules.check_ratable(queries.returned_at(session, order=order), within=within, now=now)
    made = TripRating(org_id=duty.org_id, order_id=order.id, driver_id=duty.driver_id, comment=comment, rated_by=actor.user_id, at=now,
                      **given)  # fmt: skip
    session.add(made)
    session.flush()
    if scores and rules.is_low(scores, int(policies.value(session, "rating.low_score", on, path))):
        managers = accounts.holders(session, role=Role.FLEET_MANAGER, org_path=path)
        notices.notify(session, to=managers, code="confirmations.notice.low_rating", params={"number": order.number}, link="/ratings",
                       key=f"rating-{made.id}", now=now)  # fmt: skip
    audit.record(session, actor=actor, now=now, action="confirmations.rated", subject_type="trip_rating", subject_id=made.id,
                 org_id=made.org_id, number=order.number, skipped=scores is None)  # fmt: skip
    return made
