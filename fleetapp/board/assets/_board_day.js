// What of the live board is no dragging: heads between rows, the queue's cards, exceptions with their buttons, the substitute's dialog.
import { icon, make } from "./_board_parts.js";

/** Put a head before the first row of every group; a head is a row without a vehicle. */
export function withHeads(rows) {
  const found = [];
  let group = null;
  for (const row of rows) {
    if (row.group !== group) {
      group = row.group;
      const head = `${group} (${rows.filter((one) => one.group === group).length})`;
      found.push({ id: `head ${group}`, head, content: head, className: "board-head" });
    }
    found.push({ ...row, content: row.plate });
  }
  return found.map((row, order) => ({ ...row, order, text: JSON.stringify([row, order]) }));
}

/** Draw the cards of waiting orders; whoever has one in focus keeps it. */
export function drawQueue(list, count, queue, words, sprite, fill) {
  count.textContent = queue.length;
  const focused = document.activeElement?.dataset?.order;
  const cards = queue.map((order) => {
    const hours = Math.ceil((order.start - Date.now()) / 3600e3);
    const waited = Math.max(0, Math.round((Date.now() - (order.since ?? Date.now())) / 60e3));
    const age = waited < 120 ? fill(words.waits, waited) : fill(words.waits_h, Math.round(waited / 60));
    const rank = order.urgent ? words.urgent : hours <= 0 ? words.late : hours <= 4 ? fill(words.soon, hours) : "";
    const button = make("button", { type: "button", class: "board-card", "data-order": order.id });
    if (rank) button.append(make("span", { class: "badge bg-red-lt" }, icon(sprite, "alert-circle"), ` ${rank}`));
    button.append(make("strong", {}, order.time), make("small", {}, age), make("span", {}, `${order.unit} · ${order.to}`), make("small", {}, order.what)); // biome-ignore format: one card
    return make("li", {}, button);
  });
  list.replaceChildren(...(cards.length ? cards : [make("li", { class: "text-secondary p-3" }, words.empty)]));
  if (focused) document.querySelector(`[data-order="${focused}"]`)?.focus();
}

/** Draw the exceptions, each with what one click does about it. */
export function drawAlerts(box, alerts, total, words, sprite, { remind, substitute }) {
  const focused = document.activeElement?.dataset?.alert;
  const found = alerts.map((one) => {
    const link = make(
      "a",
      { href: one.href },
      icon(sprite, "alert-triangle"),
      `${one.plate} ${one.number} ${one.text}`,
    );
    const item = make("span", { class: "board-exception" }, link);
    const offer = (text, act, name) => {
      const button = make(
        "button",
        { type: "button", class: "btn btn-sm", "data-alert": `${name}-${one.order_id}-${one.code}` },
        text,
      );
      button.setAttribute("aria-label", `${text} ${one.plate} ${one.number}`);
      button.addEventListener("click", () => act(one));
      item.append(button);
    };
    offer(words.remind, remind, "remind");
    offer(words.substitute, substitute, "substitute");
    return item;
  });
  if (total > alerts.length) found.push(`… +${total - alerts.length}`);
  box.replaceChildren(...(found.length ? found : [words.none]));
  if (focused) document.querySelector(`[data-alert="${focused}"]`)?.focus();
}

/** Ask which vehicle takes over; resolves to what is sent, or null when given up. */
export function chooseSubstitute(dialog, found, words, fill) {
  dialog.querySelector("h2").textContent = fill(words.substitute_of, found.plate);
  const rows = found.rows.map((row, k) => {
    const button = make("button", { class: "btn btn-sm btn-primary", value: String(k) }, words.take);
    button.setAttribute("aria-label", `${words.take} ${row.plate}`);
    return make("li", {}, make("strong", {}, row.plate), ` ${row.text} `, button);
  });
  dialog.querySelector("[data-rows]").replaceChildren(...(rows.length ? rows : [make("li", {}, words.no_substitute)]));
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const row = dialog.returnValue === "" ? null : found.rows[Number(dialog.returnValue)];
        const reason = dialog.querySelector("#reason").value.trim();
        const repair = dialog.querySelector("#repair").checked;
        resolve(
          row ? { seen: found.seen, vehicle_id: row.vehicle_id, driver_id: row.driver_id, reason, repair } : null,
        );
      },
      { once: true },
    );
  });
}

