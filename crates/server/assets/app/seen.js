// Tells the server which pages came into view, a few at a time.

import { Refused, post } from "./server.js";

/** @typedef {import("./ceremony.js").Ceremony} Ceremony */
/** @typedef {import("./documents.js").OpenDocument} OpenDocument */

const PAUSE_MS = 1_500;

/**
 * @param {Ceremony} ceremony
 * @param {Record<string, number[]>} seen pages by document, those of earlier loads of this page too
 * @param {() => void} keep
 */
export function watchSeen(ceremony, seen, keep) {
  /** @type {Map<OpenDocument, Set<number>>} */
  const waiting = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** Pages that this load of the page has reported. @type {Set<string>} */
  const reported = new Set();
  /** @type {Promise<unknown>} */
  let sending = Promise.resolve();

  /** @param {OpenDocument} owner */
  const waitingOf = (owner) => {
    let pages = waiting.get(owner);
    if (!pages) waiting.set(owner, (pages = new Set()));
    return pages;
  };

  async function sendWaiting() {
    for (const [owner, pages] of [...waiting]) {
      waiting.delete(owner);
      const report = { session: ceremony.session, document: owner.about.id, sha256: owner.sha256, pages: [...pages] };
      await post(`${ceremony.base}/pages`, report).catch((error) => {
        // A lost report is not worth disturbing the reader; the pages are reported with the next one.
        pages.forEach((page) => waitingOf(owner).add(page));
        leaveIfOver(error);
      });
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
      const pages = (seen[owner.about.id] ??= []);
      if (!pages.includes(page)) {
        pages.push(page);
        keep();
      }
      if (reported.has(`${owner.about.id} ${page}`)) return;
      reported.add(`${owner.about.id} ${page}`);
      waitingOf(owner).add(page);
      timer ??= setTimeout(flush, PAUSE_MS);
    },
    /**
     * Keeps the session open while somebody reads: a report of no page moves its end.
     * @param {OpenDocument} owner
     */
    stay(owner) {
      const report = { session: ceremony.session, document: owner.about.id, sha256: owner.sha256, pages: [] };
      post(`${ceremony.base}/pages`, report).catch(leaveIfOver);
    },
    /** @param {OpenDocument} owner */
    count: (owner) => seen[owner.about.id]?.length ?? 0,
    flush,
  };
}

/**
 * Nobody should go on filling in what cannot be handed in: the server shows the page that is right now.
 * @param {unknown} error
 */
function leaveIfOver(error) {
  if (error instanceof Refused && error.hasMovedOn) location.reload();
}
