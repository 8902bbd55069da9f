// The driver's app: one page drawn from what the phone keeps, so that it is there without a network; see _queue.js for what is sent.

import { isOver, tasksWith, underWay } from "./_apply.js";
import * as db from "./_db.js";
import { data, h, hour, icon, LANG, t } from "./_dom.js";
import { accidentPage, leavePage, minePage } from "./_mine.js";
import { messagesPage, queuePage, todayPage } from "./_pages.js";
import * as position from "./_position.js";
import { newKey, Offline, replay, SignedOut } from "./_queue.js";
import { taskPage } from "./_task.js";

const EVERY_MS = 30_000;
const SKEW_MS = 120_000;
const app = { state: null, queue: [], tasks: [], mood: "loading", remarks: [], waiting: null, sending: false };

// ---- what is tapped ---------------------------------------------------------------------------------------------------

/** Keep an action and send it when possible; resolves once it is safe. Gives false when the phone could not keep it. */
async function tap(kind, { task = null, body = {}, photos = [], instead = null } = {}) {
  const at = position.last() ?? {};
  const item = {
    key: newKey(),
    user: app.state.user.id,
    kind,
    assignment_id: task?.id ?? null,
    plate: task?.plate ?? "",
    body,
    photos,
    tapped_at: instead?.tapped_at ?? new Date().toISOString(),
    status: "waiting",
    ...at,
  };
  try {
    await (instead ? db.put("queue", { ...item, n: instead.n }) : db.add("queue", item));
  } catch (error) {
    if (error?.name !== "QuotaExceededError") throw error;
    app.remarks = [t("full")];
    draw();
    return false;
  }
  app.remarks = [t("kept")];
  await read();
  draw();
  ask();
  flush();
  return true;
}

async function drop(item) {
  await db.remove("queue", item.n);
  await read();
  draw();
  flush();
}

/** Ask the browser to send when the network is back, even if the page is closed by then. */
async function ask() {
  const worker = await navigator.serviceWorker?.ready;
  await worker?.sync?.register("fleet-queue").catch(() => {});
}

// ---- what is known ------------------------------------------------------------------------------------------------------

async function read() {
  app.queue = await db.all("queue");
  if (app.state) app.tasks = tasksWith(app.state, app.queue);
}

let again = false;

/** Send and fetch; another wish meanwhile is done afterwards. */
async function flush() {
  if (app.sending) {
    again = true;
    return;
  }
  app.sending = true;
  head();
  try {
    const { state, remarks } = await replay(LANG, async () => {
      await read();
      draw({ gently: true });
    });
    app.mood = state.refused ? "refused" : "online";
    if (!state.refused) app.state = state;
    if (remarks.length) app.remarks = remarks;
  } catch (error) {
    if (error instanceof SignedOut) app.mood = "signed_out";
    else if (error instanceof Offline) app.mood = "offline";
    else throw error;
  } finally {
    app.sending = false;
    await read();
    position.follow(app.mood === "signed_out" ? null : app.tasks.find(underWay), app.state);
    draw({ gently: true });
  }
  if (again) {
    again = false;
    flush();
  }
}

// ---- what is shown ------------------------------------------------------------------------------------------------------

const mine = () => app.queue.filter((item) => item.user === app.state?.user.id && item.status !== "sent");

function head() {
  const unsent = mine().length;
  const says = app.sending && unsent ? t("sending") : unsent ? t("unsent", { n: unsent }) : t("all_sent");
  const look = `badge${unsent ? " warn" : ""}`;
  const badge = h(
    "a",
    { class: look, href: "#/queue", id: "badge" },
    icon(unsent ? "upload" : "check"),
    h("span", { role: "status" }, says),
  );
  document
    .querySelector("#top")
    .replaceChildren(...[h("h1", {}, app.state?.user.name ?? t("title")), app.state && badge].filter(Boolean));
}

