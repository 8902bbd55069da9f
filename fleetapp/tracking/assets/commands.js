// The form of a command shows the inputs of the chosen kind alone: <fieldset data-kind="text"> belongs to that option.
const kind = document.querySelector("#f-kind");

function show() {
  for (const part of document.querySelectorAll("[data-kind]")) {
    part.hidden = part.dataset.kind !== kind.value;
    part.disabled = part.hidden;
  }
}

kind?.addEventListener("change", show);
if (kind) show();
