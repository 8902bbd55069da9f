// What every page has. Templates use it through attributes only; nothing is inline, as the content security policy asks:
//   <meta name="csrf-token">       sent with every changing htmx request as X-CSRFToken
//   data-confirm="question"        on a form, button or link: asks first (also hx-confirm)
//   data-print                     prints the page
//   data-href="/path"              on a table row: the whole row is a link
//   data-autosubmit                on a select: sends its form at once (language switch, filters)
//   data-toggle-target="#menu"     on a button: shows and hides an element (class "show", aria-expanded)
//   data-busy="off"                on a form that downloads: leave its button alone
//   <body data-text-yes data-text-no data-text-offline>   the words, in the page's language
//   <div id="flash" role="alert">  where a request that did not reach the server is told
// A refusal of the server comes as a fragment and is shown where the answer would have been.
// Bundles of slices register Alpine components in document's "alpine:init" event.

import Alpine from "@alpinejs/csp";
import htmx from "htmx.org";
import { installBusy } from "./_busy.js";
import { installConfirm } from "./_confirm.js";
import { csrfToken } from "./_csrf.js";
import { installScroll } from "./_scroll.js";

Object.assign(htmx.config, {
  includeIndicatorStyles: false,
  allowEval: false,
  allowScriptTags: false,
  selfRequestsOnly: true,
  historyCacheSize: 0, // pages hold personal data: none of it stays in the browser's storage
  responseHandling: [
    { code: "204", swap: false },
    { code: "[23]..", swap: true },
    { code: "[45]..", swap: true, error: true },
  ],
});

window.htmx = htmx;
window.Alpine = Alpine;

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = csrfToken();
});

document.addEventListener("htmx:sendError", () => {
  const flash = document.getElementById("flash");
  if (!flash) return;
  flash.className = "alert alert-danger";
  flash.textContent = document.body.dataset.textOffline ?? "网络不通，请稍后再试 / No connection, please try again";
  flash.scrollIntoView({ block: "nearest" });
});

function openRow(row, event) {
  if (event.ctrlKey || event.metaKey || event.button === 1) window.open(row.dataset.href, "_blank", "noopener");
  else window.location.assign(row.dataset.href);
}

function rowOf(event) {
  if (event.target.closest("a, button, input, select, textarea, label, summary")) return null;
  return event.target.closest("tr[data-href]");
}

function toggle(button) {
  const target = document.querySelector(button.dataset.toggleTarget);
  const shown = target.classList.toggle("show");
  button.setAttribute("aria-expanded", String(shown));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-toggle-target]");
  if (button) toggle(button);
  if (event.target.closest("[data-print]")) window.print();
  // Someone who marks text to copy it does not want to leave.
  const row = window.getSelection()?.toString() ? null : rowOf(event);
  if (row) openRow(row, event);
});
document.addEventListener("auxclick", (event) => {
  const row = event.button === 1 ? rowOf(event) : null;
  if (row) openRow(row, event);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("tr[data-href]")) openRow(event.target, event);
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
});

/** A row that holds a link is reached by it; one without gets a place in the tab order. */
function makeRowsReachable(root) {
  for (const row of root.querySelectorAll("tr[data-href]:not([tabindex])")) {
    if (!row.querySelector("a[href]")) row.tabIndex = 0;
  }
}

document.addEventListener("htmx:load", (event) => makeRowsReachable(event.detail.elt));

installConfirm();
installScroll();
installBusy();

function start() {
  makeRowsReachable(document);
  Alpine.start();
}

// Deferred scripts of slices run before this event, so their components are known when Alpine starts.
if (document.readyState === "complete") start();
else document.addEventListener("DOMContentLoaded", start, { once: true });
