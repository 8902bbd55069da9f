// Where the phone is: looked up for a tap, followed during a journey only, with a line on the page that says so.

import * as db from "./_db.js";
import { API } from "./_queue.js";

const FRESH_MS = 60_000;
const EVERY_MS = 30_000;
const MOST = 2000;
let found = null;
let watch = null;
let task = null;
let state = null;
let kept = 0;

function take({ coords, timestamp }) {
  found = {
    at: timestamp,
    lat: Number(coords.latitude.toFixed(6)),
    lon: Number(coords.longitude.toFixed(6)),
    accuracy_m: Math.round(coords.accuracy),
  };
}

/** Look the position up without waiting for it; called when a page with a step is opened. */
export function look() {
  navigator.geolocation?.getCurrentPosition(take, () => {}, {
    enableHighAccuracy: true,
    timeout: 15_000,
    maximumAge: 10_000,
  });
}

/** Return {lat, lon, accuracy_m} if it is no older than a minute. */
export function last() {
  if (!found || Date.now() - found.at > FRESH_MS) return null;
  const { lat, lon, accuracy_m } = found;
  return { lat, lon, accuracy_m };
}

export const on = () => watch !== null;

/** Follow the phone while a task is under way; stop when none is. */
export function follow(next, known) {
  task = next ?? null;
  state = known;
  if (!navigator.geolocation) return;
  if (task && watch === null)
    watch = navigator.geolocation.watchPosition(note, () => {}, { enableHighAccuracy: true, maximumAge: 5000 });
  if (!task && watch !== null) {
    navigator.geolocation.clearWatch(watch);
    watch = null;
    db.clear("positions");
  }
  if (task) send();
}

async function note(fix) {
  take(fix);
  if (!task || fix.timestamp - kept < EVERY_MS) return;
  kept = fix.timestamp;
  const { at, ...rest } = found;
  await db.add("positions", { at: new Date(at).toISOString(), assignment_id: task.id, ...rest });
  send();
}

async function send() {
  const waiting = await db.all("positions");
  const mine = waiting.filter((one) => one.assignment_id === task?.id).slice(-MOST);
  // The server takes none before it has heard of the check-out.
  if (!mine.length || !navigator.onLine || !state || task.queued) return;
  const positions = mine.slice(0, 200).map(({ assignment_id, ...rest }) => rest);
  const body = JSON.stringify({ assignment_id: task.id, sent_at: new Date().toISOString(), positions });
  const headers = { "Content-Type": "application/json", "X-CSRFToken": state.csrf };
  const answer = await fetch(`${API}/positions`, { method: "POST", body, headers }).catch(() => null);
  // Support only: whatever the server will not have is not kept for later.
  if (answer && answer.status < 500 && answer.status !== 401) await db.clear("positions");
}
