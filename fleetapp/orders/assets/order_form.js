// Forms of orders: places found while typing, stops added and removed, purposes that go with the kind of order.
// Without this script the form still works: a stop is added by the server, a place is given by its full name.

const form = document.querySelector("[data-order-form]");
const { search, most, recent, textOrigin, textStop, textRecent, textNone } = form.dataset;
const list = form.querySelector("[data-stops]");
const template = form.querySelector("[data-stop-template]");
const addButton = form.querySelector("[data-stop-add]");
const RECENT = JSON.parse(recent);
const PAUSE_MS = 180;

const rows = () => [...list.querySelectorAll("[data-stop]")];
const inputOf = (row, name) => row.querySelector(`[name=stop_${name}]`);

function setPlace(row, place) {
  if (place) inputOf(row, "name").value = place.name;
  inputOf(row, "lat").value = place ? place.lat.toFixed(6) : "";
  inputOf(row, "lon").value = place ? place.lon.toFixed(6) : "";
  showLocated(row);
  if (place) inputOf(row, "lat").dispatchEvent(new Event("change", { bubbles: true }));
}

function showLocated(row) {
  row.querySelector("[data-stop-located]").hidden = !(inputOf(row, "lat").value && inputOf(row, "lon").value);
}

/** Ids, labels and buttons follow the position of a row. */
function number() {
  const all = rows();
  for (const [index, row] of all.entries()) {
    const label = row.querySelector("[data-stop-label]");
    label.textContent = index === 0 ? textOrigin : textStop.replace("#", index);
    label.classList.toggle("required", index < 2);
    inputOf(row, "name").required = index < 2;
    row.querySelector("[data-stop-remove]").hidden = index === 0 || all.length <= 2;
    for (const element of row.querySelectorAll("[id], [for], [aria-controls]")) {
      for (const name of ["id", "for", "aria-controls"]) {
        const value = element.getAttribute(name);
        if (value) element.setAttribute(name, value.replace(/^stop-\d+/, `stop-${index}`));
      }
    }
  }
  addButton.disabled = all.length >= Number(most);
}

function makeOption(place, id) {
  const item = document.createElement("li");
  item.className = "dropdown-item";
  item.setAttribute("role", "option");
  item.setAttribute("aria-selected", "false");
  item.id = id;
  item.textContent = place.name;
  return item;
}

function makeNote(text) {
  const item = document.createElement("li");
  item.className = "dropdown-header";
  item.setAttribute("role", "presentation");
  item.textContent = text;
  return item;
}

/** A combobox after the ARIA pattern: arrows move, Enter takes, Escape closes; typing forgets the old position. */
function install(row) {
  const input = inputOf(row, "name");
  const menu = row.querySelector("[role=listbox]");
  let places = [];
  let active = -1;
  let timer = 0;
  let asking = null;

  const options = () => [...menu.querySelectorAll("[role=option]")];

  function close() {
    clearTimeout(timer);
    asking?.abort();
    menu.classList.remove("show");
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    active = -1;
  }

  function show(found, heading) {
    places = found;
    active = -1;
    menu.replaceChildren(
      ...(heading ? [makeNote(heading)] : []),
      ...found.map((place, index) => makeOption(place, `${menu.id}-${index}`)),
    );
    menu.classList.add("show");
    input.setAttribute("aria-expanded", "true");
    input.removeAttribute("aria-activedescendant");
  }

  function activate(index) {
    const all = options();
    if (!all.length) return;
    active = (index + all.length) % all.length;
    for (const [position, option] of all.entries()) {
      option.classList.toggle("active", position === active);
      option.setAttribute("aria-selected", String(position === active));
    }
    all[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", all[active].id);
  }

  function take(index) {
    setPlace(row, places[index]);
    close();
  }

  async function ask() {
    const text = input.value.trim();
    if (!text) {
      if (RECENT.length) show(RECENT, textRecent);
      else close();
      return;
    }
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(`${search}?q=${encodeURIComponent(text)}`, {
        headers: { Accept: "application/json" },
        signal: asking.signal,
      });
      if (!answer.ok) return close();
      const found = await answer.json();
      show(found, found.length ? "" : textNone);
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  }

  input.addEventListener("input", () => {
    setPlace(row, null);
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  });
  input.addEventListener("focus", () => input.value || ask());
  input.addEventListener("blur", () => close());
  input.addEventListener("keydown", (event) => {
    const open = menu.classList.contains("show");
    if (event.isComposing) return; // Enter ends a pinyin word first
    if (event.key === "ArrowDown" && !open) ask();
    else if (event.key === "ArrowDown") activate(active + 1);
    else if (event.key === "ArrowUp" && open) activate(active < 0 ? -1 : active - 1);
    else if (event.key === "Enter" && open && places.length) take(Math.max(active, 0));
    else if (event.key === "Escape" && open) close();
    else return;
    event.preventDefault();
  });
  // Pressed, not clicked: the input must not lose the focus first.
  menu.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const index = options().indexOf(event.target.closest("[role=option]"));
    if (index >= 0) take(index);
  });
  for (const name of ["lat", "lon"]) inputOf(row, name).addEventListener("input", () => showLocated(row));
  row.querySelector("[data-stop-remove]").addEventListener("click", () => {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    number();
    inputOf(next, "name").focus();
  });
}

addButton.addEventListener("click", (event) => {
  event.preventDefault();
  const row = template.content.firstElementChild.cloneNode(true);
  list.append(row);
  install(row);
  number();
  inputOf(row, "name").focus();
});

function fitPurposes() {
  const kind = form.querySelector("[name=kind]:checked").value;
  const select = form.querySelector("[name=purpose]");
  for (const option of select.options) {
    const fits = !option.value || option.dataset.kinds.split(" ").includes(kind);
    option.hidden = option.disabled = !fits;
    if (!fits && option.selected) select.value = "";
  }
  const count = form.querySelector("[name=passenger_count]");
  count.min = kind === "service" ? 0 : 1;
}

/** The return moves with the start, so that a later start never leaves a reversed window behind. */
function keepLength() {
  const [start, end] = ["start_at", "end_at"].map((name) => form.querySelector(`[name=${name}]`));
  let before = start.valueAsNumber;
  start.addEventListener("change", () => {
    const moved = start.valueAsNumber - before;
    if (Number.isFinite(moved) && Number.isFinite(end.valueAsNumber)) end.valueAsNumber += moved;
    if (Number.isFinite(start.valueAsNumber)) before = start.valueAsNumber;
  });
}

for (const row of rows()) install(row);
for (const radio of form.querySelectorAll("[name=kind]")) radio.addEventListener("change", fitPurposes);
number();
fitPurposes();
keepLength();
(form.querySelector(".is-invalid") ?? document.getElementById("form-error"))?.focus();
