"""The second factor: time-based one-time codes and the recovery codes that stand in for them."""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

import pyotp
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from fleetapp.accounts import rules
from fleetapp.accounts.models import RecoveryCode, SecondFactor
from fleetapp.audit import service as audit
from fleetapp.kit import sealed
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken

PURPOSE = "second factor"
RECOVERY_CODES = 8
ISSUER = "公务用车管理"


def is_on(session: Session, *, user_id: int) -> bool:
    """Tell whether an account has a second factor that has proved itself."""
    found = session.get(SecondFactor, user_id)
    return found is not None and found.confirmed_at is not None


def begin(session: Session, *, user_id: int, key: str, now: datetime) -> str:
    """Make a new secret to be shown, in place of one that was never confirmed; returns it in base32.

    :raises RuleBroken: ``accounts.factor_on``, there is one already.
    """
    found = session.get(SecondFactor, user_id, with_for_update=True)
    if found is not None and found.confirmed_at is not None:
        raise RuleBroken("accounts.factor_on")
    secret = pyotp.random_base32()
    if found is None:
        session.add(SecondFactor(user_id=user_id, sealed=sealed.seal(key, PURPOSE, secret), created_at=now))
    else:
        found.sealed, found.created_at = sealed.seal(key, PURPOSE, secret), now
    return secret


def pending_secret(session: Session, *, user_id: int, key: str) -> str | None:
    """Return the secret that waits to be confirmed."""
    found = session.get(SecondFactor, user_id)
    return sealed.unseal(key, PURPOSE, found.sealed) if found and found.confirmed_at is None else None


def address(secret: str, username: str) -> str:
    """Return what the QR code says to an authenticator."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER)


def confirm(session: Session, *, user_id: int, code: str, key: str, actor: Actor, now: datetime) -> list[str]:
    """Switch the second factor on with a first code; returns the recovery codes, which are shown this once.

    :raises RuleBroken: ``accounts.wrong_code``, or ``accounts.factor_on``: nothing waits to be confirmed.
    """
    found = session.get(SecondFactor, user_id, with_for_update=True)
    if found is None or found.confirmed_at is not None:
        raise RuleBroken("accounts.factor_on")
    step = rules.step_of(sealed.unseal(key, PURPOSE, found.sealed), code, now=now, last_step=found.last_step)
    if step is None:
        raise RuleBroken("accounts.wrong_code")
    found.confirmed_at, found.last_step = now, step
    codes = new_recovery_codes(session, user_id=user_id)
    audit.record(session, actor=actor, now=now, action="accounts.factor_on", subject_type="user_account", subject_id=user_id,
                 org_id=actor.org_id)  # fmt: skip
    return codes


def new_recovery_codes(session: Session, *, user_id: int) -> list[str]:
    """Make recovery codes in place of the old ones."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(user_id=user_id, sha256=_sha256(code)) for code in codes)
    return [f"{code[:4]}-{code[4:8]}-{code[8:12]}-{code[12:]}" for code in codes]


def _sha256(code: str) -> str:
    return hashlib.sha256("".join(code.split()).replace("-", "").lower().encode()).hexdigest()


def takes(session: Session, *, user_id: int, code: str, key: str, now: datetime) -> bool:
    """Use up a code: one of the authenticator's that is newer than the last, or a recovery code; tells whether it was good."""
    found = session.get(SecondFactor, user_id, with_for_update=True)
    if found is None or found.confirmed_at is None:
        return False
    step = rules.step_of(sealed.unseal(key, PURPOSE, found.sealed), code, now=now, last_step=found.last_step)
    if step is not None:
        found.last_step = step
        return True
    used = update(RecoveryCode).where(
        RecoveryCode.user_id == user_id, RecoveryCode.sha256 == _sha256(code), RecoveryCode.used_at.is_(None)
    )
    return session.scalar(used.values(used_at=now).returning(RecoveryCode.id)) is not None


def unused_recovery_codes(session: Session, *, user_id: int) -> int:
    """Return how many recovery codes are left."""
    left: Sequence[int] = session.scalars(
        select(RecoveryCode.id).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    ).all()
    return len(left)
