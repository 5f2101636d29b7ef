// Verifications in a second, of messages with 1 KB, for each scheme, and what one costs of CPU. Build first. Usage: node bench.mjs [seconds]

import { createPrivateKey, constants, createHash, sign as nodeSign } from "node:crypto";

import { jwkSet, staticKeys, verify } from "./dist/index.js";
import { ATTEMPT, file, key, KEY_ID, NOW_S, request } from "./tests/samples.mjs";

const seconds = Number(process.argv[2] ?? 2);
const body = JSON.stringify({ type: "envelope.sent", timestamp: "2026-11-22T10:20:30.456Z", data: { filler: "x".repeat(946) } });
const replay = { take: async () => "new", acted: async () => {} };
const idOf = (member) => Object.keys(file.keys).find((id) => member in file.keys[id].private_for_tests);

const HTTP = {
  ed25519: [KEY_ID, (base, pkcs8) => nodeSign(null, base, pkcs8)],
  "ecdsa-p256-sha256": [idOf("ecdsa_pkcs8"), (base, key) => nodeSign("sha256", base, { key, dsaEncoding: "ieee-p1363" })],
  "rsa-pss-sha512": [idOf("rsa_pkcs8"), (base, key) => nodeSign("sha512", base, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 })],
};

function privateKey(id, algorithm) {
  const { ed25519_seed, ecdsa_pkcs8, rsa_pkcs8 } = file.keys[id].private_for_tests;
  const seed = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(ed25519_seed, "base64")]);
  const der = { ed25519: seed, "ecdsa-p256-sha256": ecdsa_pkcs8, "rsa-pss-sha512": rsa_pkcs8 }[algorithm];
  return createPrivateKey({ key: Buffer.from(der, "base64"), format: "der", type: "pkcs8" });
}

function httpRequest(algorithm) {
  const [id, sign] = HTTP[algorithm];
  const digest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
  const headers = { "webhook-key-id": id, "content-digest": digest, "webhook-event-class": "envelope", "correlation-id": "cor" };
  const given = request({ body, headers });
  const values = { "@method": "POST", "@authority": "receiver.example", "@path": "/hooks", "@query": "?", ...given.headers };
  const components = Object.keys(values).filter((name) => name !== "webhook-signature");
  const list = `(${components.map((name) => `"${name}"`).join(" ")});created=${NOW_S};keyid="${id}";alg="${algorithm}";nonce="${ATTEMPT}";tag="countersign-webhook"`;
  const base = [...components.map((name) => `"${name}": ${values[name]}`), `"@signature-params": ${list}`].join("\n");
  given.headers["signature-input"] = `countersign=${list}`;
  given.headers["signature"] = `countersign=:${sign(Buffer.from(base), privateKey(id, algorithm)).toString("base64")}:`;
  return given;
}

const plain = request({ body });
const only = (member) => staticKeys([{ id: KEY_ID, [member]: key[member] }]);
const CASES = [
  ["v1", plain, { keys: only("secret") }],
  ["v1a", plain, { keys: only("public") }],
  ...Object.keys(HTTP).map((algorithm) => [
    `http ${algorithm}`,
    httpRequest(algorithm),
    { keys: jwkSet(file.jwks), profile: "http-message-signature" },
  ]),
];

for (const [name, given, more] of CASES) {
  for (const inWork of [1, 16]) {
    const options = { replay, clock: () => NOW_S * 1000, ...more };
    const end = performance.now() + seconds * 1000;
    const before = process.cpuUsage();
    let count = 0;
    const work = async () => {
      for (; performance.now() < end; count += 1) await verify(given, options);
    };
    await Promise.all(Array.from({ length: inWork }, work));
    const { user, system } = process.cpuUsage(before);
    const costUs = Math.round((user + system) / count);
    const title = inWork === 1 ? name : `${name}, ${inWork} in work`;
    console.log(`${title}: ${Math.round(count / seconds)} a second, ${costUs} µs of CPU each`);
  }
}
