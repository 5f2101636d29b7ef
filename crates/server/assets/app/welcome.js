// The page that makes somebody a member: with a new account, or with one that there is.

import { element, fill, goOn, input, once, show, showProblem, takeSecret } from "./opening.js";
import { deviceName, hasPasskeys, make, words } from "./passkey.js";
import "./reveal.js";
import { post } from "./server.js";

const KEPT = "countersign invitation";
const secret = takeSecret(KEPT);
let state = "";

const name = () => {
  const value = input("name").value.trim();
  if (value) return value;
  input("name").focus();
  throw new Error("Type your name first.");
};

async function withPasskey() {
  const asked = await (await post("/welcome/passkey/options", { secret, name: name() })).json();
  let made;
  try {
    made = await make(asked);
  } catch (error) {
    throw new Error(words(error));
  }
  const answer = await post("/welcome/passkey", { secret, ...made, label: deviceName() });
  sessionStorage.removeItem(KEPT);
  await goOn(answer);
}

async function withPassword() {
  const password = input("password").value;
  const codes = await (await post("/welcome/codes", { secret, name: name(), password })).json();
  state = codes.state;
  element("qr").setAttribute("viewBox", `0 0 ${codes.size} ${codes.size}`);
  element("qr-path").setAttribute("d", codes.path);
  element("qr-text").textContent = codes.text;
  /** @type {HTMLAnchorElement} */ (element("qr-link")).href = codes.address;
  show("codes");
}

async function finishCodes() {
  const code = input("first-code").value;
  const answer = await post("/welcome/codes/finish", { secret, state, code });
  sessionStorage.removeItem(KEPT);
  await goOn(answer);
}

async function withProvider() {
  const answer = await post("/welcome/provider", { secret, name: name() });
  // The secret waits in this tab, in case nothing comes of it.
  sessionStorage.setItem(KEPT, secret);
  await goOn(answer);
}

async function join() {
  const answer = await post("/welcome/join", { secret });
  sessionStorage.removeItem(KEPT);
  await goOn(answer);
}

async function look() {
  const preview = await (await post("/welcome/open", { secret })).json();
  fill({ ...preview, initial: Array.from(preview.organization)[0] ?? "" });
  if (preview.has_account) {
    element("sign-in-part").hidden = preview.is_signed_in;
    element("join-part").hidden = !preview.is_signed_in;
    show("existing");
    return;
  }
  element("passkey-part").hidden = !(preview.has_passkeys && hasPasskeys);
  element("provider-part").hidden = !preview.has_provider;
  show("begin");
}

element("with-passkey").addEventListener("click", once(element("begin-error"), withPasskey));
element("with-provider").addEventListener("click", once(element("begin-error"), withProvider));
element("begin-form").addEventListener("submit", once(element("begin-error"), withPassword));
element("codes-form").addEventListener("submit", once(element("codes-error"), finishCodes));
element("join").addEventListener("click", once(element("join-error"), join));
element("to-sign-in").addEventListener("click", () => {
  // The secret waits in this tab while its owner signs in.
  sessionStorage.setItem(KEPT, secret);
  location.assign("/signin?return_to=/welcome");
});

await look().catch(showProblem);
