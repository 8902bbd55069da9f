// Small tools of the page: elements, words, moments of the office's clock.

const main = document.querySelector("#app");
export const WORDS = JSON.parse(main.dataset.words);
export const LANG = main.dataset.lang;
export const data = main.dataset;

export function t(key, values = {}) {
  const said = WORDS[key] ?? key;
  return said.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Make an element: h("button", {class: "big", onclick}, "text", child). False and null children are left out. */
export function h(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""),
  );
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${data.icons}#${name}`);
  svg.append(use);
  return svg;
}

const shown = (options) =>
  new Intl.DateTimeFormat(LANG === "zh" ? "zh-CN" : "en-GB", { timeZone: "Asia/Shanghai", ...options });
const HOUR = shown({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = shown({ month: "numeric", day: "numeric", weekday: "short" });
export const hour = (at) => HOUR.format(new Date(at));
export const day = (at) => DAY.format(new Date(at));
export const km = (value) => Number(value).toFixed(1);

/** A labelled input: returns {row, input, fault(text)}. */
export function field(label, props, hint = "") {
  const id = `f-${props.name}`;
  const input = h(props.rows ? "textarea" : "input", { id, autocomplete: "off", ...props });
  const said = h("p", { class: "fault", id: `${id}-fault`, role: "alert", hidden: true });
  const row = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint && h("p", { class: "hint" }, hint),
    said,
  );
  const fault = (words) => {
    said.textContent = words;
    said.hidden = !words;
    input.setAttribute("aria-invalid", String(Boolean(words)));
    if (words) {
      input.setAttribute("aria-describedby", said.id);
      input.focus();
    }
  };
  return { row, input, fault };
}

/** A large button that takes photographs, each made small before it is kept: returns {row, photos}. */
export function camera(label, most = 1) {
  const photos = [];
  const count = h("span", { class: "count", role: "status" });
  const pick = h("input", {
    type: "file",
    accept: "image/*",
    capture: "environment",
    class: "unseen",
    "aria-label": label,
  });
  pick.addEventListener("change", async () => {
    const [file] = pick.files;
    pick.value = "";
    if (!file) return;
    if (photos.length >= most) photos.shift();
    photos.push(await smaller(file));
    count.textContent = t("photo_taken", { n: photos.length });
  });
  const row = h("label", { class: "button second" }, pick, icon("camera"), label, count);
  return { row, photos };
}

const LONGEST_PX = 1280;
const MOST_BYTES = 250_000;

/** Return a photograph as a small JPEG; one that the browser cannot read stays as it is. */
async function smaller(file) {
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, LONGEST_PX / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    let made = null;
    for (const quality of [0.75, 0.55, 0.35]) {
      made = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
      if (made.size <= MOST_BYTES) break;
    }
    return made ?? file;
  } catch {
    return file;
  }
}
