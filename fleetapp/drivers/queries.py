"""Reading of drivers."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation, RoleGrant, UserAccount
from fleetapp.accounts.queries import within_reach
from fleetapp.drivers import rules
from fleetapp.drivers.models import Driver, DriverAbsence
from fleetapp.drivers.rules import AbsenceState
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.columns import among
from fleetapp.kit.errors import NotFound
from fleetapp.kit.spans import Span


def visible_to(actor: Actor) -> Select[Driver]:
    """Return the drivers that the actor may read, by unit and username; drivers see their own row."""
    paths = actor.paths({*permits.table()["drivers.read"].roles, Role.SYSTEM})
    return (
        select(Driver)
        .join(Driver.org)
        .join(Driver.user)
        .where(
            or_(
                Driver.user_id == actor.user_id,
                *(Organisation.path.startswith(path, autoescape=True) for path in paths),
            )
        )
        .options(contains_eager(Driver.org), contains_eager(Driver.user))
        .order_by(Organisation.path, UserAccount.username)
    )


def filtered(
    query: Select[Driver], *, q: str = "", licence: str | None = None, org_path: str | None = None
) -> Select[Driver]:
    """Narrow drivers by text in name, username or unit (any case), by licence, by sub-tree."""
    if q:
        columns = (
            UserAccount.username,
            UserAccount.name_zh,
            UserAccount.name_en,
            Organisation.name_zh,
            Organisation.name_en,
        )
        query = query.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    if licence:
        query = query.where(Driver.licence == licence)
    if org_path:
        query = query.where(Organisation.path.startswith(org_path, autoescape=True))
    return query


def get_driver(session: Session, *, driver_id: int, actor: Actor) -> Driver:
    """Return a driver that the actor may read.

    :raises NotFound: no such driver, or out of reach.
    """
    driver = session.scalar(visible_to(actor).where(Driver.id == driver_id))
    if driver is None:
        raise NotFound("kit.not_found")
    return driver


def find_driver(session: Session, *, driver_id: int) -> Driver | None:
    """Return a driver as far as row-level security shows it: for slices whose own row names it (an order's driver)."""
    return session.get(Driver, driver_id, options=[joinedload(Driver.org), joinedload(Driver.user)])


def driver_of_user(session: Session, *, user_id: int) -> Driver | None:
    """Return the driver that an account is, if any."""
    return session.scalar(select(Driver).where(Driver.user_id == user_id, Driver.left_at.is_(None)))


def available(
    session: Session, *, actor: Actor, until_on: date, seats: int | None = None, org_id: int | None = None
) -> Sequence[Driver]:
    """Return the drivers within reach whose licence counts until ``until_on`` and covers ``seats``.

    ``org_id`` narrows to one holder. Whether they are booked at that time only planning knows.
    """
    query = visible_to(actor).where(Driver.left_at.is_(None), Driver.licence_valid_to >= until_on)
    if seats is not None:
        query = query.where(Driver.licence.in_([licence.value for licence in rules.licences_for(seats)]))
    if org_id is not None:
        query = query.where(Driver.org_id == org_id)
    return session.scalars(query).all()


def candidates(actor: Actor) -> Select[UserAccount]:
    """Return the open accounts with the driver's role that the actor may make drivers and that are none yet."""
    return (
        select(UserAccount)
        .join(UserAccount.org)
        .where(
            within_reach(actor, "drivers.edit"),
            UserAccount.closed_at.is_(None),
            UserAccount.grants.any(RoleGrant.role == Role.DRIVER),
            ~exists().where(Driver.user_id == UserAccount.id),
        )
        .options(contains_eager(UserAccount.org))
        .order_by(UserAccount.username)
    )


def absences_visible_to(actor: Actor) -> Select[DriverAbsence]:
    """Return the wishes to be away of the drivers within reach, and one's own, the first day first."""
    paths = actor.paths({*permits.table()["drivers.read"].roles, Role.SYSTEM})
    return (
        select(DriverAbsence)
        .join(DriverAbsence.org)
        .where(
            or_(
                DriverAbsence.asked_by == actor.user_id,
                *(Organisation.path.startswith(path, autoescape=True) for path in paths),
            )
        )
        .options(contains_eager(DriverAbsence.org), joinedload(DriverAbsence.driver).joinedload(Driver.user))
        .order_by(DriverAbsence.during, DriverAbsence.id)
    )


def get_absence(session: Session, *, absence_id: int, actor: Actor, lock: bool = False) -> DriverAbsence:
    """Return a wish to be away within reach, or one's own.

    :raises NotFound: no such wish, or out of reach.
    """
    query = absences_visible_to(actor).where(DriverAbsence.id == absence_id)
    found = session.scalar(query.with_for_update(of=DriverAbsence) if lock else query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def absent(session: Session, *, driver_ids: Collection[int], span: Span) -> dict[int, list[Span]]:
    """Return when drivers are away with leave during a span, as far as row-level security shows it."""
    days = Range(clock.local_date(span.start), clock.local_date(span.end) + timedelta(days=1))
    rows = select(DriverAbsence.driver_id, DriverAbsence.during).where(
        among(DriverAbsence.driver_id, driver_ids), DriverAbsence.state == AbsenceState.GRANTED,
        DriverAbsence.during.overlaps(days),
    )  # fmt: skip
    found: dict[int, list[Span]] = {}
    for driver_id, during in session.execute(rows):
        if during.lower is None or during.upper is None:
            continue  # an absence has a first and a last day; the type allows others
        away = Span(clock.start_of(during.lower), clock.start_of(during.upper))
        if away.overlaps(span):
            found.setdefault(driver_id, []).append(away)
    return found
