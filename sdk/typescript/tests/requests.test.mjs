// Requests as platforms give them, and as nobody should: every answer is a message or the package's own error.

import assert from "node:assert/strict";
import { createServer, request as send } from "node:http";
import { test } from "node:test";

import { checkOptions, jwkSet, staticKeys, verify, WebhookConfigurationError, WebhookRefused } from "../dist/index.js";
import { BODY, file, ID, KEY_ID, key, NOW_S, options, refusal, request } from "./samples.mjs";

/** Bodies that one reader takes for something else than another one does. */
const readInTwoWays = [
  '{"type":"a","type":"b","timestamp":"c","data":{}}',
  '{"type":"a","t\\u0079pe":"b","timestamp":"c","data":{}}',
  '{"type":"a","timestamp":"c","data":{"x":[{"y":1,"z":[],"y":1}]}}',
  '{"type":"a","timestamp":"c","data":{"__proto__":1,"__proto__":2}}',
  '{"type":"a","timestamp":"c","data":{"":1,"":1}}',
  '{"type":"a","timestamp":"c","data":{"x":1e999}}',
];

test("a Request of the Fetch standard is verified, and its event is typed", async () => {
  const { url, ...rest } = request();
  const message = await verify(new Request(url, rest), options());
  assert.equal(message.event.type, "envelope.sent");
  assert.equal(message.event.data.sequence, 2);
  assert.deepEqual([message.id, message.keyId, message.duplicate], [ID, KEY_ID, false]);
  assert.equal(Buffer.from(message.body).toString(), BODY);
});

test("headers may be pairs, an object, or Headers, and the body bytes, a buffer, text or a stream", async () => {
  const { headers, body, ...rest } = request();
  const stream = () => new Blob([body]).stream();
  for (const form of [headers, Object.entries(headers), new Headers(headers), new Map(Object.entries(headers))]) {
    for (const bytes of [body, body.buffer.slice(0), BODY, stream(), Buffer.from(body)]) {
      assert.equal(await refusal(verify({ ...rest, headers: form, body: bytes }, options())), "accepted");
    }
  }
});

test("a request of Node's server is verified while it arrives, and a header sent twice is refused", async () => {
  const found = [];
  const server = createServer(async (incoming, response) => {
    const given = { method: incoming.method, url: "https://receiver.example/hooks", headers: incoming.headersDistinct, body: incoming };
    found.push(await refusal(verify(given, options())));
    response.end();
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { headers, body } = request();
  for (const id of [headers["webhook-id"], [headers["webhook-id"], headers["webhook-id"]]]) {
    await new Promise((done, failed) => {
      const sent = send({ port: server.address().port, method: "POST", headers: { ...headers, "webhook-id": id } });
      sent.on("response", (response) => response.resume().on("end", done)).on("error", failed).end(body);
    });
  }
  server.close();
  assert.deepEqual(found, ["accepted", "malformed"]);
});

test("a body without an end is left after the largest size", async () => {
  let pulled = 0;
  async function* endless() {
    for (;;) {
      pulled += 1;
      yield new Uint8Array(64 * 1024);
    }
  }
  assert.equal(await refusal(verify({ ...request(), body: endless() }, options())), "too_large");
  assert.equal(pulled, 5);
});

test("a body of exactly the largest size is taken", async () => {
  const body = BODY + " ".repeat(256 * 1024 - BODY.length);
  assert.equal(await refusal(verify(request({ body }), options())), "accepted");
  assert.equal(await refusal(verify(request({ body: body + " " }), options())), "too_large");
});

test("a body that breaks off is malformed", async () => {
  async function* broken() {
    yield new Uint8Array(1);
    throw new Error("reset");
  }
  assert.equal(await refusal(verify({ ...request(), body: broken() }, options())), "malformed");
});

test("base64 is taken in its one form alone", async () => {
  // The last character before the padding of 32 or 64 bytes has bits to spare.
  const alike = (text) => text.replace(/(.)(=+)(?= |$)/g, (_, last, padding) => String.fromCharCode(last.charCodeAt(0) + 1) + padding);
  const given = request();
  const signature = alike(given.headers["webhook-signature"]);
  assert.deepEqual(Buffer.from(signature.split(" ")[0].slice(3), "base64"), Buffer.from(given.headers["webhook-signature"].split(" ")[0].slice(3), "base64"));
  assert.equal(await refusal(verify(request({ headers: { "webhook-signature": signature } }), options())), "malformed");
  assert.throws(() => staticKeys([{ id: KEY_ID, secret: alike(key.secret) }]), WebhookConfigurationError);
});

test("names that stand twice in different objects, and in strings, are no matter", async () => {
  const body = '{"type":"a","timestamp":"b","data":{"type":"{\\"a\\":1,\\"a\\":2}","x":[{"a":1},{"a":"a"},"a","a"],"y":{"a":1e308}}}';
  assert.equal(await refusal(verify(request({ body }), options())), "accepted");
});

test("a body with a right signature that is no event is refused, and its nonce is not spent", async () => {
  const given = options();
  for (const body of ["", "[]", "null", "{}", '{"type":1,"timestamp":"","data":{}}', '{"type":"a","timestamp":"b"}', "{", "[".repeat(100_000), ...readInTwoWays]) {
    assert.equal(await refusal(verify(request({ body }), given)), "not_an_event");
  }
  assert.equal(await refusal(verify({ ...request({ body: Buffer.from([0x22, 0xff, 0x22]) }) }, given)), "not_an_event");
  assert.equal(await refusal(verify(request(), given)), "accepted");
});

test("a label that stands twice is malformed, though RFC 8941 would take the last", async () => {
  const vector = file.vectors.find(({ name }) => name === "http: Ed25519");
  const given = { ...vector.request, body: new Uint8Array(Buffer.from(vector.request.body_base64, "base64")) };
  for (const [twice, code] of [["user-agent", "accepted"], ["signature", "malformed"], ["signature-input", "malformed"], ["content-digest", "malformed"]]) {
    const headers = given.headers.flatMap((pair) => (pair[0] === twice ? [pair, pair] : [pair]));
    assert.equal(await refusal(verify({ ...given, headers }, options({ keys: jwkSet(file.jwks), profile: "http-message-signature" }))), code, twice);
  }
});

test("options and keys that cannot be used are found at the start", async () => {
  for (const wrong of [{ windowSeconds: 301 }, { windowSeconds: 0.5 }, { bodyMaxBytes: 0 }, { replay: undefined }, { keys: undefined }, { profile: "v1" }]) {
    assert.throws(() => checkOptions(options(wrong)), WebhookConfigurationError);
    assert.equal(await refusal(verify(request(), options(wrong))), "unavailable");
  }
  assert.equal(await refusal(verify(request(), options({ clock: () => NaN }))), "unavailable");
  const wrongKeys = [{}, { secret: "whsec_AA==" }, { secret: key.public }, { public: key.secret }, { public: "whpk_!" }, { id: "whk_1", secret: key.secret }];
  for (const wrong of wrongKeys) {
    assert.throws(() => staticKeys([{ id: KEY_ID, ...wrong }]), WebhookConfigurationError);
  }
});

test("a refusal has code, status and a sentence, and holds nothing of the request", async () => {
  const error = await verify(request({ headers: { "webhook-id": "msg_<script>" } }), options()).catch((caught) => caught);
  assert.ok(error instanceof WebhookRefused && error instanceof Error);
  assert.deepEqual([error.code, error.status], ["malformed", 400]);
  assert.ok(error.message.endsWith(".") && !error.message.includes("script"));
});

/** Seeded, so that a failure comes again (mulberry32). */
function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  };
}

