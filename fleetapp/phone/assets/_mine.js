// Help, accidents, hours and rest, papers, the days ahead, leave, the large mode.

import { camera, data, day, field, h, hour, icon, t } from "./_dom.js";

const HOLD_MS = 2000;

/** The button that calls for help when it is held, by finger or key, for two seconds. */
export function sos(app, task) {
  const bar = h("span", { class: "hold" });
  const button = h(
    "button",
    { type: "button", class: "button sos" },
    bar,
    icon("alert-triangle"),
    h("span", {}, `${t("step.SOS")} · ${t("sos.hold")}`),
  );
  let timer = null;
  const start = (event) => {
    if (timer || (event.type === "keydown" && !["Enter", " "].includes(event.key))) return;
    event.preventDefault();
    button.classList.add("held");
    timer = setTimeout(async () => {
      stop();
      const done = await app.tap("SOS", { task });
      if (done) button.querySelector("span:last-child").textContent = t(navigator.onLine ? "sos.sent" : "sos.kept");
    }, HOLD_MS);
  };
  const stop = () => {
    clearTimeout(timer);
    timer = null;
    button.classList.remove("held");
  };
  for (const name of ["pointerdown", "keydown"]) button.addEventListener(name, start);
  for (const name of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"])
    button.addEventListener(name, stop);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  return button;
}

export function accidentPage(app, id) {
  const task = app.tasks.find((one) => one.id === Number(id));
  if (!task) return [h("a", { class: "back", href: "#/" }, icon("arrow-left"), t("back"))];
  const injured = h("input", { type: "checkbox", id: "injured" });
  const place = field(t("accident.place"), { name: "place", maxlength: 120 });
  const account = field(t("accident.account"), { name: "account", rows: 3, maxlength: 300 });
  const other = field(t("accident.other"), { name: "other", rows: 2, maxlength: 200 });
  const photo = camera(t("accident.photos"), 6);
  const send = h("button", { class: "button" }, t("accident.send"));
  const form = h(
    "form",
    { novalidate: true, class: "card" },
    h("p", { class: "banner bad" }, t("accident.first")),
    h("label", { class: "toggle wide", for: "injured" }, injured, h("span", {}, t("accident.injured"))),
    h(
      "div",
      { class: "pair" },
      h("a", { class: "button second", href: "tel:122" }, icon("phone"), "122"),
      h("a", { class: "button second", href: "tel:120" }, icon("phone"), "120"),
    ),
    photo.row,
    place.row,
    account.row,
    other.row,
    h("p", { class: "hint" }, t("accident.insurer")),
    send,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const one of [place, account]) if (one.input.value.trim().length < 2) return one.fault(t("needed"));
    send.disabled = true;
    const body = {
      place: place.input.value.trim(),
      account: account.input.value.trim(),
      injured: injured.checked,
      ...(other.input.value.trim() && { other_party: other.input.value.trim() }),
    };
    if (await app.tap("ACCIDENT", { task, body, photos: photo.photos })) location.hash = `#/task/${task.id}`;
    else send.disabled = false;
  });
  return [
    h("a", { class: "back", href: `#/task/${task.id}` }, icon("arrow-left"), t("back")),
    h("h2", {}, `${t("step.ACCIDENT")} · ${task.plate}`),
    form,
  ];
}

const span = (seconds) => t("hours_value", { h: Math.floor(seconds / 3600), m: Math.floor((seconds % 3600) / 60) });

export function minePage(app) {
  const { hours, papers } = app.state;
  const elder = document.documentElement.classList.contains("elder");
  const large = h("button", { type: "button", class: "button second" }, icon("eye"), t(elder ? "elder_off" : "elder"));
  large.addEventListener("click", () => {
    localStorage.setItem("elder", elder ? "no" : "yes");
    document.documentElement.classList.toggle("elder", !elder);
    app.go("#/mine");
  });
  return [
    h("h2", {}, app.state.user.name),
    large,
    h(
      "section",
      { class: `card${hours.rest_due ? " bad" : ""}` },
      h("h2", {}, t("hours")),
      h("p", { class: "time" }, span(hours.driven_s)),
      h("p", {}, `${t("stretch")} ${span(hours.stretch_s)}`),
      hours.rest_due && h("p", { role: "alert" }, icon("alert-triangle"), t("rest_due")),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, t("papers")),
      h(
        "ul",
        { class: "plain" },
        papers.map((one) =>
          h(
            "li",
            { class: `row${one.left_days < 30 ? " soon" : ""}` },
            h("span", {}, `${one.kind} ${one.of}`),
            h(
              "span",
              {},
              one.valid_to,
              h("br"),
              one.left_days < 0 ? t("expired") : t("left_days", { n: one.left_days }),
            ),
          ),
        ),
      ),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, t("roster")),
      app.tasks.length
        ? h(
            "ul",
            { class: "plain" },
            app.tasks.map((task) =>
              h(
                "li",
                { class: "row" },
                h("span", {}, day(task.start_at)),
                h("span", {}, `${hour(task.start_at)}–${hour(task.end_at)} ${task.plate}`),
              ),
            ),
          )
        : h("p", {}, t("none")),
    ),
    app.state.leaves?.length > 0 &&
      h(
        "section",
        { class: "card" },
        h("h2", {}, t("leaves")),
        h(
          "ul",
          { class: "plain" },
          app.state.leaves.map((one) =>
            h("li", { class: "row" }, h("span", {}, `${one.from_on} – ${one.until_on}`), h("span", {}, one.state)),
          ),
        ),
      ),
    h("a", { class: "button second", href: "#/leave" }, icon("calendar"), t("leave")),
    h("a", { class: "button second", href: data.plain }, icon("external-link"), t("plain")),
  ];
}

export function leavePage(app) {
  const from = field(t("leave_from"), { name: "from", type: "date" });
  const until = field(t("leave_until"), { name: "until", type: "date" });
  const reason = field(t("leave_reason"), { name: "reason", maxlength: 100 });
  const send = h("button", { class: "button" }, t("leave_send"));
  const form = h("form", { novalidate: true, class: "card" }, from.row, until.row, reason.row, send);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const one of [from, until, reason]) if (one.input.value.trim().length < 2) return one.fault(t("needed"));
    send.disabled = true;
    const body = { from_on: from.input.value, until_on: until.input.value, reason: reason.input.value.trim() };
    if (await app.tap("LEAVE", { body })) location.hash = "#/queue";
    else send.disabled = false;
  });
  return [h("a", { class: "back", href: "#/mine" }, icon("arrow-left"), t("back")), h("h2", {}, t("leave")), form];
}
