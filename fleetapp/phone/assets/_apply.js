// The state from the server with what was tapped since applied on top: what the driver sees without a network.

const STATES = { ACCEPT: "DRIVER_ACCEPTED", CHECK_OUT: "CHECKED_OUT", ARRIVE: "EN_ROUTE", CHECK_IN: "RETURNED" };
const UNDER_WAY = ["CHECKED_OUT", "EN_ROUTE"];

function applied(task, item) {
  const found = { ...task, queued: true, done: [...task.done, item.kind] };
  if (STATES[item.kind]) {
    found.state = STATES[item.kind];
    const odometer_m = item.body.odometer_km ? Number(item.body.odometer_km) * 1000 : null;
    found.events = [...task.events, { action: item.kind, at: item.tapped_at, odometer_m, queued: true }];
    if (odometer_m) found.odometer_km = odometer_m / 1000;
  }
  if (item.kind === "ARRIVE") found.arrived = task.arrived + 1;
  if (item.kind === "EXPENSE") {
    found.expenses = [...task.expenses, { ...item.body, at: item.tapped_at, void: false, queued: true }];
  }
  return found;
}

/** Return the tasks of a state with a user's queue applied; a refused step has been done all the same, so it counts too. */
export function tasksWith(state, queue) {
  const mine = queue.filter((item) => item.user === state.user.id);
  return state.tasks.map((task) =>
    mine.filter((item) => item.assignment_id === task.id).reduce(applied, { ...task, queued: false }),
  );
}

export const underWay = (task) => UNDER_WAY.includes(task.state);
export const isOver = (task) => !["DISPATCHED", "DRIVER_ACCEPTED", ...UNDER_WAY].includes(task.state);

/** Return the step that comes next and what else may be done, e.g. ["BOARD", "ARRIVE"]. */
export function stepsOf(task) {
  if (task.state === "DISPATCHED") return ["ACCEPT"];
  if (task.state === "DRIVER_ACCEPTED") {
    if (task.coded && !task.done.includes("SCAN")) return ["SCAN"];
    return task.done.includes("WALK_ROUND") ? ["CHECK_OUT"] : ["WALK_ROUND"];
  }
  if (!underWay(task)) return [];
  const left = task.arrived < task.last_place;
  if (task.state === "CHECKED_OUT" && !task.done.includes("BOARD") && left) return ["BOARD", "ARRIVE"];
  return left ? ["ARRIVE", "CHECK_IN"] : ["CHECK_IN"];
}

/** Return (number of the step, how many there are) for the bar of progress. */
export function progress(task) {
  const all = [
    "ACCEPT",
    ...(task.coded ? ["SCAN"] : []),
    "WALK_ROUND",
    "CHECK_OUT",
    "BOARD",
    ...Array(task.last_place).fill("ARRIVE"),
    "CHECK_IN",
  ];
  const [step] = stepsOf(task);
  if (!step) return [all.length, all.length];
  const at = step === "ARRIVE" ? all.indexOf("ARRIVE") + task.arrived : all.indexOf(step);
  return [at + 1, all.length];
}

export function nextPlace(task) {
  return task.stops.find((stop) => stop.place === Math.min(task.arrived + 1, task.last_place));
}
