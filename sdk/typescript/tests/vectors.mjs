// Runs the vectors of the wire format. Prints how many were run for each profile, as JSON; ends with 1 if one came out differently.
// Usage: node tests/vectors.mjs [vectors.json]

import { readFileSync } from "node:fs";

import { jwkSet, MemoryReplayStore, staticKeys, verify, WebhookRefused } from "../dist/index.js";

const path = process.argv[2] ?? new URL("../../../docs/webhooks/vectors.json", import.meta.url);
const { vectors, keys, jwks, receiver } = JSON.parse(readFileSync(path, "utf8"));

const RECEIVERS = [["v1"], ["v1a"], ["v1", "v1a"], ["http-message-signature"]];

/** What the receiver holds: nothing that another profile needs. */
function held(ids, profiles) {
  if (profiles[0] === "http-message-signature") {
    return jwkSet({ keys: jwks.keys.filter(({ kid }) => ids.includes(kid)) });
  }
  const [secret, publicKey] = ["v1", "v1a"].map((scheme) => profiles.includes(scheme));
  return staticKeys(
    ids.map((id) => ({
      id,
      ...(secret && { secret: keys[id].secret }),
      ...(publicKey && { public: keys[id].public }),
    })),
  );
}

async function outcome(vector, profiles) {
  const replay = new MemoryReplayStore();
  for (const [id, timestampSeconds] of vector.seen) {
    const nowMilliseconds = timestampSeconds * 1000;
    const keepUntilMilliseconds = nowMilliseconds + (2 * receiver.window_s + 1) * 1000;
    await replay.take({ id, timestampSeconds, nowMilliseconds, keepUntilMilliseconds });
    await replay.acted(id, nowMilliseconds, nowMilliseconds + 35 * 86_400_000);
  }
  const { method, url, headers, body_base64 } = vector.request;
  const body = new Uint8Array(Buffer.from(body_base64, "base64"));
  const options = {
    keys: held(vector.keys, profiles),
    replay,
    windowSeconds: receiver.window_s,
    bodyMaxBytes: receiver.body_max_bytes,
    profile: profiles[0] === "http-message-signature" ? profiles[0] : "message",
    clock: () => vector.now * 1000,
  };
  try {
    const message = await verify({ method, url, headers, body }, options);
    return message.duplicate ? "duplicate" : "accepted";
  } catch (error) {
    if (!(error instanceof WebhookRefused)) return String(error.stack);
    return error.code;
  }
}

const run = {};
let wrong = 0;
for (const profiles of RECEIVERS) {
  const name = profiles.join("+");
  run[name] = 0;
  for (const vector of vectors) {
    if (!profiles.every((profile) => vector.profiles.includes(profile))) continue;
    run[name] += 1;
    const found = await outcome(vector, profiles);
    if (found !== vector.expect) {
      wrong += 1;
      console.error(`${name}: ${vector.name}: ${found}, and must be ${vector.expect}`);
    }
  }
}
console.log(JSON.stringify(run));
process.exitCode = wrong === 0 ? 0 : 1;
