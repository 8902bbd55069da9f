// The dispatcher's live board: queue, vehicle x time board (vis-timeline) and map in step. Orders are dragged with the mouse or
// carried with the keyboard; before they are put down the server says of every row whether it can be and why not.
// Everything is asked again every 2.5 s by version (ETag), so that two dispatchers see each other.
import "vis-timeline/styles/vis-timeline-graph2d.css";
import "./_board.css";
import { DataSet } from "vis-data/peer";
import { Timeline } from "vis-timeline/peer";
import {
  chooseSubstitute,
  drawAlerts,
  drawBest,
  drawHours,
  drawPager,
  drawQueue,
  itemsOf,
  onMap,
  withHeads,
} from "./_board_day.js";
import { ask, bar, choose, make, sync, timelineOptions } from "./_board_parts.js";

const EVERY_MS = 2500;
const desk = document.querySelector("[data-board]");
const find = (name) => document.querySelector(`[data-${name}]`);
const words = JSON.parse(find("words").textContent);
const sprite = desk.dataset.icons;
const time = find("time");
const say = (text, bad = false) => {
  find("say").textContent = text;
  find("say").classList.toggle("board-bad", bad);
};
const fill = (text, ...values) => ["#", "@", "%"].reduce((out, mark, k) => out.replace(mark, values[k] ?? ""), text);

const groups = new DataSet();
const items = new DataSet();
const labels = new Map();
const steps = []; // moves that undo what this page did, the last one last
const state = { data: null, at: 0, bar: null, carried: null, fits: null, target: null, busy: false, shown: null, offered: [] }; // biome-ignore format: one line
let timeline;

function label(group) {
  if (group?.head) return make("strong", { class: "board-head" }, group.head);
  if (!group?.plate) return "";
  const box = make("div", { class: "board-label", "data-row": group.id });
  box.append(make("strong", {}, group.plate), make("small", {}, group.idle || group.kind), make("em", {}));
  if (group.charge !== null) box.append(make("progress", { class: "board-charged", max: 100, value: group.charge, "aria-hidden": "true" })); // biome-ignore format: one bar
  labels.set(group.id, box);
  return box;
}

function start(data) {
  timeline = new Timeline(
    time,
    items,
    groups,
    timelineOptions(data, label, (item) => bar(sprite, item), time.clientWidth),
  );
  timeline.once("rangechanged", () => requestAnimationFrame(() => timeline.redraw())); // it hides itself until drawn once more
  const names = time.querySelector(".vis-left"); // the rows' names scroll up and down, so they are a stop of the Tab key
  for (const [name, value] of Object.entries({ tabindex: 0, role: "group", "aria-label": words.vehicles })) names.setAttribute(name, value); // biome-ignore format: one loop
}

function draw(data) {
  state.data = data;
  sync(groups, withHeads(data.rows));
  sync(items, itemsOf(data));
  if (!timeline) start(data); // once everything is there: it draws thousands of bars once, not twice
  drawQueue(find("queue"), find("waiting"), data.queue, words, sprite, fill);
  drawAlerts(find("alerts"), data.alerts, data.alerts_total, words, sprite, { remind, substitute });
  showOnMap();
  find("pages").textContent = fill(words.rows, data.total, data.page, data.pages);
  drawPager(find("pager"), data, desk.dataset.page);
  drawHours(find("drivers"), data.drivers, words, fill);
}

async function refresh() {
  if (state.carried || state.busy || document.hidden) return;
  const answer = await fetch(desk.dataset.board, { cache: "no-cache", credentials: "same-origin" }).catch(() => null);
  if (answer?.status === 401) return location.reload(); // the session is over: signing in leads back here
  if (!answer?.ok) return say(words.failed, true);
  const text = await answer.text();
  if (text !== state.text) draw(JSON.parse(text));
  if (!state.text) say(words.ready);
  state.text = text;
}

// ---- carrying an order ----------------------------------------------------------------------------------------------

/** Show the way of an order and its candidates, the vehicles of this page where they are, the chosen one by name. */
function showOnMap(order = state.shown, rows = state.shown === order ? state.offered : []) {
  Object.assign(state, { shown: order, offered: rows });
  const seen = state.data.places.filter((one) => one.row === state.data.rows[state.at]?.id);
  find("seen").textContent = seen.map((one) => one.text).join(" · ") || words.map_hint;
  const features = onMap(state.data, state.at, order, rows, words);
  const text = JSON.stringify(features);
  if (text === state.mapped) return; // the map moves only when something on it did
  state.mapped = text;
  document.querySelector(".board-map").dispatchEvent(new CustomEvent("fleet:features", { detail: { type: "FeatureCollection", features } })); // biome-ignore format: one call
}

