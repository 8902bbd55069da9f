// Maps without any service: our own road lines and a graticule under the data, everything WGS-84 in, Web Mercator on
// screen. A <div class="fleet-map"> says what to show in data attributes:
//   data-features   GeoJSON FeatureCollection; properties: kind (point|stop|start|end|order|parking|track|corridor|vehicle), label, text
//   data-live       address to poll for positions (_live.js)
//   data-pick       a tap is told to the page (_pick.js)
//   data-draw       selector of a text area that holds the corners of an area to draw (_draw.js)
//   data-track      address of a track {fixes: [{at, lat, lon, speed_kmh}]} for playback, with #track-time and friends
import "ol/ol.css";
import "./_tracking.css";
import { defaults as controls, ScaleLine } from "ol/control.js";
import Feature from "ol/Feature.js";
import GeoJSON from "ol/format/GeoJSON.js";
import LineString from "ol/geom/LineString.js";
import Point from "ol/geom/Point.js";
import Graticule from "ol/layer/Graticule.js";
import VectorLayer from "ol/layer/Vector.js";
import OlMap from "ol/Map.js";
import Overlay from "ol/Overlay.js";
import { fromLonLat } from "ol/proj.js";
import VectorSource from "ol/source/Vector.js";
import { Circle, Fill, RegularShape, Stroke, Style, Text } from "ol/style.js";
import View from "ol/View.js";
import { drawArea } from "./_draw.js";
import { followLive } from "./_live.js";
import { pickPlaces } from "./_pick.js";

const HANGZHOU = fromLonLat([120.16, 30.26]);
const PROJECTION = { dataProjection: "EPSG:4326", featureProjection: "EPSG:3857" };
const ROAD_COLOURS = { expressway: "#e6b45c", arterial: "#d3d9e0", street: "#e3e8ed", access: "#edf0f3" };
const ROAD_WIDTHS = { expressway: 3.2, arterial: 2.2, street: 1.3, access: 0.8 };
const COLOURS = {
  start: "#2fb344",
  end: "#d63939",
  order: "#4263eb",
  point: "#206bc4",
  stop: "#f59f00",
  place: "#667382",
};
const FONT = '12px system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif';

function words(text, dy = -14) {
  return new Text({
    text,
    font: FONT,
    offsetY: dy,
    overflow: true,
    fill: new Fill({ color: "#1d273b" }),
    stroke: new Stroke({ color: "#ffffff", width: 3 }),
  });
}

const roadStyles = {};
function roadStyle(feature) {
  const kind = feature.get("class");
  roadStyles[kind] ??= new Style({
    stroke: new Stroke({ color: ROAD_COLOURS[kind] ?? "#e3e8ed", width: ROAD_WIDTHS[kind] ?? 1, lineCap: "round" }),
  });
  return roadStyles[kind];
}

// Speed in five steps, each also named in the legend: colour is never alone.
const SPEED_STEPS = [
  [10, "#d63939"],
  [30, "#f76707"],
  [60, "#f59f00"],
  [90, "#2fb344"],
  [Infinity, "#1098ad"],
];
function speedColour(kmh) {
  return SPEED_STEPS.find(([limit]) => (kmh ?? 0) < limit)[1];
}

