// One duty: what it is, the next step in one large button or form, places with map apps, what was paid.

import { isOver, nextPlace, progress, stepsOf, underWay } from "./_apply.js";
import { camera, data, day, field, h, hour, icon, km, t } from "./_dom.js";
import { sos } from "./_mine.js";
import { look } from "./_position.js";
import { plateOf, scan } from "./_scan.js";

export function stepName(step, task) {
  if (!step) return t("done");
  return t(`step.${step}`, { place: nextPlace(task)?.name ?? "" });
}

/** A form whose button is dead while it is being kept, so that two taps are one. */
function form(children, words, send, kind = "") {
  const button = h("button", { class: `button ${kind}` }, words);
  const made = h("form", { novalidate: true, autocomplete: "off" }, children, button);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    try {
      if (!(await send())) button.disabled = false;
    } catch (error) {
      button.disabled = false;
      throw error;
    }
  });
  return made;
}

function plain(app, task, step, kind, words = stepName(step, task)) {
  return form([], words, () => app.tap(step, { task }), kind);
}

function scanForm(app, task, instead) {
  const place = h("div", { class: "scanner" });
  const typed = field(t("scan.typed"), {
    name: "code",
    inputmode: "text",
    autocapitalize: "characters",
    maxlength: 12,
    spellcheck: "false",
  });
  const send = async (code) => {
    const plate = plateOf(code);
    if (code.length > 12 && plate === null) return typed.fault(t("scan.not"));
    if (plate !== null && plate !== task.plate)
      return typed.fault(t("scan.other", { found: plate, plate: task.plate }));
    return app.tap("SCAN", { task, body: { code }, instead });
  };
  const open = h("button", { type: "button", class: "button" }, icon("qrcode"), t("scan.camera"));
  open.addEventListener("click", async () => {
    open.disabled = true;
    try {
      const found = await scan(place);
      if (found) await send(found);
    } catch (error) {
      if (error.message !== "camera") throw error;
      typed.fault(t("scan.none"));
    } finally {
      open.disabled = false;
    }
  });
  return h(
    "div",
    { class: "step" },
    open,
    place,
    form(
      [typed.row],
      t("scan.send"),
      () => {
        const code = typed.input.value.trim();
        if (code.length < 4) return typed.fault(t("needed"));
        return send(code);
      },
      "second",
    ),
  );
}

function walkForm(app, task, instead) {
  const answers = new Map();
  const photo = camera(t("walk.photo"), 6);
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  photo.row.hidden = true;
  const rows = data.parts.split(" ").map((part) => {
    const note = h("input", {
      "aria-label": `${t(`part.${part}`)}：${t("walk.note")}`,
      placeholder: t("walk.note"),
      maxlength: 100,
      hidden: true,
    });
    const choose = (good) => {
      answers.set(part, { good, note });
      note.hidden = good;
      photo.row.hidden = ![...answers.values()].some((one) => !one.good);
      if (!good) note.focus();
    };
    const radio = (value, good) =>
      h(
        "label",
        { class: `toggle ${value}` },
        h("input", { type: "radio", name: part, value, onchange: () => choose(good) }),
        h("span", {}, icon(good ? "check" : "alert-triangle"), t(`walk.${value}`)),
      );
    return {
      part,
      choose,
      row: h(
        "fieldset",
        {},
        h("legend", {}, t(`part.${part}`)),
        h("div", { class: "pair" }, radio("good", true), radio("bad", false)),
        note,
      ),
    };
  });
  const all = h("button", { type: "button", class: "button second" }, icon("checks"), t("walk.all"));
  const made = form([all, ...rows.map(({ row }) => row), photo.row, fault], t("walk.send"), () => {
    const left = rows.length - answers.size;
    const silent = [...answers.values()].find((one) => !one.good && one.note.value.trim().length < 2);
    fault.textContent = left ? t("walk.left", { n: left }) : t("needed");
    fault.hidden = !left && !silent;
    silent?.note.focus();
    if (left || silent) return false;
    const good = [...answers].filter(([, one]) => one.good).map(([part]) => part);
    const defects = [...answers]
      .filter(([, one]) => !one.good)
      .map(([part, one]) => ({ part, note: one.note.value.trim() }));
    return app.tap("WALK_ROUND", {
      task,
      body: { good, defects },
      photos: defects.length ? photo.photos : [],
      instead,
    });
  });
  all.addEventListener("click", () => {
    made.setAttribute("data-touched", "");
    for (const { part, choose } of rows) {
      if (answers.get(part)?.good === false) continue;
      made.querySelector(`input[name="${part}"][value="good"]`).checked = true;
      choose(true);
    }
  });
  return made;
}

