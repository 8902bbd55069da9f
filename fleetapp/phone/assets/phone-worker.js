// The service worker of the driver's app: keeps the page and its parts, and sends the queue when the network is back.
// self.FLEET = {version, page, kept, later} stands above this text; another version is another worker, which waits until the driver
// says so. The queue is in the browser's database and none of a worker's business when it is replaced.

import { Offline, replay, SignedOut } from "./_queue.js";

const { version, page, kept, later } = self.FLEET;
const CACHE = `fleet-phone-${version}`;

self.addEventListener("install", (event) => {
  const fresh = [page, ...kept].map((path) => new Request(path, { cache: "reload" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)));
});

self.addEventListener("activate", (event) => {
  const clean = async () => {
    for (const name of await caches.keys())
      if (name.startsWith("fleet-phone-") && name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

self.addEventListener("message", (event) => {
  if (event.data === "update") self.skipWaiting();
  // A phone that needs the decoder keeps it before it is without a network.
  if (event.data === "decoder") event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(later)));
});

self.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  if (event.request.method !== "GET" || address.origin !== self.location.origin) return;
  const wanted = event.request.mode === "navigate" && address.pathname === page ? page : address.pathname;
  if (![page, ...kept, ...later].includes(wanted)) return;
  event.respondWith(caches.match(wanted, { cacheName: CACHE }).then((found) => found ?? fetch(event.request)));
});

self.addEventListener("sync", (event) => {
  if (event.tag !== "fleet-queue") return;
  const work = replay("zh").catch((error) => {
    if (error instanceof Offline && !event.lastChance) throw error; // the browser tries again later
    if (!(error instanceof SignedOut) && !(error instanceof Offline)) throw error;
  });
  event.waitUntil(work);
});
