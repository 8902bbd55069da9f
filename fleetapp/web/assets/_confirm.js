// data-confirm="question" on a form, button or link, and htmx's hx-confirm: ask first, in a dialog of our own.

const confirmed = new WeakSet();

function words() {
  const { textYes = "确定 OK", textNo = "取消 Cancel" } = document.body.dataset;
  return { textYes, textNo };
}

/** Ask a question; resolves to true or false. Escape means no; the cancelling button has the focus. */
export function ask(question) {
  const { textYes, textNo } = words();
  const dialog = document.createElement("dialog");
  dialog.className = "fleet-confirm";
  dialog.setAttribute("aria-labelledby", "fleet-confirm-question");
  const text = document.createElement("p");
  text.id = "fleet-confirm-question";
  text.textContent = question;
  const buttons = document.createElement("form");
  buttons.method = "dialog";
  buttons.className = "btn-list justify-content-end";
  for (const [value, label, look] of [
    ["no", textNo, "btn"],
    ["yes", textYes, "btn btn-primary"],
  ]) {
    const button = document.createElement("button");
    button.value = value;
    button.className = look;
    button.textContent = label;
    buttons.append(button);
  }
  dialog.append(text, buttons);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

function holdBack(event, element, goOn) {
  if (confirmed.delete(element)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  ask(element.dataset.confirm).then((yes) => {
    if (!yes) return;
    confirmed.add(element);
    goOn();
  });
}

/** Listen in the capturing phase, so that nothing else acts before the answer. */
export function installConfirm() {
  document.addEventListener(
    "click",
    (event) => {
      const element = event.target.closest?.("[data-confirm]:not(form)");
      if (element) holdBack(event, element, () => element.click());
    },
    true,
  );
  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      // htmx listens on the form itself, after this; the submitter keeps its name and value.
      if (form.matches?.("form[data-confirm]")) holdBack(event, form, () => form.requestSubmit(event.submitter));
    },
    true,
  );
  document.addEventListener("htmx:confirm", (event) => {
    if (!event.detail.question) return;
    event.preventDefault();
    ask(event.detail.question).then((yes) => yes && event.detail.issueRequest(true));
  });
}