function odometerForm(app, task, step, instead) {
  const floor = task.odometer_km;
  const km_ = field(
    t("odometer"),
    {
      name: `odometer-${step}`,
      inputmode: "decimal",
      value: instead?.body.odometer_km ?? (step === "CHECK_OUT" ? km(floor) : ""),
    },
    t("odometer_last", { km: km(floor) }),
  );
  const level = field(t(task.electric ? "level_charge" : "level_fuel"), {
    name: `level-${step}`,
    inputmode: "numeric",
    value: instead?.body.level_percent ?? "",
  });
  const photo = camera(t("odometer_photo"));
  return form([km_.row, step === "CHECK_IN" && level.row, photo.row], t(`step.${step}`), () => {
    const value = Number(km_.input.value.replaceAll(",", "").trim() || Number.NaN);
    // An action that was refused is judged anew by the server: the phone's own figure counts it as done already.
    if (!Number.isFinite(value) || value < 0) return km_.fault(t("needed"));
    if (!instead && value < floor) return km_.fault(t("odometer_low", { km: km(floor) }));
    const percent = Number(level.input.value.trim() || Number.NaN);
    const body = {
      odometer_km: value,
      ...(Number.isInteger(percent) && percent >= 0 && percent <= 100 ? { level_percent: percent } : {}),
    };
    return app.tap(step, { task, body, photos: photo.photos.length ? photo.photos : (instead?.photos ?? []), instead });
  });
}

function expenseForm(app, task, instead = null) {
  let kind = instead?.body.kind ?? "";
  const choose = h(
    "fieldset",
    {},
    h("legend", {}, t("kind")),
    h(
      "div",
      { class: "trio" },
      data.kinds.split(" ").map((one) =>
        h(
          "label",
          { class: "toggle" },
          h("input", {
            type: "radio",
            name: "kind",
            value: one,
            checked: one === kind,
            onchange: () => {
              kind = one;
            },
          }),
          h("span", {}, t(`duty.expense.${one}`)),
        ),
      ),
    ),
  );
  const amount = field(t("amount"), { name: "amount", inputmode: "decimal", value: instead?.body.amount ?? "" });
  const photo = camera(t("receipt"));
  return form(
    [choose, amount.row, photo.row],
    t("save"),
    () => {
      const value = amount.input.value.replaceAll(",", "").trim();
      if (!kind) return amount.fault(t("needed"));
      if (!/^\d+(\.\d{1,2})?$/.test(value) || Number(value) <= 0) return amount.fault(t("amount_wrong"));
      return app.tap("EXPENSE", {
        task,
        body: { kind, amount: value },
        photos: photo.photos.length ? photo.photos : (instead?.photos ?? []),
        instead,
      });
    },
    "second",
  );
}

const FORMS = { SCAN: scanForm, WALK_ROUND: walkForm, EXPENSE: expenseForm };

function stepForm(app, task, step, instead = null) {
  if (step === "CHECK_OUT" || step === "CHECK_IN") return odometerForm(app, task, step, instead);
  return FORMS[step] ? FORMS[step](app, task, instead) : plain(app, task, step);
}

function places(task) {
  return h(
    "section",
    { class: "card extra", "aria-label": t("stops") },
    h("h2", {}, t("stops")),
    h(
      "ol",
      { class: "plain" },
      task.stops.map((stop) =>
        h(
          "li",
          {},
          h(
            "span",
            { class: "stop" },
            h(
              "span",
              { class: `number${stop.place && stop.place <= task.arrived ? " done" : ""}` },
              String(stop.place + 1),
            ),
            stop.name,
          ),
          maps(stop),
        ),
      ),
    ),
  );
}

