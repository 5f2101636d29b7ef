// Tells the server which pages came into view, a few at a time.

import { post } from "./server.js";

/** @typedef {import("./ceremony.js").Ceremony} Ceremony */
/** @typedef {import("./documents.js").OpenDocument} OpenDocument */

const PAUSE_MS = 1_500;

/** @param {Ceremony} ceremony */
export function watchSeen(ceremony) {
  /** @type {Map<OpenDocument, Set<number>>} */
  const seen = new Map();
  /** @type {Map<OpenDocument, Set<number>>} */
  const waiting = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {Promise<unknown>} */
  let sending = Promise.resolve();

  /** @param {Map<OpenDocument, Set<number>>} map @param {OpenDocument} owner */
  const pagesIn = (map, owner) => {
    let pages = map.get(owner);
    if (!pages) map.set(owner, (pages = new Set()));
    return pages;
  };

  async function sendWaiting() {
    for (const [owner, pages] of [...waiting]) {
      waiting.delete(owner);
      const report = { session: ceremony.session, document: owner.about.id, sha256: owner.sha256, pages: [...pages] };
      // A lost report is not worth disturbing the reader; the pages are reported with the next one.
      await post(`${ceremony.base}/pages`, report).catch(() => pages.forEach((page) => pagesIn(waiting, owner).add(page)));
    }
  }

  function flush() {
    clearTimeout(timer);
    timer = undefined;
    sending = sending.then(sendWaiting);
    return sending;
  }

  return {
    /** @param {OpenDocument} owner @param {number} page */
    saw(owner, page) {
      if (pagesIn(seen, owner).has(page)) return;
      pagesIn(seen, owner).add(page);
      pagesIn(waiting, owner).add(page);
      timer ??= setTimeout(flush, PAUSE_MS);
    },
    /**
     * Keeps the session open while somebody reads: a report of no page moves its end.
     * @param {OpenDocument} owner
     */
    stay(owner) {
      const report = { session: ceremony.session, document: owner.about.id, sha256: owner.sha256, pages: [] };
      post(`${ceremony.base}/pages`, report).catch(() => {});
    },
    /** @param {OpenDocument} owner */
    count: (owner) => seen.get(owner)?.size ?? 0,
    flush,
  };
}
