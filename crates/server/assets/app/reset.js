// The page of a mailed link that sets another password, with a second factor beside it.

import { element, fill, goOn, input, once, show, showProblem, takeSecret } from "./opening.js";
import { hasPasskeys, use, words } from "./passkey.js";
import "./reveal.js";
import { post } from "./server.js";

const secret = takeSecret(null);

async function withCode() {
  const code = input("code").value;
  const answer = await post("/reset/password", {
    secret,
    password: input("password").value,
    ...(code ? { code } : {}),
  });
  await goOn(answer);
}

async function withPasskey() {
  const asked = await (await post("/signin/passkey/options", {})).json();
  let found;
  try {
    found = await use(asked);
  } catch (error) {
    throw new Error(words(error));
  }
  await goOn(await post("/reset/password", { secret, password: input("password").value, ...found }));
}

async function look() {
  const preview = await (await post("/reset/password/open", { secret })).json();
  fill(preview);
  input("username").value = preview.email;
  element("second-part").hidden = !preview.needs_second;
  element("passkey-part").hidden = !(preview.has_passkey && hasPasskeys);
  show("choose");
}

element("reset-form").addEventListener("submit", once(element("reset-error"), withCode));
element("with-passkey").addEventListener("click", once(element("reset-error"), withPasskey));

await look().catch(showProblem);