/** Return what the map beside the board shows: vehicles where they are, the chosen one by name; an order's way; who could go. */
export function onMap(data, at, order, rows, words) {
  const here = data?.rows[at]?.id;
  const found = (data?.places ?? []).map((one) => {
    const plate = data.rows.find((row) => row.id === one.row)?.plate ?? "";
    const isPhone = one.source === "phone";
    const label = isPhone ? `${words.phone} ${plate}` : one.row === here ? plate : "";
    return point(one.point, { kind: "vehicle", state: isPhone ? "offline" : one.state, plate, label });
  });
  const stops = order?.stops ?? [];
  for (const [k, [lon, lat, name]] of stops.entries())
    found.push(point([lon, lat], { kind: !k ? "start" : k === stops.length - 1 ? "end" : "stop", label: name }));
  const line = { type: "LineString", coordinates: stops.map(([lon, lat]) => [lon, lat]) };
  if (order) found.unshift({ type: "Feature", geometry: line, properties: { kind: "order" } });
  for (const row of rows.filter((one) => one.fit !== "no" && one.point).slice(0, 8))
    found.push(point(row.point, { kind: "parking", label: row.plate }));
  return found;
}

function point(coordinates, properties) {
  return { type: "Feature", geometry: { type: "Point", coordinates }, properties };
}

/** Draw the quick answer to a waiting order: the best vehicles, and what moving others would save, each with its button. */
export function drawBest(list, found, order, words, take) {
  const line = (text, moves, said) => {
    const button = make("button", { type: "button", class: "btn btn-sm" }, text);
    button.addEventListener("click", () => take(moves));
    return make("li", {}, `${said} `, button);
  };
  const from = { order_id: order.id, seen: order.seen ?? null };
  const rows = found.best.map((one) => {
    const move = { ...from, vehicle_id: one.vehicle_id, driver_id: one.driver_id };
    return line(`${words.take} ${one.plate}`, [move], `${one.plate} · ${one.text}`);
  });
  if (found.moves.length) rows.push(line(words.take_moves, found.moves, found.text));
  if (found.none) rows.push(make("li", {}, found.none));
  list.replaceChildren(...rows);
}

export function drawPager(box, data, page) {
  const pages = Array.from({ length: data.pages > 1 ? data.pages : 0 }, (_, k) => {
    const link = make("a", { class: "btn btn-sm", href: `${page}&page=${k + 1}` }, String(k + 1));
    if (k + 1 === data.page) link.setAttribute("aria-current", "page");
    return link;
  });
  box.replaceChildren(...pages);
}

/** Draw the hours of drivers, the longest first. */
export function drawHours(list, drivers, words, fill) {
  list.replaceChildren(
    ...drivers.slice(0, 8).map((one) => {
      const text = `${one.name} ${one.on} ${fill(words.hours, one.hours, one.most)}`;
      return make("li", one.over ? { class: "board-bad" } : {}, one.over ? `⚠ ${text} ${words.over}` : text);
    }),
  );
}

/** Return the items of the time line: a bar for each journey over its buffers, spans kept, in the shop or sealed, idle vehicles. */
export function itemsOf(data) {
  const found = [];
  for (const one of data.bars) {
    const kind = ["board-item", `board-${one.state}`, one.alerts.length && "board-alert", one.locked && "board-locked", one.charge && "board-charge"]; // biome-ignore format: one list
    found.push(
      { id: `b${one.id}`, group: one.row, start: one.start, end: one.end, className: kind.filter(Boolean).join(" "), bar: one, content: one.text, text: JSON.stringify(one) },
      { id: `h${one.id}`, group: one.row, start: one.held_start, end: one.held_end, type: "background", className: "board-buffer", text: `${one.held_start}-${one.held_end}-${one.row}` },
    ); // biome-ignore format: one item a line
  }
  for (const one of data.kept)
    found.push({ id: `k${one.id}`, group: one.row, start: one.start, end: one.end, type: "background", className: `board-${one.cause}`, content: one.text, text: `${one.text}${one.start}${one.end}` }); // biome-ignore format: one item
  for (const row of data.rows.filter((one) => one.idle))
    found.push({ id: `i${row.id}`, group: row.id, start: data.start, end: data.end, type: "background", className: "board-idle", content: row.idle, text: row.idle }); // biome-ignore format: one item
  return found;
}
