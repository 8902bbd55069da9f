// Fills in the phone's position while the driver reads the page; the form works without it.
const form = document.querySelector("[data-duty-form]");
const status = document.querySelector("#duty-location");
if (form && status && navigator.geolocation) {
  status.textContent = status.dataset.waiting;
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      form.elements.lat.value = coords.latitude.toFixed(6);
      form.elements.lon.value = coords.longitude.toFixed(6);
      form.elements.accuracy_m.value = Math.round(coords.accuracy);
      status.textContent = status.dataset.found.replace("{m}", Math.round(coords.accuracy));
    },
    () => {
      status.textContent = status.dataset.none;
    },
    { enableHighAccuracy: true, timeout: 15000, maximumAge: 30000 },
  );
}
