// What every page has. Templates use it through attributes only; nothing is inline, as the content security policy asks:
//   <meta name="csrf-token">       sent with every changing htmx request as X-CSRFToken
//   data-confirm="question"        on a form, button or link: asks first (also hx-confirm)
//   data-print                     prints the page
//   data-href="/path"              on a table row: the whole row is a link
//   data-autosubmit                on a select: sends its form at once (language switch, filters)
//   data-busy="off"                on a form that downloads: leave its button alone
//   <body data-text-yes data-text-no data-text-failed data-text-offline>   the words, in the page's language
//   <div id="flash" role="alert">  where a failed htmx request is told
// Bundles of slices register Alpine components in document's "alpine:init" event.

import "@tabler/core/dist/js/tabler.esm.min.js";
import Alpine from "@alpinejs/csp";
import htmx from "htmx.org";
import { installBusy } from "./_busy.js";
import { installConfirm } from "./_confirm.js";
import { csrfToken } from "./_csrf.js";

Object.assign(htmx.config, {
  includeIndicatorStyles: false,
  allowEval: false,
  allowScriptTags: false,
  selfRequestsOnly: true,
  historyCacheSize: 0, // pages hold personal data: none of it stays in the browser's storage
  responseHandling: [
    { code: "204", swap: false },
    { code: "[23]..", swap: true },
    { code: "422", swap: true },
    { code: "[45]..", swap: false, error: true },
  ],
});

window.htmx = htmx;
window.Alpine = Alpine;

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = csrfToken();
});

function tell(text) {
  const flash = document.getElementById("flash");
  if (!flash || !text) return;
  flash.className = "alert alert-danger";
  flash.textContent = text;
  flash.scrollIntoView({ block: "nearest" });
}

document.addEventListener("htmx:responseError", (event) => {
  tell(event.detail.xhr.getResponseHeader("X-Error-Text") ?? document.body.dataset.textFailed);
});
document.addEventListener("htmx:sendError", () => tell(document.body.dataset.textOffline));

function openRow(row, event) {
  if (event.ctrlKey || event.metaKey || event.button === 1) window.open(row.dataset.href, "_blank", "noopener");
  else window.location.assign(row.dataset.href);
}

function rowOf(event) {
  if (event.target.closest("a, button, input, select, textarea, label, summary")) return null;
  return event.target.closest("tr[data-href]");
}

document.addEventListener("click", (event) => {
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
installBusy();

function start() {
  makeRowsReachable(document);
  Alpine.start();
}

// Deferred scripts of slices run before this event, so their components are known when Alpine starts.
if (document.readyState === "complete") start();
else document.addEventListener("DOMContentLoaded", start, { once: true });
