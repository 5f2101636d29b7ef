// The sandbox mailbox: shows what the API gives for the key in the fragment.

import { readMail } from "./mime.js";
import { showTime } from "./page.js";

const KEPT = "countersign mailbox key";
const LINK = /https:\/\/[^\s<>"]+/g;

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** @type {string | null} */
let cursor = null;

/** @param {string | null} from position to go on from */
async function load(from) {
  const key = sessionStorage.getItem(KEPT);
  element("key-form").hidden = Boolean(key);
  element("refresh").hidden = !key;
  if (!key) return;
  const address = from ? `/v1/mailbox?cursor=${encodeURIComponent(from)}` : "/v1/mailbox";
  const answer = await fetch(address, { headers: { Authorization: `Bearer ${key}` } }).catch(() => null);
  const body = await answer?.json().catch(() => null);
  if (!answer?.ok || !body) {
    element("error").textContent = body?.detail ?? "The server did not answer.";
    if (answer?.status === 401 || answer?.status === 403) {
      sessionStorage.removeItem(KEPT);
      element("key-form").hidden = false;
      element("refresh").hidden = true;
    }
    return;
  }
  element("error").textContent = "";
  if (!from) element("mails").replaceChildren();
  element("mails").append(...body.mails.map(mailElement));
  cursor = body.next_cursor;
  element("more").hidden = !cursor;
  const count = element("mails").childElementCount;
  element("status").textContent = `${count} ${count === 1 ? "mail" : "mails"}`;
  if (count === 0) element("mails").append(paragraph("There is no mail yet."));
}

/** @param {string} text */
function paragraph(text) {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

/** @param {{at: string, message: string}} row */
function mailElement({ at, message }) {
  const mail = readMail(message);
  const template = /** @type {HTMLTemplateElement} */ (element("mail"));
  const made = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  const part = (/** @type {string} */ css) => /** @type {HTMLElement} */ (made.querySelector(css));
  part("h2").textContent = mail.subject;
  part(".to").textContent = mail.to;
  showTime(/** @type {HTMLTimeElement} */ (part("time")), at);
  part(".letter").append(...withLinks(mail.text));
  return made;
}

/** @param {string} text @returns {(string | HTMLAnchorElement)[]} */
function withLinks(text) {
  /** @type {(string | HTMLAnchorElement)[]} */
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(LINK)) {
    const link = document.createElement("a");
    link.href = found[0];
    link.textContent = found[0];
    parts.push(text.slice(at, found.index), link);
    at = found.index + found[0].length;
  }
  return [...parts, text.slice(at)];
}

if (location.hash.length > 1) {
  sessionStorage.setItem(KEPT, location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = /** @type {HTMLInputElement} */ (element("key"));
  sessionStorage.setItem(KEPT, key.value.trim());
  key.value = "";
  load(null);
});
element("refresh").addEventListener("click", () => load(null));
element("more").addEventListener("click", () => load(cursor));
await load(null);
