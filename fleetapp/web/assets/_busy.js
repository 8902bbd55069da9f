// A form that was sent shows it: its button is disabled and turns a spinner, so that nobody sends twice.
// A form that downloads a file says data-busy="off", because no event tells when the file has come.

const DONE = "data-busy-spinner";

function buttonOf(form, submitter) {
  return submitter ?? form.querySelector("button[type=submit], button:not([type])");
}

function start(form, button) {
  form.setAttribute("aria-busy", "true");
  if (!button || button.querySelector?.(`[${DONE}]`)) return;
  const spinner = document.createElement("span");
  spinner.className = "spinner-border spinner-border-sm me-2";
  spinner.setAttribute("aria-hidden", "true");
  spinner.setAttribute(DONE, "");
  button.prepend(spinner);
  button.disabled = true;
}

export function stop(root) {
  for (const spinner of root.querySelectorAll(`[${DONE}]`)) {
    spinner.parentElement.disabled = false;
    spinner.remove();
  }
  for (const form of [root, ...root.querySelectorAll("form[aria-busy]")]) form.removeAttribute?.("aria-busy");
}

export function installBusy() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.busy === "off" || form.method === "dialog" || form.target === "_blank") return;
    const throughHtmx = event.defaultPrevented;
    if (throughHtmx && !form.closest("[hx-get],[hx-post],[hx-put],[hx-patch],[hx-delete]")) return;
    // After this turn: a button that is disabled now would be left out of what the form sends.
    setTimeout(() => start(form, buttonOf(form, event.submitter)));
  });
  document.addEventListener("htmx:afterRequest", (event) => stop(event.detail.elt));
  // The page came back from the browser's own cache as it was left.
  window.addEventListener("pageshow", (event) => event.persisted && stop(document));
}
