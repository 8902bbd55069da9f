"""Writing of organisations, accounts, grants and passwords."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from fleetapp.accounts import queries, resets, rules, sign_ins
from fleetapp.accounts.models import Organisation, OrgKind, PasswordReset, RoleGrant, UserAccount
from fleetapp.accounts.sign_ins import hash_password
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import ADMINISTRATORS, SYSTEM, Actor, Role
from fleetapp.kit.db import Database
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken

SHORTEST = 15
"""Characters of a first password where the caller does not know the policy's figure (NIST SP 800-63B-4 s. 3.1.1.2)."""


def create_org(
    session: Session,
    *,
    parent_id: int | None,
    code: str,
    kind: OrgKind,
    name_zh: str,
    name_en: str,
    actor: Actor,
    now: datetime,
    adcode: str | None = None,
) -> Organisation:
    """Add an organisation below another, or the root.

    :raises NotAllowed: not within the actor's sub-tree.
    """
    parent = queries.get_org(session, org_id=parent_id) if parent_id is not None else None
    permits.require("accounts.manage", actor, org_path=parent.path if parent else "/")
    org_id = session.scalar(text("SELECT nextval(pg_get_serial_sequence('organisation', 'id'))"))
    org = Organisation(id=org_id, parent_id=parent_id, code=code, kind=kind, name_zh=name_zh, name_en=name_en,
                       adcode=adcode, path=f"{parent.path if parent else '/'}{org_id}/")  # fmt: skip
    session.add(org)
    audit.record(session, actor=actor, now=now, action="accounts.org_created", subject_type="organisation",
                 subject_id=org.id, org_id=org.id, code=code, name_zh=name_zh, kind=kind)  # fmt: skip
    return org


def create_user(
    session: Session,
    *,
    username: str,
    name_zh: str,
    name_en: str,
    org_id: int,
    password: str,
    grants: list[tuple[Role, int]],
    actor: Actor,
    now: datetime,
    phone: str | None = None,
    password_hash: str | None = None,
    password_least: int = SHORTEST,
    renew_within_h: int | None = None,
) -> UserAccount:
    """Open an account. Who opens many with one first password passes its ``password_hash`` along.

    With ``renew_within_h`` the password is one of first use: it opens the account within so many hours and must be changed then.

    Grants come from whoever may grant: set-up gives them at once, in operation the security administrator gives them later.

    :raises NotAllowed: organisation or a grant outside the actor's sub-tree.
    :raises RuleBroken: username taken or of the wrong form, weak password.
    """
    org = queries.get_org(session, org_id=org_id)
    permits.require("accounts.manage", actor, org_path=org.path)
    if not rules.USERNAME.fullmatch(username):
        raise RuleBroken("accounts.username_form")
    if queries.find_user(session, username=username):
        raise RuleBroken("accounts.username_taken", username=username)
    rules.check_password_strength(password, username, least=password_least, words=(name_zh, name_en))
    user = UserAccount(username=username, name_zh=name_zh, name_en=name_en, org_id=org_id, phone=phone,
                       password_hash=password_hash or hash_password(password), created_at=now, grants=[])  # fmt: skip
    for role, where in grants:
        permits.require("accounts.grant", actor, org_path=queries.get_org(session, org_id=where).path)
        user.grants.append(RoleGrant(role=role, org_id=where))
    session.add(user)
    audit.record(session, actor=actor, now=now, action="accounts.user_created", subject_type="user_account",
                 subject_id=username, org_id=org_id, grants=[[role, where] for role, where in grants])  # fmt: skip
    if renew_within_h is not None:
        resets.put(session, user, secret_hash=user.password_hash, valid_h=renew_within_h, actor=actor, now=now)
    return user


def close_user(session: Session, *, user_id: int, actor: Actor, now: datetime) -> UserAccount:
    """Close an account: it can no longer sign in and its open sign-ins stop counting. Nobody closes their own.

    :raises RuleBroken: the actor's own account.
    """
    user = queries.get_user(session, user_id=user_id, actor=actor)
    if user.id == actor.user_id:
        raise RuleBroken("accounts.close_own")
    permits.require("accounts.manage", actor, org_path=user.org.path, owner_id=user.id)
    if user.closed_at is None:
        user.closed_at = now
        audit.record(session, actor=actor, now=now, action="accounts.user_closed", subject_type="user_account",
                     subject_id=user.id, org_id=user.org_id)  # fmt: skip
    return user


