"""Reading of organisations, accounts and grants."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from fleetapp.accounts.models import Organisation, OrgKind, RoleGrant, SignIn, SignInFailure, UserAccount
from fleetapp.accounts.rules import Failures, Stage
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor, Grant, Role
from fleetapp.kit.errors import NotFound


def orgs_visible_to(actor: Actor) -> Select[Organisation]:
    """Return the organisations inside the actor's sub-trees, in tree order."""
    paths = actor.paths()
    return (
        select(Organisation)
        .where(or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in paths)))
        .order_by(Organisation.path)
    )


def within_reach(actor: Actor, action: str) -> ColumnElement[bool]:
    """Return the condition that a joined ``Organisation`` is one where the permission table opens ``action`` to the actor."""
    paths = actor.paths({*permits.table()[action].roles, Role.SYSTEM})
    return or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in paths))


def inside(column: Any, action: str, actor: Actor) -> ColumnElement[bool]:
    """Return the condition that an organisation's id lies where the permission table opens ``action`` to the actor."""
    found: ColumnElement[bool] = column.in_(select(Organisation.id).where(within_reach(actor, action)))
    return found


def get_org(session: Session, *, org_id: int) -> Organisation:
    """Return one organisation.

    :raises NotFound: no such id.
    """
    org = session.get(Organisation, org_id)
    if org is None:
        raise NotFound("kit.not_found")
    return org


def get_org_by_code(session: Session, *, code: str) -> Organisation:
    """Return the organisation of a code.

    :raises NotFound: no such code.
    """
    org = session.scalar(select(Organisation).where(Organisation.code == code))
    if org is None:
        raise NotFound("kit.not_found")
    return org


def get_top(session: Session) -> Organisation | None:
    """Return the organisation above all others; None in an empty database."""
    return session.scalar(select(Organisation).where(Organisation.parent_id.is_(None)))


def list_districts(session: Session) -> Sequence[Organisation]:
    """Return the districts in code order."""
    return session.scalars(
        select(Organisation).where(Organisation.kind == OrgKind.DISTRICT).order_by(Organisation.code)
    ).all()


def visible_to(actor: Actor) -> Select[UserAccount]:
    """Return the accounts of the organisations whose accounts the actor may read; everybody sees their own."""
    return (
        select(UserAccount)
        .where(or_(UserAccount.id == actor.user_id, inside(UserAccount.org_id, "accounts.read", actor)))
        .options(joinedload(UserAccount.org), selectinload(UserAccount.grants).joinedload(RoleGrant.org))
        .order_by(UserAccount.username)
    )


def find_user(session: Session, *, username: str) -> UserAccount | None:
    """Return the account of a username, if any."""
    return session.scalar(select(UserAccount).where(UserAccount.username == username))


def get_user(session: Session, *, user_id: int, actor: Actor) -> UserAccount:
    """Return an account that the actor may see.

    :raises NotFound: no such account, or out of scope.
    """
    user = session.scalar(visible_to(actor).where(UserAccount.id == user_id))
    if user is None:
        raise NotFound("kit.not_found")
    return user


def holders(session: Session, *, role: Role, org_path: str, nearest: bool = True) -> list[int]:
    """Return the open accounts that hold a role over an organisation, by id.

    Grants of the organisation itself come before those of the ones above: with ``nearest`` only the lowest level that
    has anybody is returned, so that an application of a unit goes to the unit's approver and not to all above.
    """
    rows = session.execute(
        select(RoleGrant.user_id, Organisation.path)
        .join(Organisation, Organisation.id == RoleGrant.org_id)
        .join(UserAccount, UserAccount.id == RoleGrant.user_id)
        .where(RoleGrant.role == role, UserAccount.closed_at.is_(None), literal(org_path).startswith(Organisation.path))
    ).all()
    lowest = max((len(path) for _, path in rows), default=0)
    return sorted({user_id for user_id, path in rows if not nearest or len(path) == lowest})


def colleagues(session: Session, *, actor: Actor) -> Sequence[UserAccount]:
    """Return the open accounts of the actor's own organisation, the actor's too, by name."""
    rows = select(UserAccount).where(UserAccount.org_id == actor.org_id, UserAccount.closed_at.is_(None))
    return session.scalars(rows.order_by(UserAccount.name_zh, UserAccount.id)).all()


def find_open_sign_in(session: Session, *, token_sha256: str) -> SignIn | None:
    """Return the sign-in of a token's hash, with its account, grants and their organisations."""
    return session.scalar(
        select(SignIn)
        .where(SignIn.token_sha256 == token_sha256)
        .options(
            joinedload(SignIn.user).joinedload(UserAccount.org),
            joinedload(SignIn.user).selectinload(UserAccount.grants).joinedload(RoleGrant.org),
        )
    )


def failures(session: Session, *, username: str, address: str, since: datetime) -> Failures:
    """Return how many sign-ins failed since a moment, by name and address."""
    mine, here = SignInFailure.username == username, SignInFailure.address == address
    row = session.execute(
        select(func.count().filter(and_(mine, here)), func.count().filter(here), func.count().filter(mine)).where(
            SignInFailure.at > since, or_(mine, here)
        )
    ).one()
    return Failures(*row)


def is_known_address(session: Session, *, username: str, address: str, since: datetime) -> bool:
    """Tell whether an account has signed in from an address since a moment."""
    return (
        session.scalar(
            select(SignIn.id)
            .join(SignIn.user)
            .where(
                UserAccount.username == username,
                SignIn.address == address,
                SignIn.created_at > since,
                SignIn.stage == Stage.FULL,
            )
            .limit(1)
        )
        is not None
    )


def open_sign_ins(user_id: int, *, now: datetime) -> Select[SignIn]:
    """Return the sign-ins of an account that have neither ended nor run out, newest first."""
    rows = select(SignIn).where(SignIn.user_id == user_id, SignIn.ended_at.is_(None), SignIn.expires_at > now)
    return rows.order_by(SignIn.last_seen_at.desc(), SignIn.id.desc())


def actor_of(user: UserAccount, *, language: str = "zh") -> Actor:
    """Return the actor that an account acts as."""
    return Actor(
        user_id=user.id,
        name=user.name_zh if language == "zh" else user.name_en,
        grants=tuple(Grant(Role(grant.role), grant.org_id, grant.org.path) for grant in user.grants),
        org_id=user.org_id,
        org_path=user.org.path,
    )
