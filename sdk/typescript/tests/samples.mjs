// Fresh messages for the tests, signed by Node's own crypto and not by the package.

import { createHmac, createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";

import { MemoryReplayStore, staticKeys } from "../dist/index.js";

const path = process.env.CS_TEST_VECTORS ?? new URL("../../../docs/webhooks/vectors.json", import.meta.url);
export const file = JSON.parse(readFileSync(path, "utf8"));

export const NOW_S = file.vectors[0].now;
export const KEY_ID = Object.keys(file.keys)[0];
export const key = file.keys[KEY_ID];
export const ID = "msg_01kb1x8a9wh5t0c8m2q4r6s7vw";
export const ATTEMPT = "att_01kb1x8a9wh5t0c8m2q4r6s7vw";
export const BODY = JSON.stringify({ type: "envelope.sent", timestamp: "2026-11-22T10:20:30.456Z", data: { sequence: 2 } });

const seed = Buffer.from(key.private_for_tests.ed25519_seed, "base64");
/** RFC 8410: the same key as PKCS #8. */
const ed25519 = createPrivateKey({
  key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]),
  format: "der",
  type: "pkcs8",
});

/** A request with right signatures over whatever is given. */
export function request({ id = ID, timestamp = NOW_S, body = BODY, headers = {} } = {}) {
  const text = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), Buffer.from(body)]);
  const secret = Buffer.from(key.secret.slice("whsec_".length), "base64");
  const v1 = createHmac("sha256", secret).update(text).digest("base64");
  const v1a = sign(null, text, ed25519).toString("base64");
  return {
    method: "POST",
    url: "https://receiver.example/hooks",
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `v1,${v1} v1a,${v1a}`,
      "webhook-key-id": KEY_ID,
      "webhook-attempt-id": ATTEMPT,
      ...headers,
    },
    body: new Uint8Array(Buffer.from(body)),
  };
}

export function options(more = {}) {
  return {
    keys: staticKeys([{ id: KEY_ID, secret: key.secret, public: key.public }]),
    replay: new MemoryReplayStore(),
    clock: () => NOW_S * 1000,
    ...more,
  };
}

/** The code of the refusal that `promise` ends with. Anything else fails the test. */
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    if (error?.name === "WebhookRefused") return error.code;
    throw error;
  }
  return "accepted";
}
