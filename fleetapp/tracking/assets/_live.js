// Positions as they come in. The page asks for what changed since the last answer, every few seconds, less often while
// there is no answer, not at all while nobody looks. Map and list show the same vehicles; #live-unit, #live-search and
// input[name=live-state] choose which. The words of the page are in data-words (JSON).
import { boundingExtent, extend } from "ol/extent.js";
import { fromLonLat } from "ol/proj.js";
import { TURNS, VehicleLayer } from "./_vehicles.js";

const EVERY_MS = 4000;
const LONGEST_MS = 60000;
const MOST_ROWS = 200;
const STATES = ["moving", "parked", "offline"];

function say(words, { ...values }) {
  return words.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function followLive(element, map) {
  const words = JSON.parse(element.dataset.words);
  const page = Object.fromEntries(
    ["status", "list", "unit", "search", "shown", "card", "empty"].map((part) => [
      part,
      document.querySelector(`#live-${part}`),
    ]),
  );
  const layer = new VehicleLayer();
  map.addLayer(layer);
  const fleet = new Map(); // by vehicle: {id, plate, org, orgId, position, state, x, y, ...}
  const rows = new Map();
  let order = "";
  let since = "";
  let ahead = 0; // server's clock against ours, ms
  let lastAsOf = "";
  let failures = 0;
  let timer = 0;
  let asking = false;
  let chosen = Number(new URLSearchParams(location.search).get("vehicle")) || null;
  let fitted = false;

  // -- what is known

  function take(answer) {
    ahead = Date.parse(answer.as_of) - Date.now();
    since = answer.next;
    if (answer.full) {
      const still = new Set(answer.vehicles.map((vehicle) => vehicle.vehicle_id));
      for (const id of fleet.keys()) if (!still.has(id)) fleet.delete(id);
      for (const { vehicle_id: id, plate, org, org_id: orgId } of answer.vehicles)
        fleet.set(id, { ...fleet.get(id), id, plate, org, orgId });
      listUnits();
    }
    const now = performance.now();
    for (const position of answer.positions) {
      const vehicle = fleet.get(position.vehicle_id);
      const [x, y] = fromLonLat([position.lon, position.lat]);
      const known = vehicle.position !== undefined;
      vehicle.fromX = known ? vehicle.x : x;
      vehicle.fromY = known ? vehicle.y : y;
      vehicle.movedAt = known && (vehicle.x !== x || vehicle.y !== y) ? now : -Infinity;
      vehicle.turn = Math.round(((position.direction_deg ?? 0) * TURNS) / 360) % TURNS;
      Object.assign(vehicle, { x, y, position });
    }
  }

  /** The server said how each state ends by itself. */
  function judge() {
    const now = Date.now() + ahead;
    for (const vehicle of fleet.values()) {
      const { position } = vehicle;
      if (!position) vehicle.state = "offline";
      else if (now > Date.parse(position.offline_from)) vehicle.state = "offline";
      else if (position.moving_until && now <= Date.parse(position.moving_until)) vehicle.state = "moving";
      else vehicle.state = "parked";
    }
  }

  function age(vehicle) {
    if (!vehicle.position) return words.never;
    const s = Math.max(0, Math.round((Date.now() + ahead - Date.parse(vehicle.position.at)) / 1000));
    if (s < 60) return say(words.seconds, { n: s });
    if (s < 3600) return say(words.minutes, { n: Math.floor(s / 60) });
    return s < 172800 ? say(words.hours, { n: Math.floor(s / 3600) }) : say(words.days, { n: Math.floor(s / 86400) });
  }

  // -- what is shown

  function listUnits() {
    if (!page.unit) return;
    const kept = page.unit.value;
    const units = new Map([...fleet.values()].map((vehicle) => [String(vehicle.orgId), vehicle.org]));
    const options = [...units].sort((a, b) => a[1].localeCompare(b[1])).map(([id, name]) => new Option(name, id));
    page.unit.replaceChildren(page.unit.options[0], ...options);
    page.unit.value = units.has(kept) ? kept : "";
  }

  function filter() {
    const wanted = (page.search?.value ?? "").trim().toUpperCase();
    const state = document.querySelector("input[name=live-state]:checked")?.value ?? "";
    const unit = page.unit?.value ?? "";
    return [...fleet.values()]
      .filter(
        (vehicle) =>
          (!wanted || vehicle.plate.includes(wanted) || vehicle.org.toUpperCase().includes(wanted)) &&
          (!state || vehicle.state === state) &&
          (!unit || String(vehicle.orgId) === unit),
      )
      .sort((a, b) => (a.plate < b.plate ? -1 : a.plate > b.plate ? 1 : 0));
  }

  function rowOf(vehicle) {
    let row = rows.get(vehicle.id);
    if (!row) {
      row = document.createElement("button");
      row.type = "button";
      row.className = "list-group-item list-group-item-action live-row";
      row.dataset.vehicle = vehicle.id;
      const mark = document.createElement("span");
      const plate = document.createElement("strong");
      const rest = document.createElement("span");
      rest.className = "live-row-rest text-secondary small";
      row.append(mark, plate, rest);
      rows.set(vehicle.id, row);
    }
    const [mark, plate, rest] = row.children;
    const speed = vehicle.state === "moving" ? ` · ${Math.round(vehicle.position.speed_kmh ?? 0)} km/h` : "";
    const text = `${words[vehicle.state]}${speed} · ${age(vehicle)}`;
    mark.className = `legend-dot legend-${vehicle.state}`;
    if (plate.textContent !== vehicle.plate) plate.textContent = vehicle.plate;
    if (rest.textContent !== text) rest.textContent = text;
    row.setAttribute("aria-current", String(vehicle.id === chosen));
    return row;
  }

  function list(found) {
    const first = found.slice(0, MOST_ROWS);
    const selected = found.find((vehicle) => vehicle.id === chosen);
    if (selected && !first.includes(selected)) first.unshift(selected);
    const wanted = first.map(rowOf);
    const inOrder = first.map((vehicle) => vehicle.id).join();
    if (inOrder !== order) page.list.replaceChildren(...wanted);
    order = inOrder;
    for (const id of rows.keys()) if (!fleet.has(id)) rows.delete(id);
    page.shown.textContent = say(words.shown, { n: first.length, total: found.length });
    page.empty.hidden = found.length > 0;
  }

  function draw() {
    judge();
    const found = filter();
    layer.show(
      found.filter((vehicle) => vehicle.position),
      chosen,
    );
    for (const state of STATES) {
      const counter = document.querySelector(`#live-count-${state}`);
      if (counter) counter.textContent = [...fleet.values()].filter((vehicle) => vehicle.state === state).length;
    }
    if (page.list) list(found);
    element.dataset.shown = found.length;
  }

  // -- one vehicle

  async function card() {
    if (!page.card || !chosen) return;
    const asked = chosen;
    try {
      const answer = await fetch(`${element.dataset.card}/${asked}`, { credentials: "same-origin" });
      const text = answer.ok ? await answer.text() : "";
      if (asked !== chosen) return;
      if (text) page.card.innerHTML = text;
      else page.card.textContent = words.gone;
    } catch {
      return; // the status line says that the connection is lost
    }
    page.card.hidden = false;
  }

  function choose(id, { center = false } = {}) {
    chosen = id;
    if (!page.card) {
      location.assign(`${element.dataset.page}?vehicle=${id}`);
      return;
    }
    const vehicle = fleet.get(id);
    draw();
    if (center && vehicle?.position) reveal(vehicle);
    rows.get(id)?.scrollIntoView({ block: "nearest" });
    card();
  }

  /** Bring a vehicle into the middle, on a narrow map above the card that covers its lower half. */
  function reveal(vehicle) {
    const view = map.getView();
    const zoom = Math.max(15, view.getZoom());
    const below = element.clientWidth < 500 ? 0.25 * element.clientHeight * view.getResolutionForZoom(zoom) : 0;
    view.animate({ center: [vehicle.x, vehicle.y - below], zoom, duration: 300 });
  }

  function close() {
    chosen = null;
    page.card.hidden = true;
    draw();
  }

  function reach(vehicles) {
    const extent = boundingExtent(vehicles.map(({ x, y }) => [x, y]));
    const view = map.getView();
    // Vehicles of one car park are one point: no closer than streets.
    view.fit(extent, { padding: [60, 60, 60, 60], maxZoom: Math.max(view.getZoom() + 2, 14), duration: 300 });
  }

  map.on("singleclick", (event) => {
    const found = layer.at(event.pixel);
    if (found?.vehicles) reach(found.vehicles);
    else if (found) choose(found.vehicle.id);
    else if (page.card && chosen) close();
  });
  map.on("pointermove", (event) => {
    if (!event.dragging) element.classList.toggle("fleet-map-pointing", layer.at(event.pixel) !== null);
  });
  page.list?.addEventListener("click", (event) => {
    const row = event.target.closest("[data-vehicle]");
    if (row) choose(Number(row.dataset.vehicle), { center: true });
  });
  page.card?.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) close();
  });
  page.card?.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const row = rows.get(chosen);
    close();
    row?.focus();
  });

  // -- asking

  function status(text, state) {
    if (!page.status) return;
    if (page.status.textContent !== text) page.status.textContent = text;
    page.status.dataset.state = state;
  }

  async function poll() {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    try {
      const address = since ? `${element.dataset.live}?since=${encodeURIComponent(since)}` : element.dataset.live;
      const answer = await fetch(address, {
        headers: { Accept: "application/json" },
        credentials: "same-origin",
        signal: AbortSignal.timeout?.(20000),
      });
      if (answer.status === 401) {
        status(words.signed_out, "lost");
        return;
      }
      if (answer.status === 422) since = ""; // begin anew
      if (!answer.ok) throw new Error(`${answer.status}`);
      const found = await answer.json();
      take(found);
      failures = 0;
      lastAsOf = new Intl.DateTimeFormat("zh-CN", { timeStyle: "medium", timeZone: "Asia/Shanghai" }).format(
        new Date(found.as_of),
      );
      draw();
      if (!fitted) begin();
      if (chosen && page.card && (page.card.hidden || found.positions.some((one) => one.vehicle_id === chosen))) card();
      status(say(words.as_of, { at: lastAsOf }), "ok");
      element.dataset.ready = "1";
      element.dataset.polls = Number(element.dataset.polls ?? 0) + 1;
    } catch {
      failures += 1;
      draw();
      status(lastAsOf ? say(words.lost, { at: lastAsOf }) : words.lost_at_once, "lost");
    } finally {
      asking = false;
    }
    if (!document.hidden) timer = setTimeout(poll, Math.min(EVERY_MS * 2 ** failures, LONGEST_MS));
  }

  function begin() {
    const places = [...fleet.values()].filter((vehicle) => vehicle.position);
    if (!places.length) return;
    fitted = true;
    const one = fleet.get(chosen);
    if (one?.position) map.getView().setCenter([one.x, one.y]);
    if (one?.position) map.getView().setZoom(15);
    else
      map.getView().fit(
        places.reduce((extent, { x, y }) => extend(extent, [x, y, x, y]), boundingExtent([])),
        { padding: [40, 40, 40, 40], maxZoom: 15 },
      );
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) poll();
  });
  for (const input of [page.search, page.unit, ...document.querySelectorAll("input[name=live-state]")])
    input?.addEventListener("input", draw);
  poll();
}
