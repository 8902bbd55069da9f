// The auditor's desk. Queue: J and K walk through the rows, Enter opens, X marks. Case: the time strip and the map's player
// follow each other ("fleet:at" from the map tells where it is, "fleet:seek" asks it to go to a moment), arrows step, space plays.

const typing = (event) =>
  event.ctrlKey ||
  event.metaKey ||
  event.altKey ||
  event.target.closest("input:not([type=checkbox]), textarea, select");

function queue(table) {
  const rows = [...table.querySelectorAll("tr[data-case]")];
  const marks = () => rows.map((row) => row.querySelector("input[type=checkbox]")).filter(Boolean);
  const count = document.querySelector("[data-marked]");

  function told() {
    if (count) count.textContent = String(marks().filter((mark) => mark.checked).length);
  }
  function move(step) {
    const here = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[Math.min(Math.max(here + step, 0), rows.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    if (typing(event)) return;
    const row = document.activeElement.closest("tr[data-case]");
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x" && row) {
      const mark = row.querySelector("input[type=checkbox]");
      if (mark) mark.checked = !mark.checked;
      told();
    }
  });
  table.addEventListener("change", (event) => {
    if (event.target.matches("[data-mark-all]")) for (const mark of marks()) mark.checked = event.target.checked;
    told();
  });
  told();
}

function replay(strip) {
  const map = document.querySelector(".fleet-map[data-fixes]");
  const [start, end, left, width] = ["start", "end", "left", "width"].map((name) => Number(strip.dataset[name]));
  const cursor = strip.querySelector(".replay-cursor");
  let at = start;

  function draw(moment, words) {
    at = Math.min(Math.max(moment, start), end);
    const x = left + ((at - start) / (end - start)) * (width - left);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    strip.setAttribute("aria-valuenow", String(Math.round(at)));
    if (words) strip.setAttribute("aria-valuetext", words);
  }
  function seek(moment) {
    draw(moment);
    map?.dispatchEvent(new CustomEvent("fleet:seek", { detail: { at } }));
  }
  function under(event) {
    const box = strip.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    return start + ((x - left) / (width - left)) * (end - start);
  }
  strip.addEventListener("pointerdown", (event) => {
    strip.setPointerCapture(event.pointerId);
    seek(under(event));
  });
  strip.addEventListener("pointermove", (event) => {
    if (event.buttons) seek(under(event));
  });
  strip.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -60, ArrowRight: 60, PageUp: 600, PageDown: -600 }[event.key];
    if (!step) return;
    event.preventDefault();
    seek(at + (event.shiftKey ? step * 5 : step));
  });
  map?.addEventListener("fleet:at", (event) => draw(event.detail.at, event.detail.words));
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || typing(event) || event.target.closest("button, summary, a, [type=checkbox]")) return;
    event.preventDefault();
    document.querySelector("#track-play")?.click();
  });
  draw(start);
  map?.dispatchEvent(new CustomEvent("fleet:tell"));
}

/** What has been chosen from the camera or the album, by name: the input itself shows only a number. */
function papers(input) {
  const list = document.querySelector(input.dataset.chosen);
  input.addEventListener("change", () => {
    list.replaceChildren(
      ...[...input.files].map((file) => {
        const row = document.createElement("li");
        row.textContent = `${file.name} · ${Math.ceil(file.size / 1024)} KB`;
        return row;
      }),
    );
  });
}

/** A reason is asked for only where the outcome needs one. */
function reason(form) {
  const ask = form.querySelector("[data-reason]");
  const show = () => {
    ask.hidden = form.querySelector("[name=outcome]:checked")?.value !== "CLEARED";
    ask.querySelector("select").required = !ask.hidden;
  };
  form.addEventListener("change", show);
  show();
}

for (const table of document.querySelectorAll("[data-queue]")) queue(table);
for (const strip of document.querySelectorAll("[data-strip]")) replay(strip);
for (const input of document.querySelectorAll("input[data-chosen]")) papers(input);
for (const form of document.querySelectorAll("form[data-decide]")) reason(form);
