// Reading the code on the dashboard: with the browser's own reader where there is one, else with a decoder loaded only then.

import { data, h, t } from "./_dom.js";

const EVERY_MS = 250;

function load(path) {
  return new Promise((resolve, reject) => {
    const script = h("script", { src: path });
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
}

/** Return a function that reads a video's picture: its text, or null. */
async function reader() {
  if ("BarcodeDetector" in window && (await window.BarcodeDetector.getSupportedFormats()).includes("qr_code")) {
    const detector = new window.BarcodeDetector({ formats: ["qr_code"] });
    return async (video) => (await detector.detect(video))[0]?.rawValue ?? null;
  }
  if (!window.fleetQr) await load(data.qr);
  const canvas = document.createElement("canvas");
  return async (video) => {
    const scale = Math.min(1, 800 / video.videoWidth);
    canvas.width = video.videoWidth * scale;
    canvas.height = video.videoHeight * scale;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.drawImage(video, 0, 0, canvas.width, canvas.height);
    const picture = pen.getImageData(0, 0, canvas.width, canvas.height);
    return window.fleetQr(picture.data, canvas.width, canvas.height)?.data || null;
  };
}

/** Show the camera in a place until a code is read or the driver closes it; resolves to the text, or null. */
export async function scan(place) {
  const video = h("video", { class: "finder", playsinline: true, muted: true, "aria-label": t("scan.point") });
  const close = h("button", { type: "button", class: "button second" }, t("scan.stop"));
  place.replaceChildren(h("p", { class: "hint" }, t("scan.point")), video, close);
  let stopped = false;
  close.addEventListener("click", () => {
    stopped = true;
  });
  // Only now: with the finder in its place the page is not drawn anew while the camera is asked for.
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch {
    place.replaceChildren();
    throw new Error("camera");
  }
  try {
    video.muted = true;
    video.srcObject = stream;
    await video.play();
    const read = await reader();
    while (!stopped && place.isConnected) {
      const found = video.videoWidth ? await read(video) : null;
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
    return null;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    place.replaceChildren();
  }
}

/** Return what a code says at once, before the server has checked its signature: its plate, or null for another kind of code. */
export function plateOf(text) {
  const parts = text.trim().split("~");
  try {
    return parts.length === 6 && parts[0] === "V1" ? decodeURIComponent(parts[2]) : null;
  } catch {
    return null;
  }
}
