"""Who may do what, where, in which state: one table, read from ``config/permissions.toml``.

Scopes: ``own`` the actor's own row, ``unit`` a row of exactly the organisation of the grant, ``subtree`` a row of
that organisation or any below it.
"""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotAllowed

TABLE = Path(__file__).parents[2] / "config" / "permissions.toml"
SCOPES = ("own", "unit", "subtree")


@dataclass(frozen=True, slots=True)
class Permission:
    """One row of the table. ``states`` empty: any state. ``never_own``: refused on the actor's own row."""

    action: str
    roles: Mapping[Role, str]
    states: frozenset[str] = frozenset()
    never_own: bool = False


@functools.cache
def table() -> dict[str, Permission]:
    """Return the permission table by action."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    found = {}
    for action, row in rows.items():
        roles = {Role(role): scope for role, scope in row["roles"].items()}
        if unknown := set(roles.values()) - set(SCOPES):
            raise ValueError(f"{TABLE.name}: {action}: unknown scope {unknown}; use one of {SCOPES}.")
        found[action] = Permission(action, roles, frozenset(row.get("states", ())), row.get("never_own", False))
    return found


def may(
    action: str, actor: Actor, *, org_path: str | None = None, owner_id: int | None = None, state: str | None = None
) -> bool:
    """Tell whether ``actor`` may do ``action`` on a row of ``org_path`` owned by ``owner_id`` in ``state``.

    Without ``org_path`` it tells whether the action is open to the actor anywhere (for menus).
    """
    row = table()[action]
    if actor.has(Role.SYSTEM):
        return True
    is_own = owner_id is not None and owner_id == actor.user_id
    if row.never_own and is_own:
        return False
    if state is not None and row.states and state not in row.states:
        return False
    for grant in actor.grants:
        scope = row.roles.get(grant.role)
        if scope is None:
            continue
        if org_path is None and owner_id is None:
            return True
        if scope == "own" and is_own:
            return True
        if scope == "unit" and org_path == grant.org_path:
            return True
        if scope == "subtree" and org_path is not None and org_path.startswith(grant.org_path):
            return True
    return False


def require(
    action: str, actor: Actor, *, org_path: str | None = None, owner_id: int | None = None, state: str | None = None
) -> None:
    """Raise unless ``may``.

    :raises NotAllowed: ``kit.wrong_state`` when only the state is in the way, ``kit.own_row`` when it is the
        actor's own row, ``kit.not_allowed`` otherwise.
    """
    if may(action, actor, org_path=org_path, owner_id=owner_id, state=state):
        return
    if may(action, actor, org_path=org_path, owner_id=owner_id):
        raise NotAllowed("kit.wrong_state", action=action, state=state)
    if table()[action].never_own and owner_id is not None and owner_id == actor.user_id:
        raise NotAllowed("kit.own_row", action=action)
    raise NotAllowed("kit.not_allowed", action=action)
