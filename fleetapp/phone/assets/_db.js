// What the phone keeps: the queue in the order of taps, the last state from the server, positions not sent yet.
// Every write is on the disk before its promise resolves ("strict"): a browser that is killed loses nothing that was told as kept.

const NAME = "fleet-phone";
let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("queue", { keyPath: "n", autoIncrement: true });
      request.result.createObjectStore("kept");
      request.result.createObjectStore("positions", { autoIncrement: true });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => {
      opened = null;
      reject(request.error);
    };
  });
  return opened;
}

async function within(store, mode, work) {
  const db = await open();
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(store, mode, { durability: "strict" });
    const request = work(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

export const add = (store, value) => within(store, "readwrite", (s) => s.add(value));
export const put = (store, value, key) => within(store, "readwrite", (s) => s.put(value, key));
export const remove = (store, key) => within(store, "readwrite", (s) => s.delete(key));
export const clear = (store) => within(store, "readwrite", (s) => s.clear());
export const get = (store, key) => within(store, "readonly", (s) => s.get(key));
export const all = (store) => within(store, "readonly", (s) => s.getAll());
