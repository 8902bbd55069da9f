// Checks the code of a dispatch slip in the browser, without a network: the published keys stand in data-keys, the words in
// data-words. Runs inside a page of the system and inside the single file that people keep on a phone (opened from disk).
// No WebCrypto: old browsers lack Ed25519 there, and pages without HTTPS have none of it.
//   <form data-slip-verify data-keys data-words> <textarea id="code"> [data-slip-check] [data-slip-camera] [data-slip-result]

import { hashes, verify } from "@noble/ed25519";
import { sha512 } from "@noble/hashes/sha2.js";

hashes.sha512 = sha512;

function bytesOf(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

const momentOf = (digits) => new Date(Number.parseInt(digits, 36) * 60_000);

const quoted = (text) => encodeURIComponent(text).replaceAll("~", "%7E");

/** The same judgement as fleetapp/planning/signing.py. */
export function read(text, keys) {
  const code = text.trim().split("code=").pop();
  const parts = code.split("~");
  if (parts.length !== 8 || parts[0] !== "1") return { state: "forged" };
  const key = keys.find((one) => one.id === parts[1]);
  if (!key) return { state: "unknown_key" };
  try {
    const [slip, plate] = [decodeURIComponent(parts[2]), decodeURIComponent(parts[3])];
    const body = [...parts.slice(0, 2), quoted(slip), quoted(plate), ...parts.slice(4, 7)].join("~");
    if (!verify(bytesOf(parts[7]), new TextEncoder().encode(body), bytesOf(key.public))) return { state: "forged" };
    const [signed, start, end] = parts.slice(4, 7).map(momentOf);
    const since = Math.floor(Date.parse(key.since) / 60_000) * 60_000;
    const old = signed < since || (key.until && signed >= Date.parse(key.until));
    return old ? { state: "old_key" } : { state: "good", slip, plate, start, end };
  } catch {
    return { state: "forged" };
  }
}

function shown(at) {
  return at.toLocaleString("sv-SE", { timeZone: "Asia/Shanghai", dateStyle: "short", timeStyle: "short" });
}

function tell(form, found) {
  const words = JSON.parse(form.dataset.words);
  const place = form.querySelector("[data-slip-result]");
  const alert = document.createElement("div");
  alert.className = `alert alert-${found.state === "good" ? "success" : "danger"}`;
  alert.textContent = words[found.state];
  place.replaceChildren(alert);
  if (found.state !== "good") return;
  const list = document.createElement("dl");
  const lines = [
    [words.slip_number, found.slip],
    [words.plate, found.plate],
    [words.plan_out, shown(found.start)],
    [words.plan_in, shown(found.end)],
  ];
  for (const [name, value] of lines) {
    list.append(Object.assign(document.createElement("dt"), { textContent: name }));
    list.append(Object.assign(document.createElement("dd"), { textContent: value }));
  }
  place.append(list);
}

function install(form) {
  const keys = JSON.parse(form.dataset.keys).keys;
  const input = form.querySelector("textarea");
  const check = () => tell(form, read(input.value, keys));
  form.querySelector("[data-slip-check]").addEventListener("click", check);
  // Reading a picture is the browser's own affair where it can; elsewhere the phone's camera app gives the text to paste.
  const camera = form.querySelector("[data-slip-camera]");
  if (!("BarcodeDetector" in window) || !camera) return;
  camera.hidden = false;
  camera.querySelector("input").addEventListener("change", async (event) => {
    const picture = event.target.files[0];
    if (!picture) return;
    const seen = await new window.BarcodeDetector({ formats: ["qr_code"] }).detect(await createImageBitmap(picture));
    input.value = seen[0]?.rawValue ?? "";
    check();
  });
}

for (const form of document.querySelectorAll("[data-slip-verify]")) install(form);
