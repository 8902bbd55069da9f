"""Signing in with an identity from elsewhere: accounts are linked, never made, and an administrator's only by himself."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.accounts import factors, queries, rules, sign_ins
from fleetapp.accounts.models import ExternalIdentity, SignInKind, UserAccount
from fleetapp.accounts.providers import Identity
from fleetapp.accounts.rules import Limits
from fleetapp.accounts.service import administrators
from fleetapp.audit import service as audit
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.kit.errors import NotAllowed, RuleBroken


def find_link(session: Session, identity: Identity) -> ExternalIdentity | None:
    """Return the link of an issuer's subject."""
    return session.scalar(
        select(ExternalIdentity).where(
            ExternalIdentity.issuer == identity.issuer, ExternalIdentity.subject == identity.subject
        )
    )


def link(session: Session, user: UserAccount, identity: Identity, *, actor: Actor, now: datetime) -> None:
    """Say that an account is this identity.

    :raises RuleBroken: ``accounts.linked_otherwise``, the account or the identity is linked with another.
    """
    taken = find_link(session, identity)
    other = session.scalar(
        select(ExternalIdentity.id).where(
            ExternalIdentity.issuer == identity.issuer, ExternalIdentity.user_id == user.id
        )
    )
    if taken is not None or other is not None:
        raise RuleBroken("accounts.linked_otherwise")
    session.add(ExternalIdentity(user_id=user.id, issuer=identity.issuer, subject=identity.subject, linked_at=now))
    audit.record(session, actor=actor, now=now, action="accounts.linked", subject_type="user_account", subject_id=user.id,
                 org_id=user.org_id, issuer=identity.issuer, subject=identity.subject)  # fmt: skip


def sign_in(
    database: Database, *, identity: Identity, limits: Limits, origin: sign_ins.Origin, now: datetime
) -> sign_ins.Opened:
    """Open a sign-in for an identity; the first time it is linked with the account of that name.

    :raises NotAllowed: ``accounts.no_account``; ``accounts.link_first``: an administrator signs in with the password and
        links the identity on the own page.
    :raises RuleBroken: ``accounts.linked_otherwise``.
    """
    with database.transaction(SYSTEM) as session:
        found = find_link(session, identity)
        user = found.user if found else queries.find_user(session, username=identity.name.strip().lower())
        if user is None or user.closed_at is not None:
            raise NotAllowed("accounts.no_account", name=identity.name)
        if found is None:
            if administrators(user.grants):
                raise NotAllowed("accounts.link_first")
            link(session, user, identity, actor=SYSTEM, now=now)
        stage = rules.next_stage(
            has_factor=factors.is_on(session, user_id=user.id), roles=[grant.role for grant in user.grants],
            required_of_administrators=limits.admin_second_factor,
        )  # fmt: skip
        return sign_ins.open_for(session, user, kind=SignInKind.WEB, stage=stage, origin=origin, limits=limits, now=now,
                                 way=identity.issuer)  # fmt: skip
