// A study's charts.

import { draw, redraw } from "../../dashboard/assets/_charts.js";

const charts = [...document.querySelectorAll("[data-chart]")].map((place) =>
  draw(place, JSON.parse(place.dataset.chart)),
);
addEventListener("resize", () => redraw(charts));