function banners() {
  const refused = mine().filter((item) => item.status === "refused");
  const skew = Math.abs(app.state?.skew_ms ?? 0);
  return [
    app.waiting && h("button", { type: "button", class: "banner", onclick: update }, icon("refresh"), t("update")),
    app.mood === "signed_out" &&
      h(
        "div",
        { class: "banner bad tall", role: "alert" },
        t("sign_in"),
        h("a", { class: "button", href: data.signin }, t("sign_in_button")),
      ),
    app.mood === "refused" && h("p", { class: "banner bad", role: "alert" }, t("not_driver")),
    app.mood === "offline" &&
      h(
        "p",
        { class: "banner warn", role: "status" },
        icon("wifi-off"),
        app.state ? t("offline_since", { at: hour(app.state.fetched_at) }) : t("never"),
      ),
    refused.length > 0 &&
      h(
        "div",
        { role: "alert" },
        h(
          "a",
          { class: "banner bad", href: "#/queue" },
          icon("alert-triangle"),
          `${t("conflict")}：${refused[0].message}`,
        ),
      ),
    skew > SKEW_MS && h("p", { class: "banner warn" }, t("skew", { s: `${Math.round(skew / 60_000)} min` })),
    position.on() && h("p", { class: "banner live", role: "status", id: "live" }, icon("map-pin"), t("location_on")),
    ...app.remarks.map((words) => h("p", { class: "banner good", role: "status" }, words)),
  ];
}

const PAGES = {
  task: taskPage,
  queue: queuePage,
  messages: messagesPage,
  mine: minePage,
  accident: accidentPage,
  leave: leavePage,
};
const route = () => location.hash.replace(/^#\/?/, "").split("/");
let drawn = "";

/** Draw the page. Gently: what the driver is in the middle of filling in is left alone. */
function draw({ gently = false } = {}) {
  head();
  tabs();
  const [name, id] = route();
  const main = document.querySelector("#main");
  const busy = main.querySelector("form[data-touched], video, details[open]");
  let banner = main.querySelector("#banners");
  if (!(gently && busy && drawn === location.hash)) {
    const page = PAGES[name] ?? todayPage;
    banner = h("div", { id: "banners" });
    main.replaceChildren(
      banner,
      ...(app.state
        ? [page({ ...app, tap, drop, flush, go, mine: mine() }, id)].flat()
        : [h("p", { class: "empty", role: "status" }, t(app.mood === "loading" ? "loading" : "never"))]),
    );
    if (drawn !== location.hash) window.scrollTo(0, 0);
    drawn = location.hash;
  }
  banner.replaceChildren(...banners().filter(Boolean));
}

function tabs() {
  const [now] = route();
  const news = app.state?.messages.filter((one) => one.new).length ?? 0;
  const entries = [
    ["today", "steering-wheel", "#/"],
    ["queue", "upload", "#/queue"],
    ["messages", "message", "#/messages"],
    ["mine", "user", "#/mine"],
  ];
  const here = { "": "today", task: "today", accident: "today", leave: "mine" }[now] ?? now;
  document
    .querySelector("#tabs")
    .replaceChildren(
      ...entries.map(([name, image, href]) =>
        h(
          "a",
          { href, "aria-current": here === name && "page" },
          icon(image),
          t(`tab.${name}`),
          name === "messages" && news > 0 && h("span", { class: "dot" }, String(news)),
        ),
      ),
    );
}

function go(hash) {
  app.remarks = [];
  if (location.hash === hash) draw();
  else location.hash = hash;
}

// ---- life of the page ---------------------------------------------------------------------------------------------------

function update() {
  app.updating = true;
  app.waiting.postMessage("update");
}

async function register() {
  if (!navigator.serviceWorker) return;
  const worker = await navigator.serviceWorker.register(data.worker, { scope: "./", updateViaCache: "none" });
  const offer = () => {
    if (worker.waiting && navigator.serviceWorker.controller) {
      app.waiting = worker.waiting;
      draw({ gently: true });
    }
  };
  offer();
  worker.addEventListener("updatefound", () => worker.installing?.addEventListener("statechange", offer));
  navigator.serviceWorker.addEventListener("controllerchange", () => app.updating && location.reload());
  window.addEventListener("online", () => worker.update().catch(() => {}));
  if (!("BarcodeDetector" in window)) (await navigator.serviceWorker.ready).active.postMessage("decoder");
}

async function start() {
  document.documentElement.classList.toggle("elder", localStorage.getItem("elder") === "yes");
  app.state = (await db.get("kept", "state")) ?? null;
  await read();
  draw();
  window.addEventListener("hashchange", () => {
    draw();
    if (mine().some((item) => item.status === "waiting")) flush();
  });
  document.addEventListener("input", (event) => event.target.form?.setAttribute("data-touched", ""));
  for (const name of ["online", "focus", "pageshow"]) window.addEventListener(name, flush);
  setInterval(
    () => (mine().length || app.mood !== "online" || app.tasks.some((task) => !isOver(task))) && flush(),
    EVERY_MS,
  );
  navigator.storage?.persist?.();
  await flush();
  await register();
}

start();