function dataStyle(feature, resolution) {
  const kind = feature.get("kind") ?? "point";
  const label = feature.get("label") ?? "";
  if (kind === "parking")
    return new Style({
      stroke: new Stroke({ color: "#0ca678", width: 2, lineDash: [6, 4] }),
      fill: new Fill({ color: "rgba(12,166,120,.12)" }),
      text: label && resolution < 12 ? words(label, 0) : undefined,
    });
  if (kind === "corridor")
    return new Style({
      stroke: new Stroke({ color: "rgba(66,99,235,.22)", width: 14, lineCap: "round", lineJoin: "round" }),
    });
  if (kind === "track")
    return [
      new Style({ stroke: new Stroke({ color: "#ffffff", width: 7 }) }),
      new Style({ stroke: new Stroke({ color: feature.get("colour") ?? "#206bc4", width: 4, lineJoin: "round" }) }),
    ];
  if (kind === "gap") return new Style({ stroke: new Stroke({ color: "#d63939", width: 3, lineDash: [4, 8] }) });
  if (kind === "vehicle") return vehicleStyle(feature, resolution);
  const number = feature.get("number");
  return new Style({
    image: new Circle({
      radius: number ? 11 : 7,
      fill: new Fill({ color: COLOURS[kind] ?? COLOURS.point }),
      stroke: new Stroke({ color: "#fff", width: 2 }),
    }),
    text: number
      ? new Text({ text: String(number), font: `bold ${FONT}`, fill: new Fill({ color: "#fff" }) })
      : label
        ? words(label, -16)
        : undefined,
  });
}

const vehicleStyles = new Map();
function vehicleStyle(feature, resolution) {
  const state = feature.get("state");
  const turn = Math.round((feature.get("direction_deg") ?? 0) / 15) * 15;
  const label = resolution < 40 ? feature.get("plate") : "";
  const key = `${state}/${turn}/${label}`;
  if (!vehicleStyles.has(key)) {
    const fill = new Fill({ color: { moving: "#2fb344", parked: "#206bc4", offline: "#9ba9be" }[state] ?? "#9ba9be" });
    const stroke = new Stroke({ color: "#fff", width: 1.5 });
    const image =
      state === "moving"
        ? new RegularShape({
            points: 3,
            radius: 10,
            rotation: (turn * Math.PI) / 180,
            fill,
            stroke,
            scale: [0.8, 1.1],
            rotateWithView: true,
          })
        : new Circle({ radius: state === "parked" ? 6 : 5, fill, stroke });
    vehicleStyles.set(key, new Style({ image, text: label ? words(label) : undefined }));
  }
  return vehicleStyles.get(key);
}

