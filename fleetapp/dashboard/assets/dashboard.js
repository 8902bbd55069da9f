// The dashboard: draws what each tile says in data-chart, asks for new tiles now and then, and says so when none come.
//   <div id="dash" data-refresh="/dashboard/tiles?.." data-every="60">   the tiles, asked for anew every so many seconds
//   [data-stale="words with {at}"]                                       where it is told that they are old
//   [data-clock], [data-full]                                            the wall's clock and its full screen

import { draw, redraw } from "./_charts.js";

const dash = document.getElementById("dash");
const stale = document.querySelector(".dash-stale");
let charts = [];
let asOf = dash.querySelector("[data-asof]")?.dataset.asof;

function drawAll() {
  for (const chart of charts) chart.dispose();
  charts = [...dash.querySelectorAll("[data-chart]")]
    .filter((place) => place.clientWidth > 0)
    .map((place) => draw(place, JSON.parse(place.dataset.chart)));
}

/** Take new tiles, with the tables open that were, and the keyboard where it was. */
function take(html) {
  const open = new Set([...dash.querySelectorAll("details[open]")].map((one) => one.dataset.table));
  const focused = document.activeElement?.closest?.("#dash [data-figure], #dash [data-table]");
  const name = focused && (focused.dataset.figure ?? focused.dataset.table);
  dash.innerHTML = html;
  for (const one of dash.querySelectorAll("details")) one.open = open.has(one.dataset.table);
  if (name)
    dash.querySelector(`[data-figure="${name}"] a, [data-table="${name}"] summary`)?.focus({ preventScroll: true });
  asOf = dash.querySelector("[data-asof]")?.dataset.asof;
  drawAll();
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(dash.dataset.refresh, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    take(await answer.text());
    stale.hidden = true;
  } catch {
    const words = stale.querySelector("[data-stale]");
    words.textContent = words.dataset.stale.replace("{at}", asOf ?? "–");
    stale.hidden = false;
  }
}

drawAll();
setInterval(refresh, Number(dash.dataset.every) * 1000);
document.addEventListener("visibilitychange", refresh);
document.addEventListener("dash:refresh", refresh);

let width = innerWidth;
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    if (innerWidth !== width) drawAll();
    else redraw(charts);
    width = innerWidth;
  }, 200);
});
addEventListener("beforeprint", () => {
  for (const one of dash.querySelectorAll("details")) one.open = true;
});

addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && document.activeElement?.classList.contains("dash-info")) document.activeElement.blur();
});

const clock = document.querySelector("[data-clock]");
if (clock) {
  const tell = () => {
    clock.textContent = new Date().toLocaleString(document.documentElement.lang, {
      timeZone: "Asia/Shanghai",
      dateStyle: "medium",
      timeStyle: "short",
    });
  };
  tell();
  setInterval(tell, 10_000);
}
document.querySelector("[data-full]")?.addEventListener("click", () => document.documentElement.requestFullscreen?.());