def grant(
    session: Session, *, user_id: int, role: Role, org_id: int, reason: str, actor: Actor, now: datetime
) -> RoleGrant:
    """Give an account a role at an organisation.

    :raises NotAllowed: not within the actor's reach, or the actor's own account.
    :raises RuleBroken: ``accounts.one_duty``, ``accounts.granted_already``, ``accounts.reason_missing``, ``accounts.is_closed``.
    """
    user, org = queries.get_user(session, user_id=user_id, actor=actor), queries.get_org(session, org_id=org_id)
    for path in (user.org.path, org.path):
        permits.require("accounts.grant", actor, org_path=path, owner_id=user.id)
    if len(reason.strip()) < 4:
        raise RuleBroken("accounts.reason_missing")
    if user.closed_at is not None:
        raise RuleBroken("accounts.is_closed")
    if any((held.role, held.org_id) == (role, org_id) for held in user.grants):
        raise RuleBroken("accounts.granted_already")
    rules.check_one_duty([*(Role(held.role) for held in user.grants), role])
    made = RoleGrant(user_id=user.id, role=role, org_id=org_id)
    session.add(made)
    audit.record(session, actor=actor, now=now, action="accounts.granted", subject_type="user_account", subject_id=user.id,
                 org_id=org_id, role=role, reason=reason.strip())  # fmt: skip
    return made


def revoke(session: Session, *, user_id: int, grant_id: int, reason: str, actor: Actor, now: datetime) -> None:
    """Take a role back; it no longer counts at the account's next request.

    :raises NotAllowed: not within the actor's reach, or the actor's own account.
    :raises NotFound: no such grant of this account.
    :raises RuleBroken: ``accounts.reason_missing``.
    """
    user = queries.get_user(session, user_id=user_id, actor=actor)
    held = next((held for held in user.grants if held.id == grant_id), None)
    if held is None:
        raise NotFound("kit.not_found")
    permits.require("accounts.grant", actor, org_path=held.org.path, owner_id=user.id)
    if len(reason.strip()) < 4:
        raise RuleBroken("accounts.reason_missing")
    session.delete(held)
    audit.record(session, actor=actor, now=now, action="accounts.revoked", subject_type="user_account", subject_id=user.id,
                 org_id=held.org_id, role=held.role, reason=reason.strip())  # fmt: skip


def end_sign_ins(session: Session, *, user_id: int, actor: Actor, now: datetime) -> int:
    """End all sign-ins of somebody else; returns how many."""
    user = queries.get_user(session, user_id=user_id, actor=actor)
    permits.require("accounts.reset", actor, org_path=user.org.path, owner_id=user.id)
    return sign_ins.end_others(session, user_id=user.id, but="", actor=actor, now=now)


def set_password(session: Session, user: UserAccount, new: str, *, least: int, actor: Actor, now: datetime) -> None:
    """Set a person's new password in the place of the old one or of a one-time secret. As the system only.

    :raises RuleBroken: weak password, or ``accounts.password_same``.
    """
    rules.check_password_strength(new, user.username, least=least, words=(user.name_zh, user.name_en))
    if sign_ins.password_matches(sign_ins.stored_hash(session, user), new):
        raise RuleBroken("accounts.password_same")
    user.password_hash = hash_password(new)
    session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    audit.record(session, actor=actor, now=now, action="accounts.password_changed", subject_type="user_account",
                 subject_id=user.id, org_id=user.org_id)  # fmt: skip


def change_password(
    database: Database,
    *,
    old: str,
    new: str,
    token: str,
    limits: rules.Limits,
    origin: sign_ins.Origin,
    actor: Actor,
    now: datetime,
) -> None:
    """Set the actor's own password; every other sign-in of the account ends.

    :raises NotAllowed: ``accounts.old_password_wrong``, which counts like a failed sign-in; ``accounts.locked``.
    :raises RuleBroken: weak password.
    """
    wrong = False
    with database.transaction(SYSTEM) as session:
        user = session.get_one(UserAccount, actor.user_id)
        sign_ins.refuse_if_slowed_down(session, username=user.username, origin=origin, limits=limits, now=now)
        if sign_ins.password_matches(sign_ins.stored_hash(session, user), old):
            set_password(session, user, new, least=limits.password_least, actor=actor, now=now)
            sign_ins.end_others(session, user_id=user.id, but=token, actor=actor, now=now)
        else:
            wrong = True
            sign_ins.note_failure(
                session, username=user.username, user=user, origin=origin, now=now, why="own password"
            )
    if wrong:
        raise NotAllowed("accounts.old_password_wrong")


def administrators(grants: Sequence[RoleGrant]) -> bool:
    """Tell whether any of the grants is one of the three administrators'."""
    return any(held.role in ADMINISTRATORS for held in grants)
