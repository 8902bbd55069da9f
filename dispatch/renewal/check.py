"""The judge of a renewal plan: every rule and the cost, knowing nothing of how it was found."""

from collections.abc import Mapping

from dispatch.renewal.model import NEW_ENERGY, PLUG_IN, RenewalPlan, RenewalProblem, Target


def plan_cost_fen(
    problem: RenewalProblem, renewals: Mapping[tuple[str, int, str], int], new_chargers: Mapping[str, int]
) -> int:
    """Return the total cost of a plan over the years."""
    options = {(option.category, option.energy): option for option in problem.options}
    lots = {lot.id: lot for lot in problem.lots}
    total = sum(lot.count * problem.kept_fen(lot) for lot in problem.lots)
    for (lot_id, year, energy), cars in renewals.items():
        lot = lots[lot_id]
        total += cars * (problem.renewed_fen(lot, year, options[lot.category, energy]) - problem.kept_fen(lot))
    return round(total + problem.charger_fen * sum(new_chargers.values()))


def check(problem: RenewalProblem, plan: RenewalPlan) -> list[str]:
    """Return every broken rule of a plan in words; none for a sound one. Knows nothing of how it was found."""
    found: list[str] = []
    lots = {lot.id: lot for lot in problem.lots}
    options = {(option.category, option.energy): option for option in problem.options}
    for (lot_id, year, energy), cars in plan.renewals.items():
        lot = lots.get(lot_id)
        if lot is None or (lot.category, energy) not in options or cars < 0 or not 0 <= year < problem.years:
            found.append(f"no such renewal: {lot_id}, {year}, {energy}, {cars}")
        elif cars and lot.age + year <= problem.min_age:
            found.append(f"{lot_id} is {lot.age + year} years old in year {year}: too young")
    if found:
        return found
    for lot in problem.lots:
        done = [
            sum(n for (i, y, _), n in plan.renewals.items() if i == lot.id and y <= year)
            for year in range(problem.years)
        ]
        if done[-1] > lot.count:
            found.append(f"{lot.id}: {done[-1]} renewed of {lot.count}")
        must_by = problem.must_by(lot)
        if must_by is not None and must_by < problem.years and done[must_by] < lot.count:
            found.append(
                f"{lot.id}: {lot.count - done[must_by]} are beyond {problem.max_age} years after year {must_by}"
            )
    short = {(one.what, one.year, one.units): one.amount for one in plan.shortfalls}
    for year, budget_fen in enumerate(problem.budgets_fen):
        spent = sum(n * options[lots[i].category, e].price_fen for (i, y, e), n in plan.renewals.items() if y == year)
        if spent > budget_fen + short.get(("budget", year, ()), 0) + 1:
            found.append(f"year {year}: {spent} fen spent of {budget_fen}")
    for target in problem.targets:
        has, of_all = _share(problem, plan, target)
        if has + short.get((target.of, target.year, target.units), 0) < target.share * of_all - 1e-6:
            found.append(f"year {target.year}: {has} of {of_all} {target.of}, {target.share:.0%} wanted")
    for unit, places in problem.chargers.items():
        if not 0 <= plan.new_chargers.get(unit, 0) <= problem.charger_most:
            found.append(f"{unit}: {plan.new_chargers.get(unit)} new chargers")
        plugged = _plugged(problem, plan, unit)
        if plugged > places + plan.new_chargers.get(unit, 0) + short.get(("chargers", problem.years - 1, (unit,)), 0):
            found.append(f"{unit}: {plugged} cars for {places} chargers")
    if plan.cost_fen != plan_cost_fen(problem, plan.renewals, plan.new_chargers):
        found.append("the cost is another one")
    return found


def _share(problem: RenewalProblem, plan: RenewalPlan, target: Target) -> tuple[int, int]:
    """Return (new energy, all) that a target is about."""
    lots = {lot.id: lot for lot in problem.lots if not target.units or lot.unit in target.units}
    made = [(lots[i], y, e, n) for (i, y, e), n in plan.renewals.items() if i in lots]
    if target.of == "purchases":
        bought = [(e, n) for _, y, e, n in made if y == target.year]
        return sum(n for e, n in bought if e in NEW_ENERGY), sum(n for _, n in bought)
    stock = sum(lot.count for lot in lots.values() if lot.energy in NEW_ENERGY)
    for lot, year, energy, cars in made:
        if year <= target.year:
            stock += cars * ((energy in NEW_ENERGY) - (lot.energy in NEW_ENERGY))
    return stock, sum(lot.count for lot in lots.values())


def _plugged(problem: RenewalProblem, plan: RenewalPlan, unit: str) -> int:
    """Return how many cars of a unit plug in at the end."""
    lots = {lot.id: lot for lot in problem.lots if lot.unit == unit}
    plugged = sum(lot.count for lot in lots.values() if lot.energy in PLUG_IN)
    return plugged + sum(
        n * ((e in PLUG_IN) - (lots[i].energy in PLUG_IN)) for (i, _, e), n in plan.renewals.items() if i in lots
    )
