// The queue: what was tapped goes out in the order of taps, once, when there is a network. Used by the page and by the worker.
// An item: {n, key, user, kind, assignment_id, body, photos, tapped_at, lat, lon, accuracy_m, label, status, message}.
// Status: waiting; refused (the server said no, with a message; later ones of the same duty wait for it); sent (applied, and shown
// until the next state from the server has it).

import * as db from "./_db.js";

export const API = "/api/v1/phone";

export class Offline extends Error {}
export class SignedOut extends Error {}

export function newKey() {
  const digits = crypto.getRandomValues(new Uint8Array(16));
  return `p-${Array.from(digits, (digit) => digit.toString(16).padStart(2, "0")).join("")}`;
}

const PATIENCE_MS = 25_000;

/** Ask the server; whatever hangs, breaks off or is no answer of the application counts as no network. */
async function reach(path, options = {}) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    const { signal } = patience;
    const answer = await fetch(`${API}${path}`, { credentials: "same-origin", cache: "no-store", signal, ...options });
    if (answer.status === 401) throw new SignedOut();
    if (answer.status >= 500 || !answer.headers.get("content-type")?.includes("json")) throw new Offline();
    return { status: answer.status, body: await answer.json() };
  } catch (error) {
    throw error instanceof SignedOut ? error : new Offline();
  } finally {
    clearTimeout(timer);
  }
}

/** Fetch and keep what the server knows; what it has applied meanwhile leaves the queue. */
export async function refresh() {
  const asked = (await db.all("queue")).filter((item) => item.status === "sent").map((item) => item.n);
  const before = Date.now();
  const { status, body } = await reach("/state");
  if (status !== 200) return { refused: status };
  const state = { ...body, skew_ms: (before + Date.now()) / 2 - Date.parse(body.now), fetched_at: Date.now() };
  await db.put("kept", state, "state");
  for (const n of asked) await db.remove("queue", n);
  return state;
}

export function form(item, now) {
  const data = new FormData();
  const { key, kind, body, assignment_id, tapped_at, lat = null, lon = null, accuracy_m = null } = item;
  const action = {
    key,
    kind,
    body,
    assignment_id,
    tapped_at,
    lat,
    lon,
    accuracy_m,
    sent_at: new Date(now).toISOString(),
  };
  data.append("action", JSON.stringify(action));
  for (const [number, photo] of item.photos.entries()) {
    data.append("photo", photo, `${kind.toLowerCase()}-${number + 1}.jpg`);
  }
  return data;
}

/** Return the next item to send: the first that waits and is not behind a refused one of its duty. */
export function next(items, user) {
  const held = new Set();
  for (const item of items) {
    if (item.user !== user) continue;
    if (item.status === "refused" && item.assignment_id) held.add(item.assignment_id);
    if (item.status === "waiting" && !held.has(item.assignment_id)) return item;
  }
  return null;
}

function words(body, lang) {
  const said = typeof body.message === "object" ? body.message?.[lang] : body.message;
  return said ?? body.code ?? "?";
}

async function send(item, csrf, lang) {
  const { status, body } = await reach("/actions", {
    method: "POST",
    body: form(item, Date.now()),
    headers: { "X-CSRFToken": csrf },
  });
  if (status === 200) {
    // Photographs are the server's now: the phone needs its room.
    await db.put("queue", { ...item, photos: [], status: "sent", remarks: body.remarks });
    return body.remarks;
  }
  if (body.code === "kit.csrf" || status === 429) throw new Offline(); // the next round brings a fresh token
  await db.put("queue", { ...item, status: "refused", code: body.code, message: words(body, lang) });
  return [];
}

/** Send what waits. Resolves to {state, remarks}; throws Offline or SignedOut with everything unsent still in the queue. */
export async function replay(lang, changed = () => {}) {
  const work = async () => {
    let state = await refresh();
    if (state.refused) return { state, remarks: [] };
    const remarks = [];
    let sent = false;
    for (;;) {
      const item = next(await db.all("queue"), state.user.id);
      if (!item) break;
      remarks.push(...(await send(item, state.csrf, lang)));
      sent = true;
      changed();
    }
    if (sent) state = await refresh();
    return { state, remarks };
  };
  // The page and the worker take turns; where locks are missing the keys keep the server from doing anything twice.
  return navigator.locks ? navigator.locks.request("fleet-queue", work) : work();
}
