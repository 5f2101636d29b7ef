// What pages of one-time links have in common: the secret is taken from the fragment, which no server and no proxy sees,
// and one section is shown at a time.

import { Refused } from "./server.js";

/** @param {string} id */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** @param {string} id */
export const input = (id) => /** @type {HTMLInputElement} */ (element(id));

/**
 * The secret of the link; it leaves the address bar. `kept` is where it waits while its owner signs in.
 * @param {string | null} kept
 */
export function takeSecret(kept) {
  let secret = location.hash.slice(1);
  if (secret) history.replaceState(null, "", location.pathname);
  else if (kept) secret = sessionStorage.getItem(kept) ?? "";
  addEventListener("hashchange", () => location.reload());
  return secret;
}

/** @param {string} id of the section to show; the others are hidden */
export function show(id) {
  const section = element(id);
  for (const other of document.querySelectorAll("main > section")) {
    /** @type {HTMLElement} */ (other).hidden = other !== section;
  }
  const heading = section.querySelector("h1");
  element("status").textContent = heading?.textContent ?? "";
  document.title = `${heading?.textContent ?? ""} · Countersign`;
  heading?.focus();
}

/** @param {Record<string, unknown>} values for the places that name them */
export function fill(values) {
  for (const place of document.querySelectorAll("[data-show]")) {
    const name = /** @type {HTMLElement} */ (place).dataset.show ?? "";
    place.textContent = String(values[name] ?? "");
  }
}

/** @param {unknown} error */
export function showProblem(error) {
  const missing = "Part of the link is missing, or it is not one of this server.";
  const said = error instanceof Refused && error.code !== "not_found" ? error.message : missing;
  element("problem-text").textContent = said;
  show("problem");
}

/**
 * Runs one thing at a time for a form, and says what was wrong.
 * @param {HTMLElement} place for what was wrong
 * @param {() => Promise<void>} work
 */
export function once(place, work) {
  let busy = false;
  return async (/** @type {Event | undefined} */ event) => {
    event?.preventDefault();
    if (busy) return;
    busy = true;
    place.textContent = "";
    for (const button of document.querySelectorAll("main button")) button.setAttribute("aria-disabled", "true");
    try {
      await work();
    } catch (error) {
      place.textContent = error instanceof Error ? error.message : "";
    } finally {
      busy = false;
      for (const button of document.querySelectorAll("main button")) button.removeAttribute("aria-disabled");
    }
  };
}

/** @param {Response} answer that names the next page */
export async function goOn(answer) {
  const { next } = await answer.json();
  location.assign(next);
}
