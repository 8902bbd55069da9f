"""Writing of organisations, accounts, grants and sign-ins."""

import functools
import hashlib
import secrets
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.accounts import queries, rules
from fleetapp.accounts.models import Organisation, OrgKind, RoleGrant, SignIn, SignInKind, UserAccount
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import SYSTEM, Actor, Role
from fleetapp.kit.db import Database
from fleetapp.kit.errors import NotAllowed, RuleBroken

SEEN_EVERY = timedelta(minutes=1)


@functools.cache
def hasher() -> PasswordHasher:
    """Return argon2id at 19 MiB, 2 passes, 1 lane: OWASP's minimum, about 30 ms on the office server."""
    return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


@functools.cache
def _decoy_hash() -> str:
    return hasher().hash(secrets.token_urlsafe(16))


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return hasher().hash(password)


def password_matches(password_hash: str, password: str) -> bool:
    """Tell whether a password belongs to a hash."""
    try:
        return hasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def token_sha256(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def sign_in(
    database: Database,
    *,
    username: str,
    password: str,
    kind: SignInKind,
    now: datetime,
    max_h: int,
    failures: int,
    lock_min: int,
) -> tuple[str, Actor]:
    """Check a password and open a sign-in; returns its token and the actor.

    Takes the database, not a session: a failure is counted and logged although the call raises.

    :raises NotAllowed: ``accounts.locked``, or ``accounts.wrong_password`` for unknown, closed and wrong alike.
    """
    refused: NotAllowed | None = None
    with database.transaction(SYSTEM) as session:
        user = queries.find_user(session, username=username.strip().lower())
        if user is not None:
            session.refresh(user, with_for_update={"of": UserAccount})
        matches = password_matches(user.password_hash if user else _decoy_hash(), password)
        if user is None or user.closed_at is not None:
            refused = NotAllowed("accounts.wrong_password")
            audit.record(session, actor=SYSTEM, now=now, action="accounts.sign_in_refused", subject_type="user_account",
                         subject_id=None, org_id=None, username=username[:64])  # fmt: skip
        elif rules.is_locked(user.locked_until, now):
            refused = NotAllowed("accounts.locked", minutes=lock_min)
        elif not matches:
            user.failed_count, locked_until = rules.after_failure(
                user.failed_count, now=now, limit=failures, lock_min=lock_min
            )
            user.locked_until = locked_until
            refused = (
                NotAllowed("accounts.locked", minutes=lock_min)
                if locked_until
                else NotAllowed("accounts.wrong_password")
            )
            audit.record(session, actor=SYSTEM, now=now, action="accounts.sign_in_refused", subject_type="user_account",
                         subject_id=user.id, org_id=user.org_id, locked_until=locked_until)  # fmt: skip
        else:
            user.failed_count, user.locked_until, user.last_sign_in_at = 0, None, now
            token = secrets.token_urlsafe(32)
            expires_at = now + timedelta(hours=max_h)
            session.add(SignIn(user_id=user.id, kind=kind, token_sha256=token_sha256(token), created_at=now,
                               last_seen_at=now, expires_at=expires_at))  # fmt: skip
            who = queries.actor_of(user)
            audit.record(session, actor=who, now=now, action="accounts.signed_in", subject_type="user_account",
                         subject_id=user.id, org_id=user.org_id, kind=kind)  # fmt: skip
    if refused:
        raise refused
    return token, who


def resume(
    database: Database, *, token: str, now: datetime, idle_min: int, language: str = "zh", by_hand: bool = True
) -> Actor | None:
    """Return the actor of an open sign-in, or None when it has ended or expired; what a page asks by itself keeps none open."""
    with database.transaction(SYSTEM) as session:
        found = queries.find_open_sign_in(session, token_sha256=token_sha256(token))
        if found is None or found.user.closed_at is not None:
            return None
        idle = idle_min if found.kind == SignInKind.WEB else 24 * 60
        if not rules.is_open(last_seen_at=found.last_seen_at, expires_at=found.expires_at, ended_at=found.ended_at,
                             idle_min=idle, now=now):  # fmt: skip
            return None
        if by_hand and now - found.last_seen_at >= SEEN_EVERY:
            found.last_seen_at = now
        return queries.actor_of(found.user, language=language)


def sign_out(session: Session, *, token: str, actor: Actor, now: datetime) -> None:
    """End the sign-in of a token; a second time does nothing."""
    found = queries.find_open_sign_in(session, token_sha256=token_sha256(token))
    if found is not None and found.ended_at is None:
        found.ended_at = now
        audit.record(session, actor=actor, now=now, action="accounts.signed_out", subject_type="user_account",
                     subject_id=actor.user_id, org_id=actor.org_id)  # fmt: skip


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
) -> UserAccount:
    """Open an account with its roles. Who opens many with one first password passes its ``password_hash`` along.

    :raises NotAllowed: organisation or a grant outside the actor's sub-tree.
    :raises RuleBroken: username taken or of the wrong form, weak password.
    """
    org = queries.get_org(session, org_id=org_id)
    permits.require("accounts.manage", actor, org_path=org.path)
    if not rules.USERNAME.fullmatch(username):
        raise RuleBroken("accounts.username_form")
    if queries.find_user(session, username=username):
        raise RuleBroken("accounts.username_taken", username=username)
    rules.check_password_strength(password, username)
    user = UserAccount(username=username, name_zh=name_zh, name_en=name_en, org_id=org_id, phone=phone,
                       password_hash=password_hash or hash_password(password), created_at=now)  # fmt: skip
    for role, where in grants:
        permits.require("accounts.manage", actor, org_path=queries.get_org(session, org_id=where).path)
        user.grants.append(RoleGrant(role=role, org_id=where))
    session.add(user)
    audit.record(session, actor=actor, now=now, action="accounts.user_created", subject_type="user_account",
                 subject_id=username, org_id=org_id, grants=[[role, where] for role, where in grants])  # fmt: skip
    return user


def close_user(session: Session, *, user_id: int, actor: Actor, now: datetime) -> UserAccount:
    """Close an account: it can no longer sign in and its open sign-ins stop counting. Nobody closes their own.

    :raises RuleBroken: the actor's own account.
    """
    user = queries.get_user(session, user_id=user_id, actor=actor)
    permits.require("accounts.manage", actor, org_path=user.org.path)
    if user.id == actor.user_id:
        raise RuleBroken("accounts.close_own")
    if user.closed_at is None:
        user.closed_at = now
        audit.record(session, actor=actor, now=now, action="accounts.user_closed", subject_type="user_account",
                     subject_id=user.id, org_id=user.org_id)  # fmt: skip
    return user


def reset_password(session: Session, *, user_id: int, password: str, actor: Actor, now: datetime) -> None:
    """Set a new password and lift a lock.

    :raises RuleBroken: weak password.
    """
    user = queries.get_user(session, user_id=user_id, actor=actor)
    if user.id != actor.user_id:
        permits.require("accounts.manage", actor, org_path=user.org.path)
    rules.check_password_strength(password, user.username)
    user.password_hash, user.failed_count, user.locked_until = hash_password(password), 0, None
    audit.record(session, actor=actor, now=now, action="accounts.password_reset", subject_type="user_account",
                 subject_id=user.id, org_id=user.org_id)  # fmt: skip
