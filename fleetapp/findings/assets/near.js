// Who was near: a tap on the map fills in the point that is asked about.
const map = document.querySelector("[data-near]");
map?.addEventListener("fleet:pick", (event) => {
  const { lat, lon } = event.detail;
  document.querySelector("#f-lat").value = lat.toFixed(5);
  document.querySelector("#f-lon").value = lon.toFixed(5);
  map.dispatchEvent(
    new CustomEvent("fleet:marks", {
      detail: {
        type: "FeatureCollection",
        features: [
          { type: "Feature", properties: { kind: "point" }, geometry: { type: "Point", coordinates: [lon, lat] } },
        ],
      },
    }),
  );
});