function maps(stop) {
  return h(
    "details",
    {},
    h(
      "summary",
      { class: "button second" },
      icon("navigation"),
      t("navigate"),
      h("span", { class: "unseen" }, stop.name),
    ),
    h(
      "div",
      { class: "pair" },
      Object.entries(stop.maps).map(([app, href]) =>
        h("a", { class: "button second", href, rel: "noreferrer" }, t(`map.${app}`)),
      ),
    ),
  );
}

function expenses(app, task) {
  if (task.state !== "RETURNED" && !underWay(task)) return null;
  return h(
    "section",
    { class: "card extra", "aria-label": t("expenses") },
    h("h2", {}, t("expenses")),
    h(
      "ul",
      { class: "plain" },
      task.expenses.map((one) =>
        h(
          "li",
          { class: "row" },
          h("span", {}, `${t(`duty.expense.${one.kind}`)} ¥${Number(one.amount).toFixed(2)}`),
          one.void ? h("span", {}, t("void")) : one.queued && h("span", { class: "badge warn" }, t("queued")),
        ),
      ),
    ),
    h(
      "details",
      {},
      h("summary", { class: "button second" }, icon("receipt"), t("step.EXPENSE")),
      expenseForm(app, task),
    ),
  );
}

export function taskPage(app, id) {
  const task = app.tasks.find((one) => one.id === Number(id));
  if (!task)
    return h("div", { class: "empty" }, h("b", {}, t("none")), h("a", { class: "button", href: "#/" }, t("back")));
  look();
  const number = Number(location.hash.split("/")[3]);
  const instead = app.mine.find(
    (item) => item.n === number && item.status === "refused" && item.assignment_id === task.id,
  );
  const [step, ...others] = stepsOf(task);
  const [at, all] = progress(task);
  const stop = nextPlace(task);
  return [
    h("a", { class: "back", href: instead ? "#/queue" : "#/" }, icon("arrow-left"), t("back")),
    h(
      "section",
      { class: "card", "aria-label": task.plate },
      h(
        "span",
        { class: "row" },
        h("b", { class: "time" }, `${hour(task.start_at)}–${hour(task.end_at)}`),
        h("span", { class: "state" }, t(`orders.state.${task.state}`)),
      ),
      h("h2", { class: "plate" }, task.plate),
      task.orders.map((one) =>
        h(
          "p",
          { class: "extra" },
          `${day(task.start_at)} · ${t(`orders.purpose.${one.purpose}`)} · ${t("people", { n: one.people })}`,
          h("br"),
          `${one.unit} ${one.passengers}`,
          h("br"),
          t("slip", { n: one.slip }),
        ),
      ),
      h("progress", { max: all, value: isOver(task) ? all : at - 1, "aria-label": t("progress", { i: at, n: all }) }),
    ),
    instead
      ? h(
          "section",
          { class: "card now bad" },
          h("h2", {}, t(`step.${instead.kind}`, { place: "" })),
          h("p", { role: "alert" }, instead.message),
          stepForm(app, task, instead.kind, instead),
        )
      : step
        ? h(
            "section",
            { class: "card now", "aria-label": t("next") },
            h("h2", {}, stepName(step, task)),
            stepForm(app, task, step),
            underWay(task) && stop && step !== "CHECK_IN" && maps(stop),
          )
        : h("div", { class: "banner good" }, h("b", {}, t("done")), h("p", {}, t("done_hint"))),
    !instead &&
      others.map((other) =>
        h(
          "details",
          { class: "extra" },
          h("summary", { class: "button second" }, t(other === "ARRIVE" ? "skip_board" : "early_in")),
          stepForm(app, task, other),
        ),
      ),
    task.orders.map((one) =>
      h("a", { class: "button second", href: `tel:${one.contact}` }, icon("phone"), t("call", { n: one.contact })),
    ),
    places(task),
    expenses(app, task),
    underWay(task) &&
      h("a", { class: "button second", href: `#/accident/${task.id}` }, icon("car-crash"), t("trouble")),
    sos(app, task),
  ]
    .flat()
    .filter(Boolean);
}
