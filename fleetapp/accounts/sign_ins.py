"""Opening, continuing and ending of sign-ins, by password, by a provider of identities, with or without a second factor."""

import functools
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from fleetapp.accounts import factors, queries, rules
from fleetapp.accounts.models import PasswordReset, SignIn, SignInFailure, SignInKind, UserAccount
from fleetapp.accounts.rules import Limits, Stage
from fleetapp.audit import service as audit
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.kit.errors import NotAllowed, NotFound

SEEN_EVERY = timedelta(minutes=1)
TOKEN_IDLE_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: network address and the program's own name."""

    address: str = ""
    program: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A new sign-in: its token, who it is, how far it has come."""

    token: str
    actor: Actor
    stage: Stage


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


def stored_hash(session: Session, user: UserAccount) -> str:
    """Return the hash of what opens an account: the password, or the one-time secret in its place. As the system only."""
    reset = session.get(PasswordReset, user.id)
    if reset is not None:
        return reset.secret_hash
    found: str = session.scalar(text("SELECT fleet_password_hash(:id)"), {"id": user.id}) or _decoy_hash()
    return found


def missing(
    session: Session, user: UserAccount, *, limits: Limits, code_given: bool, by_password: bool
) -> Stage:  # fmt: skip
    """Return what a sign-in still lacks; who came from a provider of identities needs no password here, so no new one."""
    return rules.next_stage(
        has_factor=factors.is_on(session, user_id=user.id), code_given=code_given,
        must_renew=by_password and session.get(PasswordReset, user.id) is not None,
        roles=[grant.role for grant in user.grants], required_of_administrators=limits.admin_second_factor,
    )  # fmt: skip


def token_sha256(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def refuse_if_slowed_down(session: Session, *, username: str, origin: Origin, limits: Limits, now: datetime) -> None:
    """Refuse a name or address with too many failures of late.

    :raises NotAllowed: ``accounts.locked``.
    """
    found = queries.failures(
        session, username=username, address=origin.address, since=now - timedelta(minutes=limits.lock_min)
    )
    known = found.overall >= limits.failures_overall and queries.is_known_address(
        session, username=username, address=origin.address, since=now - timedelta(days=limits.known_days)
    )
    if rules.is_slowed_down(found, limits, known_address=known):
        raise NotAllowed("accounts.locked", minutes=limits.lock_min)


def note_failure(
    session: Session, *, username: str, user: UserAccount | None, origin: Origin, now: datetime, why: str
) -> None:
    """Count a wrong password or code and log it."""
    session.add(SignInFailure(username=username, address=origin.address, at=now))
    audit.record(session, actor=SYSTEM, now=now, action="accounts.sign_in_refused", subject_type="user_account",
                 subject_id=user.id if user else None, org_id=user.org_id if user else None, username=username, why=why,
                 address=origin.address)  # fmt: skip


def forget_failures(session: Session, *, username: str, origin: Origin) -> None:
    """Let a success end the count of this name at this address."""
    session.execute(
        delete(SignInFailure).where(SignInFailure.username == username, SignInFailure.address == origin.address)
    )


def open_for(
    session: Session,
    user: UserAccount,
    *,
    kind: SignInKind,
    stage: Stage,
    origin: Origin,
    limits: Limits,
    now: datetime,
    way: str,
    issuer: str | None = None,
    issuer_session: str | None = None,
) -> Opened:
    """Open a sign-in of an account that has proved itself by ``way``; ``issuer`` and its session name a provider that vouched."""
    token = secrets.token_urlsafe(32)
    hours = limits.max_h if kind == SignInKind.WEB else limits.token_max_h
    session.add(SignIn(user_id=user.id, kind=kind, stage=stage, token_sha256=token_sha256(token), created_at=now, last_seen_at=now,
                       address=origin.address[:64], program=origin.program[:200], issuer=issuer, issuer_session=issuer_session, expires_at=now + timedelta(hours=hours)))  # fmt: skip
    who = queries.actor_of(user)
    if stage is Stage.FULL:
        user.last_sign_in_at = now
        audit.record(session, actor=who, now=now, action="accounts.signed_in", subject_type="user_account",
                     subject_id=user.id, org_id=user.org_id, kind=kind, way=way, address=origin.address)  # fmt: skip
    return Opened(token, who, stage)


def sign_in(
    database: Database,
    *,
    username: str,
    password: str,
    kind: SignInKind,
    now: datetime,
    limits: Limits,
    origin: Origin = Origin(),
    key: str = "",
    code: str = "",
) -> Opened:
    """Check a password and open a sign-in; a program sends the code of the second factor along.

    Takes the database, not a session: a failure is counted and logged although the call raises. Failures of one name from one
    address are counted one after another, so that many at once get no more tries than as many in a row.

    :raises NotAllowed: ``accounts.locked``, ``accounts.wrong_password`` for unknown, closed and wrong alike, ``accounts.reset_late``
        for a one-time secret that is right but too late; for programs also ``accounts.code_needed``, ``accounts.wrong_code``,
        ``accounts.renew_first`` and ``accounts.enrol_first``.
    """
    name = username.strip().lower()[:64]
    refused: NotAllowed | None = None
    opened: Opened | None = None
    with database.transaction(SYSTEM) as session:
        session.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(f"sign_in {name} {origin.address}", 0)))
        )
        refuse_if_slowed_down(session, username=name, origin=origin, limits=limits, now=now)
        user = queries.find_user(session, username=name)
        matches = password_matches(stored_hash(session, user) if user else _decoy_hash(), password)
        if user is None or user.closed_at is not None or not matches:
            refused = NotAllowed("accounts.wrong_password")
            note_failure(session, username=name, user=user, origin=origin, now=now, why="password")
        elif (reset := session.get(PasswordReset, user.id)) is not None and now >= reset.expires_at:
            refused = NotAllowed("accounts.reset_late")
        else:
            stage = missing(session, user, limits=limits, code_given=False, by_password=True)
            if kind == SignInKind.API and stage is Stage.CODE:
                if not code:
                    refused = NotAllowed("accounts.code_needed")
                elif not factors.takes(session, user_id=user.id, code=code, key=key, now=now):
                    refused = NotAllowed("accounts.wrong_code")
                    note_failure(session, username=name, user=user, origin=origin, now=now, why="code")
                stage = missing(session, user, limits=limits, code_given=True, by_password=True)
            if refused is None and kind == SignInKind.API and stage is not Stage.FULL:
                refused = NotAllowed(f"accounts.{stage}_first")
            if refused is None:
                if stage is Stage.FULL:
                    forget_failures(session, username=name, origin=origin)
                opened = open_for(
                    session, user, kind=kind, stage=stage, origin=origin, limits=limits, now=now, way="password"
                )
    if refused or opened is None:
        raise refused or NotAllowed("accounts.wrong_password")
    return opened


def _current(session: Session, *, token: str, now: datetime, limits: Limits) -> SignIn | None:
    found = queries.find_open_sign_in(session, token_sha256=token_sha256(token)) if token else None
    if found is None or found.user.closed_at is not None:
        return None
    idle = limits.idle_min if found.kind == SignInKind.WEB else TOKEN_IDLE_MIN
    counts = rules.is_open(last_seen_at=found.last_seen_at, expires_at=found.expires_at, ended_at=found.ended_at, idle_min=idle,
                           now=now)  # fmt: skip
    return found if counts else None


def resume(
    database: Database, *, token: str, now: datetime, limits: Limits, language: str = "zh", by_hand: bool = True
) -> Actor | None:
    """Return the actor of an open sign-in, or None when it has ended or expired; what a page asks by itself keeps none open."""
    with database.transaction(SYSTEM) as session:
        found = _current(session, token=token, now=now, limits=limits)
        if found is None or found.stage != Stage.FULL:
            return None
        if by_hand and now - found.last_seen_at >= SEEN_EVERY:
            found.last_seen_at = now
        return queries.actor_of(found.user, language=language)


def unfinished(session: Session, *, token: str, now: datetime, limits: Limits) -> SignIn | None:
    """Return the sign-in that still lacks a step, None when there is no such or ten minutes are over."""
    found = _current(session, token=token, now=now, limits=limits)
    if found is None or found.stage == Stage.FULL or now - found.created_at > timedelta(minutes=10):
        return None
    return found


def go_on(session: Session, found: SignIn, *, origin: Origin, limits: Limits, now: datetime, way: str) -> Opened:
    """Put a sign-in that has come one step further, under a new token, in the place of an unfinished one whose code was given."""
    found.ended_at = now
    stage = missing(session, found.user, limits=limits, code_given=True, by_password=found.issuer is None)
    forget_failures(session, username=found.user.username, origin=origin)
    return open_for(session, found.user, kind=SignInKind(found.kind), stage=stage, origin=origin, limits=limits, now=now,
                    way=way, issuer=found.issuer, issuer_session=found.issuer_session)  # fmt: skip


def sign_out(session: Session, *, token: str, actor: Actor, now: datetime) -> None:
    """End the sign-in of a token; a second time does nothing."""
    found = queries.find_open_sign_in(session, token_sha256=token_sha256(token))
    if found is not None and found.ended_at is None:
        found.ended_at = now
        audit.record(session, actor=actor, now=now, action="accounts.signed_out", subject_type="user_account",
                     subject_id=found.user_id, org_id=found.user.org_id)  # fmt: skip


def end_others(session: Session, *, user_id: int, but: str, actor: Actor, now: datetime) -> int:
    """End every open sign-in of an account but the one of a token (none if empty); returns how many."""
    kept = token_sha256(but) if but else ""
    open_now: Sequence[SignIn] = session.scalars(queries.open_sign_ins(user_id, now=now)).all()
    others = [one for one in open_now if one.token_sha256 != kept]
    for one in others:
        one.ended_at = now
    if others:
        audit.record(session, actor=actor, now=now, action="accounts.sign_ins_ended", subject_type="user_account",
                     subject_id=user_id, org_id=actor.org_id, number=len(others))  # fmt: skip
    return len(others)


def end_one(session: Session, *, sign_in_id: int, actor: Actor, now: datetime) -> None:
    """End one of the actor's own sign-ins.

    :raises NotFound: no such, or somebody else's.
    """
    found = session.get(SignIn, sign_in_id)
    if found is None or found.user_id != actor.user_id:
        raise NotFound("kit.not_found")
    if found.ended_at is None:
        found.ended_at = now
        audit.record(session, actor=actor, now=now, action="accounts.sign_ins_ended", subject_type="user_account",
                     subject_id=actor.user_id, org_id=actor.org_id, number=1)  # fmt: skip