async function pick(order, pool = null) {
  if (!("may" in desk.dataset)) return say(words.read, true);
  if (order.locked) return say(words.is_locked, true);
  state.carried = { ...order, pool };
  state.fits = null;
  say(`${fill(words.picked, order.number)} ${words.checking}`);
  desk.classList.add("board-carrying");
  const best = order.row === undefined ? offer(order) : null; // the quick answer comes beside the check of every row
  const { ok, body } = await ask(`${desk.dataset.check}?order_id=${order.id}`);
  if (state.carried?.id !== order.id) return undefined;
  if (!ok) {
    drop();
    return say(body.text ?? words.failed, true);
  }
  state.fits = new Map(body.rows.map((row) => [row.vehicle_id, row]));
  for (const [id, box] of labels) paint(id, box);
  if (!(await best)) find("best").replaceChildren(...body.rows.filter((row) => row.fit !== "no").slice(0, 3).map((row) => make("li", {}, `${row.plate} · ${row.text}`))); // biome-ignore format: one list
  showOnMap(order, body.rows);
  desk.dataset.checked = order.id;
  if (state.target === null) say(fill(words.picked, order.number));
  else aim(state.target);
  return undefined;
}

/** Ask for the best three vehicles of a waiting order; tells whether there is an answer. */
async function offer(order) {
  const { ok, body } = await ask(`${desk.dataset.insert}?order_id=${order.id}`).catch(() => ({}));
  if (!ok || (!body.best.length && !body.none)) return false;
  drawBest(find("best"), body, order, words, (moves) => {
    drop();
    send(moves);
  });
  return true;
}

function paint(id, box) {
  const fit = state.fits?.get(id);
  const told = fit ? `${{ yes: "✓", care: "!", no: "✕" }[fit.fit]} ${words[fit.fit]} ${fit.text}` : "";
  Object.assign(box.querySelector("em"), { textContent: told, title: told });
  for (const element of [box, box.closest(".vis-label")]) if (element) element.dataset.fit = fit?.fit ?? "";
}

function drop() {
  state.carried = state.fits = state.target = null;
  delete desk.dataset.checked;
  desk.classList.remove("board-carrying");
  for (const [id, box] of labels) paint(id, box);
  mark();
  ghost.hidden = true;
}

function mark() {
  const here = state.target ?? state.data?.rows[state.at]?.id;
  for (const [id, box] of labels) box.classList.toggle("board-here", id === here);
  for (const one of document.querySelectorAll(".board-bar")) one.classList.toggle("board-here", Number(one.dataset.bar) === state.bar); // biome-ignore format: one loop
}

function aim(id) {
  state.target = id;
  const row = state.data.rows.find((one) => one.id === id);
  const fit = state.fits?.get(id);
  const text = row ? `${row.plate}: ${fit ? `${words[fit.fit]} ${fit.text}` : words.checking}` : "";
  ghost.textContent = `${state.carried.number} → ${text}`;
  say(text, fit?.fit === "no");
  mark();
}

async function send(moves, undo = false) {
  state.busy = true;
  const { ok, body } = await ask(desk.dataset.moves, { moves, undo }).catch(() => ({ body: {} }));
  state.busy = false;
  if (ok && !undo) steps.push(body.back);
  document.querySelector("[data-do=undo]").disabled = !steps.length;
  await refresh();
  say(body.text ?? words.failed, !ok);
}

