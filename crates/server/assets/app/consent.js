// The disclosure: tells the server once that it was shown, and sends the agreement after that.

import "./page.js";
import { Refused, post } from "./server.js";

const disclosure = /** @type {HTMLElement} */ (document.getElementById("disclosure"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("consent-form"));
const error = /** @type {HTMLElement} */ (document.getElementById("consent-error"));

/** @type {Promise<unknown> | null} */
let shown = null;

function reportShown() {
  shown ??= post(disclosure.dataset.shown ?? "", { session: disclosure.dataset.session }).catch((problem) => {
    shown = null;
    throw problem;
  });
  return shown;
}

new IntersectionObserver((entries, observer) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  observer.disconnect();
  // If this fails, the agreement below tries again and tells the reader.
  reportShown().catch(() => {});
}).observe(disclosure);

let sent = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sent) return;
  sent = true;
  const button = form.querySelector("button");
  button?.setAttribute("aria-disabled", "true");
  try {
    await reportShown();
    form.submit();
  } catch (problem) {
    sent = false;
    button?.removeAttribute("aria-disabled");
    if (problem instanceof Refused && problem.code !== "no_answer") location.reload();
    else error.textContent = "The server did not answer. Check your connection and try again.";
  }
});

addEventListener("pageshow", () => {
  sent = false;
  form.querySelector("button")?.removeAttribute("aria-disabled");
});
