// The application form, beyond what every form of an order has (order_form.js): the map that is touched, the answer that
// is asked while the form is filled, the input that only service orders have.

const form = document.querySelector("[data-order-form]");
const { map, mapStyle, textPoint } = form.dataset;
const picker = form.querySelector("[data-pick]");
let lastRow = null;

const rows = () => [...form.querySelectorAll("[data-stops] [data-stop]")];
const inputOf = (row, name) => row.querySelector(`[name=stop_${name}]`);

form.addEventListener("focusin", (event) => {
  lastRow = event.target.closest("[data-stop]") ?? lastRow;
});

// -- the map: loaded when somebody opens it; a tap gives the place its row waits for

function marks() {
  const placed = rows()
    .map((row, index) => ({
      index,
      name: inputOf(row, "name").value,
      lat: inputOf(row, "lat").value,
      lon: inputOf(row, "lon").value,
    }))
    .filter(({ lat, lon }) => lat && lon && Number.isFinite(Number(lat)) && Number.isFinite(Number(lon)));
  return {
    type: "FeatureCollection",
    features: placed.map(({ index, name, lat, lon }) => ({
      type: "Feature",
      properties: { kind: index ? "order" : "start", label: name },
      geometry: { type: "Point", coordinates: [Number(lon), Number(lat)] },
    })),
  };
}

const showMarks = () => picker.dispatchEvent(new CustomEvent("fleet:marks", { detail: marks() }));

picker.addEventListener("fleet:pick", (event) => {
  const { lat, lon } = event.detail;
  const free = rows().find((row) => !inputOf(row, "lat").value);
  const row = lastRow?.isConnected && !inputOf(lastRow, "lat").value ? lastRow : (free ?? lastRow ?? rows().at(-1));
  inputOf(row, "name").value ||= textPoint.replace("#", `${lat.toFixed(4)}, ${lon.toFixed(4)}`);
  inputOf(row, "lat").value = lat.toFixed(6);
  inputOf(row, "lon").value = lon.toFixed(6);
  inputOf(row, "lon").dispatchEvent(new Event("input", { bubbles: true })); // the row says that it is placed
  showMarks();
});
form.addEventListener("change", showMarks);

form.querySelector("[data-map-open]").addEventListener("toggle", () => {
  if (picker.dataset.loaded) return;
  picker.dataset.loaded = "1";
  picker.dataset.features = JSON.stringify(marks());
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: mapStyle });
  document.head.append(style, Object.assign(document.createElement("script"), { src: map }));
});

// -- the answer: asked a moment after the last change; an older question is given up. Only what it depends on is sent.
const ASKED = ["kind", "body", "passenger_count", "start_at", "end_at", "luggage", "one_way", "stop_lat", "stop_lon"];
const WAIT_MS = 400;
const answerBox = form.querySelector("[data-answer]");
let answerTimer = 0;
let question = null;
let asked = "";

function terms() {
  const given = [...new FormData(form)].filter(([name]) => ASKED.includes(name));
  return new URLSearchParams(given).toString();
}

async function askAnswer() {
  if (terms() === asked) return;
  asked = terms();
  question?.abort();
  question = new AbortController();
  try {
    const answer = await fetch(`${answerBox.dataset.answer}?${asked}`, { signal: question.signal });
    if (answer.ok) answerBox.innerHTML = await answer.text();
    else asked = "";
  } catch (error) {
    if (error.name !== "AbortError") asked = ""; // no connection: what is shown stays, the next change asks again
  }
}

for (const name of ["input", "change"]) {
  form.addEventListener(name, () => {
    clearTimeout(answerTimer);
    answerTimer = setTimeout(askAnswer, WAIT_MS);
  });
}
asked = terms(); // the page came with its answer

for (const radio of form.querySelectorAll("[name=kind]")) {
  radio.addEventListener("change", () => {
    form.querySelector("[data-service-only]").hidden = radio.value !== "service";
  });
}