async function put(vehicleId, pool) {
  const order = state.carried;
  const fit = state.fits?.get(vehicleId);
  const other = pool !== order.pool && state.data.bars.find((one) => one.id === pool);
  drop();
  const from = { order_id: order.id, seen: order.seen ?? null };
  if (other) {
    const { ok, body: join } = await ask(`${desk.dataset.join}?order_id=${order.id}&pool_key=${pool}`);
    const answers = [{ value: "join", text: `${words.join}${join.text ? ` (${join.text})` : ""}`, off: !ok || join.fit === "no" ? words.no : "" }]; // biome-ignore format: one list
    const one = other.orders[0];
    const own = order.row !== undefined && other.movable && other.orders.length === 1;
    if (own) answers.push({ value: "swap", text: words.swap });
    const needed = ok && join.consent_of.length ? fill(words.consent, join.consent_of.join("、")) : null;
    const { value, consent } = await choose(find("choose"), fill(words.which, order.number), answers, needed, words.cancel); // biome-ignore format: one question
    if (value === "join") return send([{ ...from, pool_key: pool, consent }]);
    if (value === "swap") return send([{ ...from, vehicle_id: vehicleId }, { order_id: one.id, seen: one.seen, vehicle_id: order.row }]); // biome-ignore format: one call
    return say(words.out);
  }
  if (vehicleId === order.row && !order.shared) return say(words.out);
  if (fit?.fit === "no") return say(`${words.no}: ${fit.text}`, true);
  return send([{ ...from, vehicle_id: vehicleId, driver_id: fit?.driver_id ?? null }]);
}

async function pickBar(id) {
  const one = state.data.bars.find((found) => found.id === id);
  if (!one) return undefined;
  if (!one.movable) return say(words.fixed, true);
  let [order] = one.orders;
  if (one.orders.length > 1) {
    const answers = one.orders.map((each) => ({ value: each.id, text: `${each.number} ${each.unit}` }));
    const { value } = await choose(find("choose"), words.split, answers, null, words.cancel);
    order = one.orders.find((each) => String(each.id) === value);
    if (!order) return say(words.out);
  }
  return pick({ ...order, row: one.row, shared: one.orders.length > 1 }, one.id);
}

async function remind(alert) {
  const { ok, body } = await ask(`${desk.dataset.day}/${alert.order_id}/remind/${alert.code}`, { seen: alert.seen });
  say(body.text ?? words.failed, !ok);
}

async function substitute(alert) {
  const { ok, body } = await ask(`${desk.dataset.day}/${alert.order_id}/substitutes`);
  if (!ok) return say(body.text ?? words.failed, true);
  const chosen = await chooseSubstitute(find("substitute"), body, words, fill);
  if (!chosen) return say(words.out);
  state.busy = true;
  const done = await ask(`${desk.dataset.day}/${alert.order_id}/substitute`, chosen);
  state.busy = false;
  await refresh();
  return say(done.body.text ?? words.failed, !done.ok);
}

async function undo() {
  const back = steps.pop();
  return back ? send(back, true) : say(words.nothing, true);
}

// ---- mouse and pen --------------------------------------------------------------------------------------------------

const ghost = make("div", { class: "board-ghost", hidden: "" });
document.body.append(ghost);
const rowAt = (event) => timeline.getEventProperties(event).group ?? null;
const barAt = (event) => Number(document.elementFromPoint(event.clientX, event.clientY)?.closest(".vis-item")?.querySelector("[data-bar]")?.dataset.bar) || null; // biome-ignore format: one look

