"""Every cell of the permission table against ``permissions.csv``, which lists in plain words everything that is allowed.

A line says: this role may do this action on rows in these relations to the actor, in these states (``*``: any). Whatever has
no line is refused. Change a permission in both files, on purpose.

Relations: ``own`` the actor's own row in the unit of the grant, ``own_elsewhere`` the actor's own row in another branch, ``unit``
somebody else's row in that unit, ``below`` one of a sub-unit, ``outside`` one of another branch or of the level above.
"""

import csv
from enum import StrEnum
from pathlib import Path

import pytest

from fleetapp.acquisitions.models import IndicatorState
from fleetapp.disposal.models import DisposalState
from fleetapp.findings.models import FindingState
from fleetapp.kit import permits
from fleetapp.kit.actor import SYSTEM, Actor, Grant, Role
from fleetapp.kit.errors import NotAllowed
from fleetapp.orders.models import OrderState
from fleetapp.seals.rules import RecordState
from fleetapp.sharing.rules import LoanState, RequestState
from fleetapp.upkeep.models import WorkState
from fleetapp.vehicles.models import VehicleState

ME, OTHER = 7, 8
HERE = "/1/4/"
RELATIONS = {
    # relation: (path, owner) of the rows to try; /1/41/ begins with the same characters but is another branch
    "own": [(HERE, ME)],
    "own_elsewhere": [("/1/41/", ME), ("/1/5/", ME)],
    "unit": [(HERE, OTHER), (HERE, None)],
    "below": [("/1/4/17/", OTHER), ("/1/4/17/99/", None)],
    "outside": [("/1/41/", OTHER), ("/1/5/", None), ("/1/", OTHER), ("/", None)],
}
STATES = {
    "orders": OrderState,
    "planning": OrderState,
    "duty": OrderState,
    "confirmations": OrderState,
    "vehicles": VehicleState,
    "findings": FindingState,
    "indicators": IndicatorState,
    "disposal": DisposalState,
    "dossier": VehicleState,
    "seals": RecordState,
    "upkeep": WorkState,
    "sharing": StrEnum(
        "SharingState", {state.name: state.value for kind in (RequestState, LoanState, OrderState) for state in kind}
    ),
}
ROLES = [role for role in Role if role is not Role.SYSTEM]


def read_expected():
    with (Path(__file__).parent / "permissions.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    found = {
        (line["action"], line["role"]): (set(line["relations"].split()), set(line["states"].split())) for line in lines
    }
    assert len(found) == len(lines), "a line stands twice"
    return found


EXPECTED = read_expected()


def actor_with(role: Role) -> Actor:
    return Actor(user_id=ME, name="x", grants=(Grant(role, 4, HERE),), org_id=4, org_path=HERE)


def states_of(action: str) -> list[str | None]:
    if not permits.table()[action].states:
        return [None, "ANY_OTHER"]
    return [state.value for state in STATES[action.split(".", maxsplit=1)[0]]]


@pytest.mark.parametrize("action", sorted(permits.table()))
def test_every_cell_is_as_listed(action):
    wrong = []
    for role in ROLES:
        relations, states = EXPECTED.get((action, role.value), (set(), set()))
        actor = actor_with(role)
        for relation, rows in RELATIONS.items():
            for state in states_of(action):
                expected = relation in relations and ("*" in states or state in states)
                for org_path, owner_id in rows:
                    found = permits.may(action, actor, org_path=org_path, owner_id=owner_id, state=state)
                    if found is not expected:
                        wrong.append((role.value, relation, org_path, state, found))
    assert wrong == [], "config/permissions.toml and tests/kit/permissions.csv differ"


def test_the_list_names_only_what_exists():
    assert {action for action, _ in EXPECTED} <= permits.table().keys()
    assert {role for _, role in EXPECTED} <= {role.value for role in ROLES}
    for (action, _), (relations, states) in EXPECTED.items():
        assert relations, action
        assert relations <= RELATIONS.keys(), action
        assert states == {"*"} or states <= set(states_of(action)), action


def test_states_of_the_table_exist():
    for action, row in permits.table().items():
        if row.states:
            assert row.states <= {state.value for state in STATES[action.split(".")[0]]}, action


@pytest.mark.parametrize(
    "action",
    [
        "orders.approve",
        "planning.assign",
        "findings.review",
        "indicators.approve",
        "disposal.decide",
        "upkeep.approve",
        "sharing.answer",
        "sharing.outsource",
    ],
)
def test_nobody_decides_on_an_own_row_with_all_roles_together(action):
    everything = Actor(
        user_id=ME, name="x", grants=tuple(Grant(role, 1, "/1/") for role in ROLES), org_id=1, org_path="/1/"
    )
    assert permits.table()[action].never_own
    for state in permits.table()[action].states:
        assert permits.may(action, everything, org_path="/1/", owner_id=OTHER, state=state)
        assert not permits.may(action, everything, org_path="/1/", owner_id=ME, state=state)
        with pytest.raises(NotAllowed) as refused:
            permits.require(action, everything, org_path="/1/", owner_id=ME, state=state)
        assert refused.value.code == "kit.own_row"


@pytest.mark.parametrize("action", sorted(permits.table()))
def test_without_a_grant_nothing_is_allowed_and_the_system_may_do_everything(action):
    stranger = Actor(user_id=ME, name="x", grants=(), org_id=4, org_path=HERE)
    for org_path, owner_id in [(HERE, ME), (HERE, OTHER), (None, None)]:
        assert not permits.may(action, stranger, org_path=org_path, owner_id=owner_id)
        assert permits.may(action, SYSTEM, org_path=org_path, owner_id=owner_id)


@pytest.mark.parametrize("action", sorted(permits.table()))
def test_a_menu_entry_is_open_to_exactly_the_roles_of_the_list(action):
    listed = {role for listed_action, role in EXPECTED if listed_action == action}
    assert {role.value for role in ROLES if permits.may(action, actor_with(role))} == listed


@pytest.mark.parametrize(
    ("org_path", "owner_id", "state", "code"),
    [
        (HERE, OTHER, "APPROVED", "kit.wrong_state"),
        ("/1/5/", OTHER, "SUBMITTED", "kit.not_allowed"),
        (HERE, ME, "SUBMITTED", "kit.own_row"),
    ],
)
def test_a_refusal_says_what_is_in_the_way(org_path, owner_id, state, code):
    with pytest.raises(NotAllowed) as refused:
        permits.require("orders.approve", actor_with(Role.APPROVER), org_path=org_path, owner_id=owner_id, state=state)
    assert refused.value.code == code