const STRANGE = [
  undefined, null, NaN, Infinity, -1, 1e308, 2 ** 53, 10n ** 40n, true, Symbol("s"), () => "x", {}, [], [[]], [null], "", " ", "\0", "\r\nx: y",
  "🦀".repeat(9), "9".repeat(5000), "-9".repeat(50), "(".repeat(500), "=:".repeat(500), "a".repeat(20_000), new Date(NaN), new Map(), /x/, { toString: null },
  { get length() { throw new Error("getter"); } }, new Proxy({}, { ownKeys() { throw new Error("proxy"); }, get() { throw new RangeError("proxy"); } }),
]; // prettier-ignore

function changed(text, roll) {
  const characters = [...String(text)];
  for (let count = 1 + roll(3); count > 0; count -= 1) {
    const position = roll(characters.length + 1);
    characters.splice(position, roll(3), String.fromCharCode(roll(2) ? 32 + roll(95) : roll(300)));
  }
  return characters.join("");
}

test("whatever comes, there is a message or the package's own error", async () => {
  const roll = dice(4);
  const small = file.vectors.filter(({ request: { body_base64 } }) => body_base64.length < 4096);
  const codes = new Map();
  for (let round = 0; round < 6000; round += 1) {
    const vector = small[roll(small.length)];
    const headers = vector.request.headers.map((pair) => [...pair]);
    const given = { ...vector.request, headers, body: new Uint8Array(Buffer.from(vector.request.body_base64, "base64")) };
    const strange = STRANGE[roll(STRANGE.length)];
    const pair = headers[roll(headers.length)];
    const act = roll(9);
    if (act < 4) pair[1] = changed(pair[1], roll);
    else if (act === 4) pair[roll(2)] = strange;
    else if (act === 5) given.headers = roll(2) ? strange : { ...Object.fromEntries(headers), [pair[0]]: strange };
    else if (act === 6) given.body = roll(2) ? strange : new Uint8Array(Array.from({ length: roll(64) }, () => roll(256)));
    else if (act === 7) given[roll(2) ? "url" : "method"] = strange;
    else headers.splice(roll(headers.length), 1);
    const profile = vector.profiles[0] === "http-message-signature" ? vector.profiles[0] : "message";
    const code = await refusal(verify(roll(500) ? given : strange, options({ profile })));
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  assert.ok(codes.size >= 6 && codes.get("malformed") > 1000, JSON.stringify([...codes]));
});

test("the clock of this machine is the default", async () => {
  const timestamp = Math.floor(Date.now() / 1000);
  assert.equal(await refusal(verify(request({ timestamp }), options({ clock: undefined }))), "accepted");
  assert.equal(await refusal(verify(request({ timestamp: NOW_S - 10 ** 8 }), options({ clock: undefined }))), "stale");
});
