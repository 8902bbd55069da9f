// Draw one area on a map. <div class="fleet-map" data-draw="#corners"> names the text area that holds its corners, one
// "latitude, longitude" a line, WGS-84: what is drawn is written there, what is typed there is drawn.
import Feature from "ol/Feature.js";
import Polygon from "ol/geom/Polygon.js";
import Draw from "ol/interaction/Draw.js";
import Modify from "ol/interaction/Modify.js";
import VectorLayer from "ol/layer/Vector.js";
import { fromLonLat, toLonLat } from "ol/proj.js";
import VectorSource from "ol/source/Vector.js";
import { Circle, Fill, Stroke, Style } from "ol/style.js";

const STYLE = new Style({
  stroke: new Stroke({ color: "#206bc4", width: 3 }),
  fill: new Fill({ color: "rgba(32,107,196,.15)" }),
  image: new Circle({ radius: 6, fill: new Fill({ color: "#206bc4" }) }),
});

function cornersOf(text) {
  return text
    .split("\n")
    .map((line) =>
      line
        .split(/[,，\s]+/)
        .filter(Boolean)
        .map(Number),
    )
    .filter((pair) => pair.length === 2 && pair.every(Number.isFinite))
    .map(([lat, lon]) => fromLonLat([lon, lat]));
}

export function drawArea(element, map) {
  const input = document.querySelector(element.dataset.draw);
  const source = new VectorSource();
  map.addLayer(new VectorLayer({ source, style: STYLE }));
  const draw = new Draw({ source, type: "Polygon", style: STYLE });
  const modify = new Modify({ source });

  function write(feature) {
    const ring = feature.getGeometry().getCoordinates()[0].slice(0, -1);
    input.value = ring
      .map((corner) => toLonLat(corner))
      .map(([lon, lat]) => `${lat.toFixed(6)}, ${lon.toFixed(6)}`)
      .join("\n");
  }

  function read() {
    const corners = cornersOf(input.value);
    source.clear();
    draw.setActive(corners.length < 3);
    if (corners.length < 3) return;
    source.addFeature(new Feature(new Polygon([[...corners, corners[0]]])));
    map.getView().fit(source.getExtent(), { padding: [60, 60, 60, 60], maxZoom: 17 });
  }

  // One area at a time: once it is closed, clicks only move its corners until somebody asks to draw again.
  draw.on("drawend", (event) => {
    write(event.feature);
    setTimeout(() => draw.setActive(false));
  });
  document.querySelector("[data-redraw]")?.addEventListener("click", () => {
    source.clear();
    input.value = "";
    draw.setActive(true);
  });
  modify.on("modifyend", (event) => write(event.features.item(0)));
  map.addInteraction(modify);
  map.addInteraction(draw);
  input.addEventListener("change", read);
  if (input.value) read();
  element.dataset.ready = "1";
}
