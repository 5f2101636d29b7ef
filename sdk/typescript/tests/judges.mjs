// Packages of others look at the vectors: `standardwebhooks` and `svix` at `v1`, Node's own crypto at `v1a`,
// `http-message-signatures` at HTTP Message Signatures. Prints how many each took and refused, as JSON; ends with 1
// where one disagrees. Usage: node tests/judges.mjs [vectors.json]

import { createHash, createPublicKey, verify as nodeVerify } from "node:crypto";
import { readFileSync } from "node:fs";

import { createVerifier, httpbis } from "http-message-signatures";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";

const path = process.argv[2] ?? new URL("../../../docs/webhooks/vectors.json", import.meta.url);
const { vectors, keys, jwks } = JSON.parse(readFileSync(path, "utf8"));

const systemClock = Date.now;
const counts = {};
const disagreed = [];

/** What a judge that knows nothing of key ids, nonces and forms can judge. */
const GOOD = ["accepted", "duplicate", "replayed"];
const BAD = ["bad_signature", "stale", "future"];

function count(judge, vector, took) {
  const isGood = GOOD.includes(vector.expect);
  counts[judge] ??= { took: 0, refused: 0 };
  counts[judge][isGood ? "took" : "refused"] += 1;
  if (took !== isGood) disagreed.push(`${judge} ${took ? "takes" : "refuses"} "${vector.name}"`);
}

const bodyOf = (vector) => Buffer.from(vector.request.body_base64, "base64");
const headersOf = (vector) => Object.fromEntries(vector.request.headers.map(([name, value]) => [name.toLowerCase(), value]));
const heldAndNamed = (vector) => vector.keys.filter((id) => headersOf(vector)["webhook-key-id"].split(" ").includes(id));

function takes(work) {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

/** Whatever has one of these missing cannot be taken by anybody. */
const WITHOUT = ["no id", "no timestamp", "no signature", "an empty id", "an empty timestamp", "an empty signature"];

for (const vector of vectors.filter(({ profiles }) => profiles.includes("v1"))) {
  if (![...GOOD, ...BAD].includes(vector.expect) && !WITHOUT.includes(vector.name)) continue;
  const ids = WITHOUT.includes(vector.name) ? vector.keys : heldAndNamed(vector);
  Date.now = () => vector.now * 1000;
  for (const [judge, Webhook] of [["standardwebhooks", StandardWebhook], ["svix", SvixWebhook]]) { // prettier-ignore
    const took = ids.some((id) => takes(() => new Webhook(keys[id].secret).verify(bodyOf(vector), headersOf(vector))));
    count(judge, vector, took);
  }
  Date.now = systemClock;
}

/** RFC 8410: an Ed25519 key as X.509 has it. */
function publicKey(id) {
  const raw = Buffer.from(keys[id].public.slice("whpk_".length), "base64");
  const key = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  return createPublicKey({ key, format: "der", type: "spki" });
}

for (const vector of vectors.filter(({ profiles }) => profiles.includes("v1a"))) {
  if (![...GOOD, "bad_signature"].includes(vector.expect)) continue;
  const headers = headersOf(vector);
  const text = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`), bodyOf(vector)]);
  const signatures = headers["webhook-signature"].split(" ").filter((word) => word.startsWith("v1a,"));
  const isBy = (id) => signatures.some((word) => nodeVerify(null, text, publicKey(id), Buffer.from(word.slice(4), "base64")));
  count("node:crypto", vector, heldAndNamed(vector).some(isBy));
}

const ALGORITHMS = { OKP: "ed25519", EC: "ecdsa-p256-sha256", RSA: "rsa-pss-sha512" };
const COMPONENTS = "@method @authority @path @query content-type content-digest webhook-id webhook-timestamp webhook-attempt-id webhook-key-id webhook-event-class correlation-id".split(" "); // prettier-ignore
/** Out of form in a way that the package knows. */
const FORM = /^http: (without |a tag |(?!webhook-sequence)\S+ is not signed$|nothing is signed)/;

function lookup(vector) {
  return async ({ keyid, alg, tag }) => {
    if (tag !== "countersign-webhook" || !vector.keys.includes(keyid)) return null;
    const jwk = jwks.keys.find(({ kid, kty }) => kid === keyid && ALGORITHMS[kty] === alg);
    if (jwk === undefined) return null;
    return { id: keyid, algs: [alg], verify: createVerifier(createPublicKey({ key: jwk, format: "jwk" }), alg) };
  };
}

async function takesHttp(vector) {
  const { method, url } = vector.request;
  const headers = headersOf(vector);
  const digest = /sha-256=:([^:]*):/.exec(headers["content-digest"])?.[1];
  if (digest !== createHash("sha256").update(bodyOf(vector)).digest("base64")) return false;
  const config = {
    keyLookup: lookup(vector),
    requiredParams: ["created", "keyid", "alg", "nonce", "tag"],
    requiredFields: COMPONENTS,
    maxAge: 300,
    notAfter: vector.now + 300,
  };
  try {
    return (await httpbis.verifyMessage(config, { method, url, headers })) === true;
  } catch {
    return false;
  }
}

for (const vector of vectors.filter(({ profiles }) => profiles.includes("http-message-signature"))) {
  if (![...GOOD, ...BAD].includes(vector.expect) && !FORM.test(vector.name)) continue;
  Date.now = () => vector.now * 1000;
  count("http-message-signatures", vector, await takesHttp(vector));
  Date.now = systemClock;
}

for (const line of disagreed) console.error(line);
console.log(JSON.stringify(counts));
process.exitCode = disagreed.length === 0 ? 0 : 1;
