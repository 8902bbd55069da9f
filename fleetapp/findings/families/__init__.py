"""The families of rules: one pure function per rule, from what is known of a vehicle to clues and silences.

A-01 to A-03, B-01, B-02, E-01 and E-02 are asked about incidents put together before (``judge``, ``scene``); every other
active rule of the catalogue is in ``JUDGES``.
"""

from collections.abc import Callable, Mapping

from fleetapp.findings.families import (
    a_orders,
    b_time,
    c_space,
    d_private,
    d_shared,
    e_parking,
    f_device,
    g_energy,
    g_habits,
    h_mileage,
    i_cost,
    j_people,
    k_lifecycle,
)
from fleetapp.findings.families.tools import Answers
from fleetapp.findings.known import Known

FAMILIES = (
    a_orders, b_time, c_space, d_private, d_shared, e_parking, f_device, g_energy, g_habits, h_mileage, i_cost, j_people, k_lifecycle,
)  # fmt: skip
JUDGES: Mapping[str, Callable[[Known], Answers]] = {
    rule: judge for family in FAMILIES for rule, judge in sorted(family.JUDGES.items())
}
"""Rule id to its function."""