async function fetchJson(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

function makeMap(element) {
  const data = new VectorSource();
  const roads = new VectorSource();
  const layers = [
    new VectorLayer({ source: roads, style: roadStyle, declutter: false, updateWhileInteracting: true }),
    new VectorLayer({ source: data, style: dataStyle, declutter: false, updateWhileInteracting: true }),
  ];
  const map = new OlMap({
    target: element,
    layers,
    controls: controls({ attribution: false, rotate: false }).extend([new ScaleLine()]),
    view: new View({ center: HANGZHOU, zoom: 11, minZoom: 7, maxZoom: 18 }),
  });
  map.getLayers().insertAt(
    0,
    new Graticule({
      strokeStyle: new Stroke({ color: "rgba(120,130,150,.18)", width: 1 }),
      showLabels: false,
      wrapX: false,
      targetSize: 160,
    }),
  );
  fetchJson(element.dataset.roads ?? "/map/roads.json")
    .then((found) => roads.addFeatures(new GeoJSON(PROJECTION).readFeatures(found)))
    .catch(() => {});
  map.on("pointermove", (event) => {
    map
      .getTargetElement()
      .classList.toggle(
        "fleet-map-pointing",
        map.hasFeatureAtPixel(event.pixel, { layerFilter: (layer) => layer === layers[1] }),
      );
  });
  return { map, data };
}

function fit(map, source) {
  if (source.isEmpty()) return;
  map.getView().fit(source.getExtent(), { padding: [40, 40, 40, 40], maxZoom: 16 });
}

function addPopup(map, element) {
  const box = document.createElement("div");
  box.className = "fleet-map-popup card card-sm";
  box.hidden = true;
  element.append(box);
  const overlay = new Overlay({ element: box, offset: [0, -14], positioning: "bottom-center" });
  map.addOverlay(overlay);
  map.on("singleclick", (event) => {
    const feature = map.forEachFeatureAtPixel(
      event.pixel,
      (found) => (found.get("text") || found.get("plate") ? found : undefined),
      { hitTolerance: 6 },
    );
    box.hidden = !feature;
    if (!feature) return;
    box.replaceChildren();
    for (const line of [feature.get("plate"), feature.get("label"), ...(feature.get("text") ?? "").split("\n")]) {
      if (!line) continue;
      const row = document.createElement("div");
      row.textContent = line;
      box.append(row);
    }
    if (feature.get("href")) {
      const link = document.createElement("a");
      link.href = feature.get("href");
      link.textContent = element.dataset.open ?? "→";
      box.append(link);
    }
    overlay.setPosition(event.coordinate);
  });
}

function showFeatures(element, map, data) {
  // Another part of the page shows what was chosen there.
  element.addEventListener("fleet:features", (event) => {
    data.clear();
    data.addFeatures(new GeoJSON(PROJECTION).readFeatures(event.detail));
    fit(map, data);
  });
  const raw = element.dataset.features;
  if (!raw) return;
  data.addFeatures(new GeoJSON(PROJECTION).readFeatures(JSON.parse(raw)));
  fit(map, data);
}

/** The last fix at or before a moment, by bisection; the first one before them all. */
function nearest(fixes, at) {
  let [low, high] = [0, fixes.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fixes[middle].at <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

// -- playback: the track coloured by speed, a marker on a slider, keys ← → and space
function playback(element, map, data) {
  const fixes = JSON.parse(document.querySelector(element.dataset.fixes).textContent);
  if (fixes.length < 2) return;
  for (let i = 1; i < fixes.length; i += 1) {
    const [a, b] = [fixes[i - 1], fixes[i]];
    data.addFeature(
      new Feature({
        kind: b.gap ? "gap" : "track",
        colour: speedColour(b.speed_kmh),
        geometry: new LineString([fromLonLat([a.lon, a.lat]), fromLonLat([b.lon, b.lat])]),
      }),
    );
  }
  const car = new Feature({
    kind: "vehicle",
    state: "moving",
    geometry: new Point(fromLonLat([fixes[0].lon, fixes[0].lat])),
  });
  data.addFeature(car);
  fit(map, data);
  const slider = document.querySelector("#track-slider");
  const clock = document.querySelector("#track-clock");
  const play = document.querySelector("#track-play");
  slider.max = fixes.length - 1;
  let timer = null;
  function show(index) {
    const fix = fixes[index];
    car.getGeometry().setCoordinates(fromLonLat([fix.lon, fix.lat]));
    car.set("direction_deg", fix.direction_deg ?? 0);
    clock.textContent = `${fix.time} · ${fix.speed_kmh ?? "–"} km/h`;
    slider.value = index;
    element.dispatchEvent(new CustomEvent("fleet:at", { detail: { at: fix.at, words: clock.textContent } }));
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.setAttribute("aria-pressed", "false");
  }
  slider.addEventListener("input", () => show(Number(slider.value)));
  element.addEventListener("fleet:seek", (event) => show(nearest(fixes, event.detail.at)));
  element.addEventListener("fleet:tell", () => show(Number(slider.value)));
  play.addEventListener("click", () => {
    if (timer) return stop();
    play.setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      if (Number(slider.value) >= fixes.length - 1) stop();
      else show(Number(slider.value) + 1);
    }, 120);
    return undefined;
  });
  show(0);
  element.dataset.ready = "1";
}

for (const element of document.querySelectorAll(".fleet-map")) {
  const { map, data } = makeMap(element);
  addPopup(map, element);
  showFeatures(element, map, data);
  if (element.dataset.live) followLive(element, map);
  if (element.dataset.fixes) playback(element, map, data);
  if (element.dataset.draw) drawArea(element, map);
  if ("pick" in element.dataset) pickPlaces(element, map, data);
}
