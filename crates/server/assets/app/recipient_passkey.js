// The page of the passkey: makes it, or uses it to say who is here.

import "./page.js";
import { announce, element } from "./ceremony.js";
import { Refused, post } from "./server.js";
import { PasskeyFailure, makePasskey, usePasskey } from "./webauthn.js";

/**
 * @typedef {object} Asked
 * @property {string} base address of the ceremony
 * @property {string} session
 * @property {string} challenge base64url
 * @property {string} relying_party
 * @property {string} organization
 * @property {string} user base64url
 * @property {string} title
 * @property {string} name
 * @property {string | null} credential base64url, once there is a passkey
 */

/** @type {Asked} */
const asked = JSON.parse(element("passkey").dataset.passkey ?? "");
const button = element("passkey-go");
const problem = element("passkey-error");

async function ask() {
  const { session, credential } = asked;
  if (credential) {
    const assertion = await usePasskey({ ...asked, credential });
    return post(`${asked.base}/passkey/use`, { session, assertion });
  }
  const registration = await makePasskey(asked);
  return post(`${asked.base}/passkey/register`, { session, registration });
}

/** @param {unknown} error */
function show(error) {
  if (error instanceof PasskeyFailure) {
    problem.textContent = error.message;
    return;
  }
  if (!(error instanceof Refused)) throw error;
  // The ceremony has moved on, or the link is locked: the server knows which page is right.
  if (error.hasMovedOn || ["factor_locked", "wrong_state"].includes(error.code)) location.reload();
  else problem.textContent = error.message;
}

let asking = false;
button.addEventListener("click", async () => {
  if (asking) return;
  asking = true;
  button.setAttribute("aria-disabled", "true");
  problem.textContent = "";
  announce("Waiting for your passkey …");
  try {
    const answer = await ask();
    const { next } = await answer.json();
    location.replace(next);
  } catch (error) {
    asking = false;
    button.removeAttribute("aria-disabled");
    announce("");
    show(error);
  }
});

addEventListener("pageshow", (event) => {
  // Out of the browser's memory: the passkey may be made by now, and the server knows.
  if (event.persisted) location.reload();
});
