// What the server tells the reader page about this ceremony, and what the reader has done so far, kept over reload
// and back in this tab.

/**
 * @typedef {object} CeremonyDocument
 * @property {string} id
 * @property {string} name
 * @property {string} sha256 in hexadecimal, of the bytes as uploaded
 * @property {number} page_count
 */

/**
 * @typedef {object} Field
 * @property {string} id
 * @property {string} document
 * @property {{kind: string, max_chars?: number, multiline?: boolean, decimals?: number, group?: string, options?: string[]}} kind
 * @property {number} page from 1
 * @property {{x_cpt: number, y_cpt: number, width_cpt: number, height_cpt: number}} rect 1/100 pt, origin top left
 * @property {boolean} required
 * @property {string} label
 */

/**
 * @typedef {object} Mark how the signature was adopted: the typed name, or strokes as JSON
 * @property {"typed" | "drawn"} method
 * @property {string} value
 */

/**
 * @typedef {object} Filled a field that another recipient has filled
 * @property {Field} field
 * @property {string} by name of the other
 * @property {string} [value] nothing for a box that was left unticked
 * @property {Mark} [mark] what stands in the field of a signature
 */

/**
 * @typedef {object} Ceremony
 * @property {string} base address of the ceremony
 * @property {string} session
 * @property {string} nonce
 * @property {string} label text of the one button
 * @property {"signer" | "approver" | "viewer" | "copy"} role
 * @property {string} recipient_id
 * @property {string} recipient name
 * @property {string} initials
 * @property {string} email
 * @property {string} consent_sha256
 * @property {{relying_party: string, credential: string} | null} passkey what signs the act, where a passkey does
 * @property {string} pdfjs address of PDF.js
 * @property {CeremonyDocument[]} documents
 * @property {Field[]} fields in reading order
 * @property {Filled[]} filled what others have filled in by now, in reading order
 */

/** @returns {Ceremony} */
export function readCeremony() {
  const holder = document.getElementById("ceremony");
  const { marks, ...ceremony } = JSON.parse(holder?.dataset.ceremony ?? "");
  for (const filled of ceremony.filled) {
    // A mark comes once for each recipient, however many fields it stands in.
    if (filled.field.kind.kind === "signature") filled.mark = marks[filled.field.recipient];
  }
  return ceremony;
}

/**
 * The reader's work so far, in this tab's storage.
 * @typedef {object} Work
 * @property {Record<string, string>} values by field
 * @property {Mark | null} mark
 * @property {Record<string, number[]>} seen pages by document
 */

/**
 * @param {Ceremony} ceremony
 * @returns {{work: Work, keep: () => void, forget: () => void}}
 */
export function openWork(ceremony) {
  const key = `countersign ${ceremony.recipient_id}`;
  /** @type {Work} */
  let work = { values: {}, mark: null, seen: {} };
  try {
    const kept = sessionStorage.getItem(key);
    if (kept) work = { ...work, ...JSON.parse(kept) };
  } catch {
    // Storage may be switched off: then nothing survives a reload, and all else works.
  }
  return {
    work,
    keep() {
      try {
        sessionStorage.setItem(key, JSON.stringify(work));
      } catch {
        // As above.
      }
    },
    forget() {
      try {
        sessionStorage.removeItem(key);
      } catch {
        // As above.
      }
    },
  };
}

/**
 * The element with this id, which the template always has.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** @param {string} text read aloud politely */
export function announce(text) {
  element("status").textContent = text;
}
