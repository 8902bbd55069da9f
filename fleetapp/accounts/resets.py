"""What an administrator takes away so that somebody can come in again: a forgotten password, a lost second factor.

Never by the person, and never both by one administrator: who took the one away could sign in with the other.
"""

import base64
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from fleetapp.accounts import factors, queries, rules, sign_ins
from fleetapp.accounts.models import PasswordReset, RecoveryCode, SecondFactor, UserAccount
from fleetapp.audit import queries as log
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken


def _looked_after(session: Session, *, user_id: int, reason: str, actor: Actor) -> UserAccount:
    user = queries.get_user(session, user_id=user_id, actor=actor)
    permits.require("accounts.reset", actor, org_path=user.org.path, owner_id=user.id)
    if len(reason.strip()) < 4:
        raise RuleBroken("accounts.reason_missing")
    if user.closed_at is not None:
        raise RuleBroken("accounts.is_closed")
    return user


def _refuse_both_by_one(session: Session, user: UserAccount, *, other: str, actor: Actor) -> None:
    since = user.last_sign_in_at or datetime.fromtimestamp(0, UTC)
    if log.did(
        session, actor_id=actor.user_id, action=other, subject_type="user_account", subject_id=user.id, since=since
    ):
        raise RuleBroken("accounts.reset_by_two")


def password(session: Session, *, user_id: int, reason: str, valid_h: int, actor: Actor, now: datetime) -> str:
    """Put a one-time secret in the place of somebody's password and end all sign-ins; returns it, to be shown this once.

    The person signs in with it within ``valid_h`` hours, gives the code of the second factor as ever, and chooses a password.

    :raises NotAllowed: not within the actor's reach, or the actor's own.
    :raises RuleBroken: ``accounts.reason_missing``, ``accounts.is_closed``, ``accounts.reset_by_two``: the actor took the second
        factor away since the person last signed in; ``accounts.reset_other_duty``.
    """
    user = _looked_after(session, user_id=user_id, reason=reason, actor=actor)
    _refuse_both_by_one(session, user, other="accounts.factor_reset", actor=actor)
    rules.check_reset_keeps_duties_apart(
        of=[held.role for held in user.grants], by=[held.role for held in actor.grants],
        has_factor=factors.is_on(session, user_id=user.id),
    )  # fmt: skip
    drawn = base64.b32encode(secrets.token_bytes(15)).decode().lower()
    secret = "-".join(drawn[at : at + 4] for at in range(0, len(drawn), 4))
    put(session, user, secret_hash=sign_ins.hash_password(secret), valid_h=valid_h, actor=actor, now=now)
    sign_ins.end_others(session, user_id=user.id, but="", actor=actor, now=now)
    audit.record(session, actor=actor, now=now, action="accounts.password_reset", subject_type="user_account", subject_id=user.id,
                 org_id=user.org_id, reason=reason.strip(), valid_h=valid_h)  # fmt: skip
    return secret


def put(
    session: Session, user: UserAccount, *, secret_hash: str, valid_h: int, actor: Actor, now: datetime
) -> None:  # fmt: skip
    """Let a secret count in the place of an account's password, in that of an earlier one too."""
    found = session.get(PasswordReset, user.id)
    if found is None:
        session.add(found := PasswordReset(user_id=user.id))
    found.secret_hash, found.made_by_id, found.made_at = secret_hash, actor.user_id, now
    found.expires_at = now + timedelta(hours=valid_h)


def factor(session: Session, *, user_id: int, reason: str, actor: Actor, now: datetime) -> None:
    """Take somebody's lost second factor away, recovery codes too, and end all sign-ins.

    :raises NotAllowed: not within the actor's reach, or the actor's own.
    :raises RuleBroken: ``accounts.reason_missing``, ``accounts.is_closed``, ``accounts.factor_off``, ``accounts.reset_by_two``: the
        actor reset the password since the person last signed in.
    """
    user = _looked_after(session, user_id=user_id, reason=reason, actor=actor)
    _refuse_both_by_one(session, user, other="accounts.password_reset", actor=actor)
    found = session.get(SecondFactor, user_id)
    if found is None:
        raise RuleBroken("accounts.factor_off")
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.delete(found)
    sign_ins.end_others(session, user_id=user.id, but="", actor=actor, now=now)
    audit.record(session, actor=actor, now=now, action="accounts.factor_reset", subject_type="user_account", subject_id=user_id,
                 org_id=user.org_id, reason=reason.strip())  # fmt: skip
