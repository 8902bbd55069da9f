"""Organisation, users, grants and sign-ins."""

from datetime import date
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from fleetapp.accounts.rules import Stage
from fleetapp.kit.actor import Role
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base


class OrgKind(StrEnum):
    """Level of an organisation; operators run cars for others and hang on any level."""

    CITY = "city"
    DISTRICT = "district"
    UNIT = "unit"
    OFFICE = "office"
    OPERATOR = "operator"


class Organisation(Base):
    """A node of the tree. ``path`` is ``/1/4/17/``: the ids from the root to this node, so a prefix is a sub-tree."""

    __tablename__ = "organisation"
    __table_args__ = (
        one_of("kind", OrgKind),
        CheckConstraint("path ~ '^/([0-9]+/)+$'", name="path_form"),
        Index("ix_organisation_path", "path", postgresql_ops={"path": "text_pattern_ops"}),
    )

    id: Mapped[Id]
    parent_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    code: Mapped[Str] = mapped_column(unique=True)
    kind: Mapped[Str]
    name_zh: Mapped[Str]
    name_en: Mapped[Str]
    adcode: Mapped[OptionalStr]
    path: Mapped[Str] = mapped_column(unique=True)
    closed_on: Mapped[date | None] = mapped_column(Date)

    parent: Mapped["Organisation | None"] = relationship(remote_side="Organisation.id")


class UserAccount(Base):
    """A person's account, known by role and unit in the demo.

    ``password_hash`` is argon2id, and written only: the application's role may not select it (``queries.password_hash``).
    """

    __tablename__ = "user_account"
    __table_args__ = (CheckConstraint("username ~ '^[a-z0-9][a-z0-9._-]{1,63}$'", name="username_form"),)

    id: Mapped[Id]
    username: Mapped[Str] = mapped_column(unique=True)
    name_zh: Mapped[Str]
    name_en: Mapped[Str]
    org_id: Mapped[OrgId]
    phone: Mapped[OptionalStr]
    password_hash: Mapped[str] = mapped_column(Text, deferred=True, deferred_raiseload=True)
    closed_at: Mapped[OptionalMoment]
    last_sign_in_at: Mapped[OptionalMoment]
    created_at: Mapped[Moment]

    org: Mapped[Organisation] = relationship()
    grants: Mapped[list["RoleGrant"]] = relationship(back_populates="user", order_by="RoleGrant.id")


DUTY = text("(CASE role WHEN 'system_admin' THEN 1 WHEN 'security_admin' THEN 2 WHEN 'audit_admin' THEN 3 ELSE 0 END)")
"""Which of the three administrators a role is; 0 is everybody else."""


class RoleGrant(Base):
    """A role of a user at a node of the tree; whoever has one of the three administrators' roles has no other role."""

    __tablename__ = "role_grant"
    __table_args__ = (
        UniqueConstraint("user_id", "role", "org_id"),
        one_of("role", Role),
        CheckConstraint("role <> 'system'", name="not_system"),
        ExcludeConstraint(("user_id", "="), (DUTY, "<>"), name="ex_role_grant_one_duty", using="gist"),
    )

    id: Mapped[Id]
    user_id: Mapped[UserId]
    role: Mapped[Str]
    org_id: Mapped[OrgId]

    user: Mapped[UserAccount] = relationship(back_populates="grants")
    org: Mapped[Organisation] = relationship()


class SignInKind(StrEnum):
    """A browser session (cookie) or a bearer token for programs."""

    WEB = "web"
    API = "api"


class SignIn(Base):
    """An open sign-in; only the SHA-256 of its token is kept. It acts as its account once its stage is ``full``.

    ``issuer`` and ``issuer_session`` (``sid``) say which session of which provider of identities it came from, if it did:
    the provider ends it by these names.
    """

    __tablename__ = "sign_in"
    __table_args__ = (one_of("kind", SignInKind), one_of("stage", Stage))

    id: Mapped[Id]
    user_id: Mapped[UserId] = mapped_column(index=True)
    kind: Mapped[Str]
    stage: Mapped[Str] = mapped_column(server_default=text("'full'"), default=Stage.FULL)
    address: Mapped[OptionalStr]
    program: Mapped[OptionalStr]
    issuer: Mapped[OptionalStr]
    issuer_session: Mapped[OptionalStr]
    token_sha256: Mapped[Str] = mapped_column(unique=True)
    created_at: Mapped[Moment]
    last_seen_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    ended_at: Mapped[OptionalMoment]

    user: Mapped[UserAccount] = relationship()


class SignInFailure(Base):
    """A wrong password or code, by name and address; whether there is such an account is not said here."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (Index("ix_sign_in_failure_at", "at"),)

    id: Mapped[Id]
    username: Mapped[Str]
    address: Mapped[Str]
    at: Mapped[Moment]


class SecondFactor(Base):
    """A person's time-based one-time codes (RFC 6238). ``sealed`` is the secret under the installation's key.

    ``confirmed_at`` None: shown, but no code has proved yet that it was taken over. ``last_step`` is the half minute of the
    last code that was taken; that one and those before are not taken again.
    """

    __tablename__ = "second_factor"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("user_account.id"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), default=0)
    created_at: Mapped[Moment]
    confirmed_at: Mapped[OptionalMoment]


class RecoveryCode(Base):
    """A code that stands in for the second factor once; only its SHA-256 is kept, it has 80 random bits."""

    __tablename__ = "recovery_code"

    id: Mapped[Id]
    user_id: Mapped[UserId] = mapped_column(index=True)
    sha256: Mapped[Str]
    used_at: Mapped[OptionalMoment]


class PasswordReset(Base):
    """A one-time secret that stands in the place of a password until its person has chosen a new one.

    While the row is there the password before does not count, and the secret only until ``expires_at``.
    """

    __tablename__ = "password_reset"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("user_account.id"), primary_key=True)
    secret_hash: Mapped[Str]
    made_by_id: Mapped[OptionalUserId]
    made_at: Mapped[Moment]
    expires_at: Mapped[Moment]


class ExternalIdentity(Base):
    """Who an account is at a provider of identities: its issuer and the subject there, never a name that may be given anew."""

    __tablename__ = "external_identity"
    __table_args__ = (UniqueConstraint("issuer", "subject"), UniqueConstraint("issuer", "user_id"))

    id: Mapped[Id]
    user_id: Mapped[UserId]
    issuer: Mapped[Str]
    subject: Mapped[Str]
    linked_at: Mapped[Moment]

    user: Mapped[UserAccount] = relationship()


class LogoutToken(Base):
    """A logout token of a provider that was taken; it is not taken again while its time runs."""

    __tablename__ = "logout_token"

    issuer: Mapped[Str] = mapped_column(primary_key=True)
    jti: Mapped[Str] = mapped_column(primary_key=True)
    taken_at: Mapped[Moment]


class StateStep:
    """What every table of steps has: one change of a state, by whom and when; a table adds what it is a step of."""

    id: Mapped[Id]
    action: Mapped[Str]
    from_state: Mapped[OptionalStr]
    to_state: Mapped[Str]
    actor_id: Mapped[OptionalUserId]
    at: Mapped[Moment]
    note: Mapped[OptionalStr]

    @declared_attr
    def actor(self) -> Mapped[UserAccount | None]:
        """Who took the step, None for the system."""
        return relationship()
