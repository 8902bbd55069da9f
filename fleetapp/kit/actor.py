"""Who acts: a person or the system, with the roles granted and where."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Roles of the field; what each may do is data in ``config/permissions.toml``."""

    APPLICANT = "applicant"
    UNIT_ADMIN = "unit_admin"
    APPROVER = "approver"
    DISPATCHER = "dispatcher"
    DRIVER = "driver"
    FLEET_MANAGER = "fleet_manager"
    VEHICLE_OFFICE = "vehicle_office"
    FINANCE = "finance"
    AUDITOR = "auditor"
    LEADER = "leader"
    SYSTEM_ADMIN = "system_admin"
    SECURITY_ADMIN = "security_admin"
    AUDIT_ADMIN = "audit_admin"
    SYSTEM = "system"


ADMINISTRATORS = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN})
"""Opens accounts, grants roles, reads the log: an account with one of these three roles has no other."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role at a place in the organisation tree; ``org_path`` is like ``/1/4/17/``."""

    role: Role
    org_id: int
    org_path: str


@dataclass(frozen=True, slots=True)
class Actor:
    """The identity every service and query takes as an argument."""

    user_id: int | None
    name: str
    grants: tuple[Grant, ...]
    org_id: int | None = None
    org_path: str = ""

    def has(self, *roles: Role) -> bool:
        """Tell whether any of the roles is held anywhere."""
        return any(grant.role in roles for grant in self.grants)

    def paths(self, roles: Iterable[Role] | None = None) -> tuple[str, ...]:
        """Return the tree paths granted, for all roles or some; sub-trees of another path are left out."""
        wanted = None if roles is None else frozenset(roles)
        found = sorted({grant.org_path for grant in self.grants if wanted is None or grant.role in wanted})
        return tuple(path for path in found if not any(path != top and path.startswith(top) for top in found))


SYSTEM = Actor(user_id=None, name="system", grants=(Grant(Role.SYSTEM, 0, "/"),), org_path="/")
"""Scheduled jobs, sign-in and set-up act as this; it sees the whole tree."""
