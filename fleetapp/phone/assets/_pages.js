// The lists: duties of the days, what waits to be sent, messages.

import { isOver, progress, stepsOf } from "./_apply.js";
import { day, h, hour, icon, t } from "./_dom.js";
import { sos } from "./_mine.js";
import { stepName } from "./_task.js";

function card(task) {
  const [step, steps] = progress(task);
  const over = isOver(task);
  return h(
    "a",
    { class: `card${over ? " over" : ""}`, href: `#/task/${task.id}` },
    h(
      "span",
      { class: "row" },
      h("b", { class: "time" }, `${hour(task.start_at)}–${hour(task.end_at)}`),
      h("span", { class: "state" }, t(`orders.state.${task.state}`)),
    ),
    h("span", { class: "plate" }, task.plate),
    h("span", {}, task.stops.map((stop) => stop.name).join(" → ")),
    h(
      "span",
      { class: "row" },
      h("span", {}, day(task.start_at)),
      task.queued && h("span", { class: "badge warn" }, t("queued")),
    ),
    !over &&
      h(
        "span",
        { class: "button" },
        t(`${stepName(stepsOf(task)[0], task)}`),
        h("small", {}, t("progress", { i: step, n: steps })),
      ),
  );
}

export function todayPage(app) {
  const today = day(Date.now());
  const open = app.tasks.filter((task) => !isOver(task));
  const groups = [
    ["today", open.filter((task) => day(task.start_at) === today || Date.parse(task.start_at) < Date.now())],
    ["later", open.filter((task) => day(task.start_at) !== today && Date.parse(task.start_at) >= Date.now())],
    ["finished", app.tasks.filter(isOver)],
  ];
  const lists = groups
    .filter(([, tasks]) => tasks.length)
    .map(([name, tasks]) =>
      h(
        "section",
        { class: name === "today" ? "" : "extra", "aria-label": t(name) },
        h("h2", {}, t(name)),
        tasks.map(card),
      ),
    );
  return [
    ...(lists.length
      ? lists
      : [h("div", { class: "empty" }, icon("steering-wheel"), h("b", {}, t("none")), h("p", {}, t("none_hint")))]),
    sos(app, null),
  ];
}

function queued(app, item, held) {
  const refused = item.status === "refused";
  const name = t(`step.${item.kind}`, { place: "" });
  const title = [name, item.plate].filter(Boolean).join(" · ");
  // Most refusals are put right where the action was made; help and positions are just sent again.
  const again = () =>
    app.tap(item.kind, {
      task: app.tasks.find((task) => task.id === item.assignment_id) ?? { id: item.assignment_id, plate: item.plate },
      body: item.body,
      photos: item.photos,
      instead: item,
    });
  const edit =
    ["SCAN", "WALK_ROUND", "CHECK_OUT", "CHECK_IN", "EXPENSE"].includes(item.kind) &&
    app.tasks.some((task) => task.id === item.assignment_id);
  return h(
    "li",
    { class: `card${refused ? " bad" : ""}` },
    h("span", { class: "row" }, h("b", {}, title), h("time", { datetime: item.tapped_at }, hour(item.tapped_at))),
    refused
      ? h("p", { role: "alert" }, icon("alert-triangle"), item.message)
      : h("p", {}, icon("clock"), t(held ? "held" : "waiting")),
    refused && h("p", { class: "hint" }, t("conflict_hint")),
    refused &&
      h(
        "div",
        { class: "pair" },
        edit
          ? h(
              "a",
              {
                class: "button",
                href: `#/task/${item.assignment_id}/${item.n}`,
                onclick: () => {
                  app.editing = item;
                },
              },
              t("again"),
            )
          : h("button", { type: "button", class: "button", onclick: again }, t("again")),
        h(
          "button",
          { type: "button", class: "button second", onclick: () => confirm(t("drop_ask")) && app.drop(item) },
          t("drop"),
        ),
      ),
  );
}

export function queuePage(app) {
  const held = new Set();
  const rows = app.mine.map((item) => {
    const row = queued(app, item, held.has(item.assignment_id));
    if (item.status === "refused" && item.assignment_id) held.add(item.assignment_id);
    return row;
  });
  const others = app.queue.filter((item) => item.user !== app.state.user.id).length;
  return [
    h("h2", {}, t("queue")),
    rows.length
      ? h("ol", { class: "plain" }, rows)
      : h("div", { class: "empty" }, icon("check"), h("b", {}, t("all_sent"))),
    rows.length > 0 &&
      h("button", { type: "button", class: "button", onclick: app.flush }, icon("upload"), t("send_now")),
    others > 0 && h("p", { class: "hint" }, t("other_user", { n: others })),
  ].filter(Boolean);
}

export function messagesPage(app) {
  if (!app.state.messages.length)
    return [
      h("h2", {}, t("tab.messages")),
      h("div", { class: "empty" }, icon("message"), h("b", {}, t("no_messages"))),
    ];
  return [
    h("h2", {}, t("tab.messages")),
    h(
      "ul",
      { class: "plain" },
      app.state.messages.map((one) =>
        h(
          "li",
          { class: `card${one.new ? " new" : ""}` },
          h("span", { class: "hint" }, `${day(one.at)} ${hour(one.at)}`),
          h("p", {}, one.text),
        ),
      ),
    ),
  ];
}
