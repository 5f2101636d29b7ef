// Signing in with a passkey: by a button, or from the list that the browser shows in the address field.

import { hasPasskeys, use, words } from "./passkey.js";
import "./reveal.js";
import { post } from "./server.js";

/** A challenge lives five minutes; one that waits in the address field is renewed before that. */
const RENEWED_MS = 4 * 60_000;

const place = document.getElementById("sign-in");
const part = document.getElementById("passkey-part");
const button = document.getElementById("passkey");
const error = document.getElementById("passkey-error");
const isAgain = place?.dataset.again !== undefined;
const path = isAgain ? "/signin/again/passkey" : "/signin/passkey";
let waiting = new AbortController();
/** Whether an answer is on its way: two answers of one passkey at once would look like those of a copy. */
let isSending = false;

const ask = async () => (await post("/signin/passkey/options", {})).json();

/** @param {object} answer */
async function finish(answer) {
  if (isSending) return;
  isSending = true;
  try {
    const sent = await post(path, { ...answer, return_to: place?.dataset.returnTo });
    const { next } = await sent.json();
    location.assign(next);
  } catch (problem) {
    isSending = false;
    throw problem;
  }
}

/** @param {unknown} problem */
function tell(problem) {
  const said = words(problem);
  if (error && said) error.textContent = said;
}

async function pressed() {
  if (!button || button.getAttribute("aria-disabled") || isSending) return;
  button.setAttribute("aria-disabled", "true");
  if (error) error.textContent = "";
  waiting.abort();
  try {
    await finish(await use(await ask()));
  } catch (problem) {
    button.removeAttribute("aria-disabled");
    tell(problem);
    offer();
  }
}

/** Lets the browser offer passkeys where the address is typed, without a window in the way. */
async function offer() {
  const canOffer = await PublicKeyCredential.isConditionalMediationAvailable?.().catch(() => false);
  if (!canOffer || !document.querySelector("input[autocomplete~='webauthn']")) return;
  waiting = new AbortController();
  const { signal } = waiting;
  const renewal = setTimeout(() => {
    waiting.abort();
    offer();
  }, RENEWED_MS);
  try {
    const answer = await use(await ask(), { mediation: "conditional", signal });
    await finish(answer);
  } catch (problem) {
    if (!signal.aborted) tell(problem);
  } finally {
    clearTimeout(renewal);
  }
}

if (place?.dataset.passkeys === "true" && hasPasskeys && part && button) {
  part.hidden = false;
  button.addEventListener("click", pressed);
  offer();
}
