// The account page: adds a passkey.

import "./page.js";
import { deviceName, hasPasskeys, make, words } from "./passkey.js";
import { Refused, post } from "./server.js";

const part = document.getElementById("add-part");
const button = document.getElementById("add-passkey");
const error = document.getElementById("passkey-error");
const label = /** @type {HTMLInputElement | null} */ (document.getElementById("label"));

async function add() {
  if (!button || !error || !label || button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  error.textContent = "";
  try {
    const asked = await (await post("/account/passkeys/options", {})).json();
    const made = await make(asked);
    const answer = await post("/account/passkeys", { ...made, label: label.value.trim() || deviceName() });
    const { next } = await answer.json();
    location.assign(next);
  } catch (problem) {
    button.removeAttribute("aria-disabled");
    if (problem instanceof Refused && problem.code === "step_up_required") {
      location.assign("/signin/again?return_to=/account");
    } else if (problem instanceof Refused && problem.code === "sign_in_needed") {
      location.assign("/signin?return_to=/account");
    } else {
      error.textContent = words(problem);
    }
  }
}

if (part && button && label && hasPasskeys) {
  label.value = deviceName();
  part.hidden = false;
  button.addEventListener("click", add);
}