desk.addEventListener(
  "pointerdown",
  (event) => {
    const card = event.target.closest("[data-order]");
    const item = event.target.closest(".vis-item")?.querySelector("[data-bar]");
    if (event.button !== 0 || (!card && !item)) return;
    if (item) event.stopPropagation(); // else the board would be panned
    const from = [event.clientX, event.clientY];
    let moving = false;
    const move = (now) => {
      if (!moving && Math.hypot(now.clientX - from[0], now.clientY - from[1]) < 6) return;
      if (!moving) {
        moving = true;
        if (card) pick(state.data.queue.find((one) => one.id === Number(card.dataset.order)));
        else pickBar(Number(item.dataset.bar));
      }
      now.preventDefault();
      ghost.hidden = !state.carried;
      ghost.style.transform = `translate(${now.clientX + 14}px, ${now.clientY + 10}px)`;
      const row =
        state.carried && time.contains(document.elementFromPoint(now.clientX, now.clientY)) ? rowAt(now) : null;
      if (row !== null && row !== state.target) aim(row);
    };
    const end = (now) => {
      document.removeEventListener("pointermove", move);
      document.removeEventListener("pointerup", end);
      const under = document.elementFromPoint(now.clientX, now.clientY);
      if (!moving && item) select(Number(item.dataset.bar));
      if (!moving || !state.carried) return;
      if (time.contains(under) && rowAt(now) !== null) put(rowAt(now), barAt(now));
      else if (find("queue").contains(under) && state.carried.row !== undefined) takeBack(state.carried);
      else {
        drop();
        say(words.out);
      }
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", end);
  },
  true,
);

function takeBack(order) {
  drop();
  return send([{ order_id: order.id, seen: order.seen }]);
}

function select(id) {
  const one = state.data.bars.find((found) => found.id === id);
  if (!one) return;
  state.bar = id;
  state.at = state.data.rows.findIndex((row) => row.id === one.row);
  showOnMap(one.orders[0]);
  say(`${one.plate} ${one.text} · ${one.driver} · ${one.state_text} ${one.pooled} ${one.alert_text}`);
  mark();
}

// ---- keyboard -------------------------------------------------------------------------------------------------------

function step(by) {
  const { rows } = state.data;
  state.at = Math.min(Math.max(state.at + by, 0), rows.length - 1);
  labels.get(rows[state.at].id)?.scrollIntoView({ block: "nearest" });
  if (state.carried) return aim(rows[state.at].id);
  const first = barsOf(rows[state.at].id)[0];
  state.bar = null;
  if (first) return select(first.id);
  say(`${rows[state.at].plate} ${rows[state.at].idle || rows[state.at].kind}`);
  showOnMap(null);
  return mark();
}

const barsOf = (row) => state.data.bars.filter((one) => one.row === row).sort((a, b) => a.start - b.start);

function sideways(by) {
  const bars = barsOf(state.data.rows[state.at].id);
  const next = bars[Math.min(Math.max(bars.findIndex((one) => one.id === state.bar) + by, 0), bars.length - 1)];
  if (next) select(next.id);
}

function substituted(id) {
  const [order] = state.data.bars.find((found) => found.id === id).orders;
  return { order_id: order.id, seen: order.seen };
}

async function toggleLock() {
  const one = state.data.bars.find((found) => found.id === state.bar);
  if (!one) return;
  for (const order of one.orders) {
    const { ok, body } = await ask(desk.dataset.lock, { order_id: order.id, seen: order.seen, locked: !one.locked });
    await refresh();
    say(body.text ?? words.failed, !ok);
  }
}

function onBoard(key) {
  if (key === "ArrowDown") return step(1);
  if (key === "ArrowUp") return step(-1);
  if (key === "ArrowLeft") return sideways(-1);
  if (key === "ArrowRight") return sideways(1);
  if (key === "Enter" && state.carried) {
    const row = state.data.rows[state.at].id;
    const busy = barsOf(row).find((one) => one.start < state.carried.end && state.carried.start < one.end);
    return put(row, busy?.id ?? null);
  }
  if (key === "Enter") return pickBar(state.bar);
  if (key === "l" || key === "L") return toggleLock();
  if ((key === "s" || key === "S") && state.bar) return substitute(substituted(state.bar));
  const one = state.data.bars.find((found) => found.id === state.bar);
  if (key === "Delete" && one?.movable && !one.locked) return takeBack(one.orders[one.orders.length - 1]);
  return false;
}

document.addEventListener("keydown", async (event) => {
  if (!state.data || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  const card = event.target.closest("[data-order]");
  const { key } = event;
  if (key === "Escape" && state.carried) {
    drop();
    say(words.out);
  } else if (key === "?") find("help").showModal();
  else if (key === "u" || key === "U") undo();
  else if (key === "q") find("queue").querySelector("button")?.focus();
  else if (key === "b") time.focus();
  else if (card && (key === "ArrowDown" || key === "ArrowUp")) {
    const next = card.parentElement[key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling"];
    next?.querySelector("button")?.focus();
    event.preventDefault();
  } else if (card && key === "Enter") {
    event.preventDefault();
    pick(state.data.queue.find((one) => one.id === Number(card.dataset.order)));
    time.focus();
  } else if (time.contains(event.target) && onBoard(key) !== false) event.preventDefault();
});

desk.addEventListener("click", (event) => {
  const card = event.target.closest("[data-order]");
  const order = card && state.data.queue.find((one) => one.id === Number(card.dataset.order));
  if (order) showOnMap(order);
});
document.addEventListener("board:done", (event) => {
  steps.push(event.detail.back); // a plan was taken over beside the board
  document.querySelector("[data-do=undo]").disabled = false;
  refresh();
});
document.querySelector("[data-do=undo]").addEventListener("click", undo);
document.querySelector("[data-do=help]").addEventListener("click", () => find("help").showModal());
document.addEventListener("visibilitychange", refresh);
refresh();
setInterval(refresh, EVERY_MS);
