// The landing page: takes the secret from the fragment, which no server and no proxy sees, shows who asks for what,
// and opens a session only when the person says so.

import { showTime } from "./page.js";
import { Refused, post, timeZone } from "./server.js";

/**
 * @typedef {object} Preview
 * @property {string} organization
 * @property {string} request
 * @property {string} title
 * @property {string | null} message
 * @property {string} recipient
 * @property {string} email masked
 * @property {string | null} until ISO 8601
 * @property {string} needs
 * @property {string} action text of the button
 * @property {boolean} sandbox
 */

const base = location.pathname;
const status = element("status");
const secret = location.hash.slice(1);

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Shows one section and hides the others.
 * @param {HTMLElement} section
 */
function show(section) {
  for (const other of document.querySelectorAll("main > section")) {
    /** @type {HTMLElement} */ (other).hidden = other !== section;
  }
  const heading = section.querySelector("h1");
  status.textContent = heading?.textContent ?? "";
  document.title = `${heading?.textContent ?? ""} · Countersign`;
  heading?.focus();
}

/** @param {unknown} error */
function showProblem(error) {
  const refused = error instanceof Refused ? error.code : "internal_error";
  const about = error instanceof Refused ? error.about : undefined;
  const code = about?.by_you ? "you_declined" : refused;
  const notice = document.querySelector(`main > section[data-code="${CSS.escape(code)}"]`);
  if (notice && about) {
    const place = /** @type {HTMLElement} */ (notice.querySelector(".about"));
    for (const name of /** @type {const} */ (["title", "organization"])) {
      const words = place.querySelector(`.about-${name}`);
      if (words) words.textContent = about[name];
    }
    place.hidden = false;
    element("sandbox").hidden = !about.sandbox;
  }
  if (notice) show(/** @type {HTMLElement} */ (notice));
  else show(element("offline"));
}

/** @param {Preview} preview */
function showPreview(preview) {
  const ready = element("ready");
  const texts = { ...preview, initial: Array.from(preview.organization)[0] ?? "" };
  for (const place of ready.querySelectorAll("[data-show]")) {
    const name = /** @type {HTMLElement} */ (place).dataset.show ?? "";
    const value = texts[/** @type {keyof typeof texts} */ (name)];
    /** @type {HTMLElement} */ (place).hidden = !value;
    if (name === "until") showTime(/** @type {HTMLTimeElement} */ (place), value ?? "");
    else place.textContent = value ?? "";
  }
  element("until-name").hidden = element("until-value").hidden = !preview.until;
  element("sandbox").hidden = !preview.sandbox;
  show(ready);
}

async function look() {
  try {
    const answer = await post(`${base}/open`, { secret });
    showPreview(await answer.json());
  } catch (error) {
    showProblem(error);
  }
}

let opening = false;
async function proceed() {
  if (opening) return;
  opening = true;
  const button = element("continue");
  button.setAttribute("aria-disabled", "true");
  try {
    const answer = await post(`${base}/session`, { secret, time_zone: timeZone() });
    const { next } = await answer.json();
    // The secret leaves the address bar and this entry of the history before another page opens.
    history.replaceState(null, "", base);
    location.assign(next);
  } catch (error) {
    opening = false;
    button.removeAttribute("aria-disabled");
    if (error instanceof Refused && error.code === "no_answer") {
      element("ready-error").textContent = error.message;
    } else {
      showProblem(error);
    }
  }
}

element("continue").addEventListener("click", proceed);
element("again").addEventListener("click", look);
addEventListener("hashchange", () => location.reload());

element("opening-text").hidden = false;
if (secret) {
  await look();
} else {
  // Without a secret this may be the way back into a session of this browser.
  const answer = await post(`${base}/resume`, {}).then((found) => found.json()).catch(() => ({}));
  if (answer.next) location.replace(answer.next);
  else showProblem(new Refused("link_incomplete", ""));
}
