"""Signing in with an identity from elsewhere: accounts are linked, never made, and an administrator's only by himself."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.accounts import queries, sign_ins
from fleetapp.accounts.models import ExternalIdentity, LogoutToken, SignIn, SignInKind, UserAccount
from fleetapp.accounts.providers import LOGOUT_OLDEST, Identity, LoggedOut
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
        stage = sign_ins.missing(session, user, limits=limits, code_given=False, by_password=False)
        return sign_ins.open_for(session, user, kind=SignInKind.WEB, stage=stage, origin=origin, limits=limits, now=now,
                                 way=identity.issuer, issuer=identity.issuer, issuer_session=identity.session)  # fmt: skip


def signed_out_there(database: Database, *, told: LoggedOut, now: datetime) -> int:
    """End the sign-ins that came from a session that has ended at its provider; returns how many, none is no fault.

    With a session's name those of that session, else all that the subject opened through this provider. Those opened with the
    password or as a program's token go on: the provider has not vouched for them.

    :raises NotAllowed: ``accounts.provider_refused``, the message was taken before.
    """
    with database.transaction(SYSTEM) as session:
        session.execute(delete(LogoutToken).where(LogoutToken.taken_at < now - 2 * LOGOUT_OLDEST))
        taken = insert(LogoutToken).values(issuer=told.issuer, jti=told.jti, taken_at=now).on_conflict_do_nothing()
        if session.scalar(taken.returning(LogoutToken.jti)) is None:
            raise NotAllowed("accounts.provider_refused", why="jti")
        ended = select(SignIn).where(SignIn.issuer == told.issuer, SignIn.ended_at.is_(None))
        if told.session is not None:
            ended = ended.where(SignIn.issuer_session == told.session)
        if told.subject is not None:
            whose = select(ExternalIdentity.user_id)
            ended = ended.where(SignIn.user_id.in_(
                whose.where(ExternalIdentity.issuer == told.issuer, ExternalIdentity.subject == told.subject)))  # fmt: skip
        found = session.scalars(ended).all()
        for one in found:
            one.ended_at = now
            audit.record(session, actor=SYSTEM, now=now, action="accounts.signed_out_there", subject_type="user_account",
                         subject_id=one.user_id, org_id=one.user.org_id, issuer=told.issuer)  # fmt: skip
        return len(found)
