// Places by a tap: the map tells where it was touched ("fleet:pick" with lat, lon) and shows the marks it is given
// ("fleet:marks" with a FeatureCollection).

import GeoJSON from "ol/format/GeoJSON.js";
import { toLonLat } from "ol/proj.js";

const PROJECTION = { dataProjection: "EPSG:4326", featureProjection: "EPSG:3857" };

export function pickPlaces(element, map, data) {
  map.on("singleclick", (event) => {
    const [lon, lat] = toLonLat(event.coordinate);
    element.dispatchEvent(new CustomEvent("fleet:pick", { detail: { lat, lon } }));
  });
  element.addEventListener("fleet:marks", (event) => {
    data.clear();
    data.addFeatures(new GeoJSON(PROJECTION).readFeatures(event.detail));
  });
  element.dataset.ready = "1";
}
