// Small parts of the live board: elements, icons, requests, the question when an order is dropped on another journey.
import moment from "moment";
import { csrfToken } from "../../web/assets/_csrf.js";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function icon(sprite, name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon board-icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${sprite}#${name}`);
  svg.append(use);
  return svg;
}

/** Returns {ok, status, body}; a refusal has its words in body.text. */
export async function ask(address, body) {
  const options = body && {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
  };
  const answer = await fetch(address, { ...options, credentials: "same-origin" });
  if (answer.status === 401) location.reload(); // the session is over: signing in leads back here
  return { ok: answer.ok, status: answer.status, body: await answer.json().catch(() => ({})) };
}

/** Asks with buttons; `consent` asks for a text too. Resolves to {value, consent}, value null when given up. */
export function choose(dialog, title, answers, consent, cancel) {
  dialog.querySelector("h2").textContent = title;
  const box = dialog.querySelector("[data-consent]");
  const input = box.querySelector("input");
  box.hidden = !consent;
  input.value = "";
  box.querySelector("label").textContent = consent ?? "";
  const buttons = [...answers, { value: null, text: cancel }].map(({ value, text, off }) => {
    const button = make("button", { class: value === null ? "btn" : "btn btn-primary", value: String(value) }, text);
    button.disabled = Boolean(off);
    if (off) button.title = off;
    return button;
  });
  dialog.querySelector("[data-answers]").replaceChildren(...buttons);
  dialog.returnValue = "null";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () =>
        resolve({
          value: dialog.returnValue === "null" ? null : dialog.returnValue,
          consent: input.value.trim() || null,
        }),
      { once: true },
    );
  });
}

/** What a bar of the board says. */
export function bar(sprite, item) {
  if (!item?.bar) return "";
  const { bar: one } = item;
  const box = make("span", { class: "board-bar", "data-bar": one.id });
  if (one.alerts.length) box.append(icon(sprite, "alert-triangle"));
  if (one.locked) box.append(icon(sprite, "lock"));
  if (one.pooled) box.append(icon(sprite, "users"));
  box.append(`${one.text} · ${one.driver}`);
  return box;
}

/** Bring a set of rows up to date, touching only what differs. */
export function sync(set, rows) {
  const kept = new Set(rows.map((row) => row.id));
  set.remove(set.getIds().filter((id) => !kept.has(id)));
  const changed = rows.filter((row) => set.get(row.id)?.text !== row.text);
  if (changed.length) set.update(changed);
}

const HOUR_MS = 3600e3;

/** What is in sight at first: the working day, on a narrow screen six hours of it, today from an hour ago on. */
function inSight(data, width, now) {
  if (width > 500) return { start: data.start + 6 * HOUR_MS, end: data.start + 20 * HOUR_MS };
  const wanted = now >= data.start && now < data.end ? now - HOUR_MS : data.start + 8 * HOUR_MS;
  const start = Math.min(Math.max(wanted, data.start), data.end - 6 * HOUR_MS);
  return { start, end: start + 6 * HOUR_MS };
}

/** How the time line looks: rows in their order, the office's clock, the working day in sight. */
export function timelineOptions(data, label, item, width) {
  // biome-ignore format: options of one thing
  return {
    groupTemplate: label, template: item, stack: false, selectable: false, editable: false, orientation: "top",
    groupOrder: "order", verticalScroll: true, horizontalScroll: false, zoomable: false, moveable: true, height: "100%",
    min: data.start, max: data.end, ...inSight(data, width, Date.now()), margin: { item: 4, axis: 4 },
    moment: (at) => moment(at).utcOffset("+08:00"), showTooltips: false, locale: "en",
    format: { minorLabels: { hour: "HH:mm", weekday: "MM-DD", day: "DD" }, majorLabels: { hour: "MM-DD", weekday: "YYYY-MM", day: "YYYY-MM" } },
  };
}
