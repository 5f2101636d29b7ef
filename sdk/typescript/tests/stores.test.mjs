// What was seen before, in each store; and the JWK set that is kept.

import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { FileReplayStore } from "../dist/file.js";
import { MemoryReplayStore, RedisReplayStore, RemoteJwkSet, verify, WebhookConfigurationError, WebhookRefused } from "../dist/index.js";
import { file, ID, KEY_ID, NOW_S, options, refusal, request } from "./samples.mjs";

const folder = mkdtempSync(join(tmpdir(), "countersign-webhooks-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

/** The three calls of Redis that are used, with a clock of the test. */
class FakeRedis {
  entries = new Map();
  clock = () => NOW_S * 1000;
  get(key) {
    const entry = this.entries.get(key);
    return Promise.resolve(entry && entry.until > this.clock() ? entry.value : null);
  }
  async set(key, value, { NX, PX }) {
    if (NX && (await this.get(key)) !== null) return null;
    this.entries.set(key, { value, until: this.clock() + PX });
    return "OK";
  }
}

const STORES = {
  memory: async () => ({ store: new MemoryReplayStore() }),
  file: async () => ({ store: await FileReplayStore.open(join(folder, `${Math.random()}`), { clock: () => NOW_S * 1000 }) }),
  redis: async () => {
    const client = new FakeRedis();
    return { store: new RedisReplayStore(client), move: (clock) => (client.clock = clock) };
  },
};

for (const [name, open] of Object.entries(STORES)) {
  test(`${name}: an attempt is taken once, a retry is a duplicate when the message was acted on`, async () => {
    const { store, move } = await open();
    let nowS = NOW_S;
    const clock = () => nowS * 1000;
    move?.(clock);
    const given = options({ replay: store, clock });
    const first = await verify(request(), given);
    assert.equal(await refusal(verify(request(), given)), "replayed");
    nowS += 5;
    assert.equal((await verify(request({ timestamp: nowS }), given)).duplicate, false, "it was not acted on yet");
    await first.acted();
    nowS += 30;
    assert.equal((await verify(request({ timestamp: nowS }), given)).duplicate, true);
    assert.equal(await refusal(verify(request({ timestamp: nowS }), given)), "replayed");
    nowS += 34 * 86_400;
    assert.equal((await verify(request({ timestamp: nowS }), given)).duplicate, true);
    nowS += 2 * 86_400;
    assert.equal((await verify(request({ timestamp: nowS }), given)).duplicate, false, "ids are kept for 35 days");
    await store.close?.();
  });

  test(`${name}: a nonce is kept for as long as its timestamp is taken`, async () => {
    const { store, move } = await open();
    let nowMs = NOW_S * 1000 + 900;
    move?.(() => nowMs);
    const given = options({ replay: store, clock: () => nowMs });
    const timestamp = NOW_S + 300;
    assert.equal(await refusal(verify(request({ timestamp }), given)), "accepted");
    nowMs = (timestamp + 300) * 1000 + 999;
    assert.equal(await refusal(verify(request({ timestamp }), given)), "replayed");
    nowMs += 1;
    assert.equal(await refusal(verify(request({ timestamp }), given)), "stale");
    await store.close?.();
  });

  test(`${name}: of fifty calls with one attempt, one is taken`, async () => {
    const { store } = await open();
    const given = options({ replay: store });
    const found = await Promise.all(Array.from({ length: 50 }, () => refusal(verify(request(), given))));
    assert.equal(found.filter((code) => code === "accepted").length, 1);
    assert.equal(found.filter((code) => code === "replayed").length, 49);
    await store.close?.();
  });
}

test("a forged message leaves nothing in the store", async () => {
  const given = options();
  const forged = { ...request(), body: new Uint8Array(3) };
  assert.equal(await refusal(verify(forged, given)), "bad_signature");
  assert.equal(await refusal(verify(request(), given)), "accepted");
});

test("a store that fails, or says something strange, refuses", async () => {
  for (const take of [() => Promise.reject(new Error("down")), () => { throw new Error("down"); }, async () => "perhaps", async () => undefined]) { // prettier-ignore
    assert.equal(await refusal(verify(request(), options({ replay: { take } }))), "unavailable");
  }
  const full = options({ replay: new MemoryReplayStore({ entriesMax: 1 }) });
  assert.equal(await refusal(verify(request(), full)), "accepted");
  assert.equal(await refusal(verify(request({ timestamp: NOW_S + 1 }), full)), "unavailable");
});

test("the file survives a restart, also one in the middle of a line", async () => {
  const path = join(folder, "restart");
  const open = () => FileReplayStore.open(path, { clock: () => NOW_S * 1000 });
  const crashed = await open();
  await (await verify(request(), options({ replay: crashed }))).acted();
  appendFileSync(path, `n ${ID}.17953`);
  const store = await open();
  const given = options({ replay: store });
  assert.equal(await refusal(verify(request(), given)), "replayed");
  assert.equal((await verify(request({ timestamp: NOW_S + 5 }), given)).duplicate, true);
  await store.close();
  await crashed.close();
  assert.equal(await refusal(verify(request({ timestamp: NOW_S + 6 }), given)), "unavailable");
  assert.equal(readFileSync(path, "latin1").split("\n").length, 1 + 2 + 1 + 1, "heading, nonce, id, nonce");
});

test("the file is written anew when most of it is over", async () => {
  const path = join(folder, "growth");
  let nowMs = NOW_S * 1000;
  const store = await FileReplayStore.open(path, { clock: () => nowMs });
  const takes = Array.from({ length: 10_500 }, (_, index) =>
    store.take({ id: ID, timestampSeconds: index, nowMilliseconds: nowMs, keepUntilMilliseconds: nowMs + 10 }),
  );
  await Promise.all(takes);
  nowMs += 1000;
  for (let index = 0; index < 3; index += 1) {
    const attempt = { id: ID, timestampSeconds: 20_000 + index, nowMilliseconds: nowMs, keepUntilMilliseconds: nowMs + 10 };
    assert.equal(await store.take(attempt), "new");
  }
  await store.close();
  await (await FileReplayStore.open(path, { clock: () => nowMs })).close();
  assert.equal(readFileSync(path, "latin1").split("\n").length, 5, "heading and three nonces");
});

test("a file of something else is not touched", async () => {
  const path = join(folder, "other");
  for (const text of ["passwords\n", "countersign-webhook-replay 1\nn nothing\n", "countersign-webhook-replay 2\n"]) {
    writeFileSync(path, text);
    await assert.rejects(FileReplayStore.open(path), WebhookConfigurationError);
    assert.equal(readFileSync(path, "latin1"), text);
  }
});

/** A JWK set whose content, answer and clock the test moves. */
function remote() {
  const state = { nowS: NOW_S, asked: 0, keys: file.jwks.keys, answer: undefined };
  const fetch = async (url, init) => {
    state.asked += 1;
    assert.equal(url, "https://sign.example/webhooks/whe_1/jwks.json");
    assert.equal(init.redirect, "error");
    if (state.answer !== undefined) return state.answer();
    return Response.json({ keys: state.keys });
  };
  const keys = new RemoteJwkSet("https://sign.example/webhooks/whe_1/jwks.json", { fetch });
  const find = (id = KEY_ID) => keys.find([id], state.nowS * 1000).then((found) => found.length > 0);
  return { state, find, keys };
}

test("a JWK set is fetched once in five minutes", async () => {
  const { state, find, keys } = remote();
  assert.deepEqual(await Promise.all(Array.from({ length: 9 }, () => find())), Array(9).fill(true));
  state.nowS += 299;
  assert.ok(await find());
  assert.equal(state.asked, 1);
  state.nowS += 1;
  assert.ok(await find());
  assert.equal(state.asked, 2);
  assert.equal(await refusal(verify(request(), options({ keys }))), "accepted");
});

test("a key id that is not known makes us ask once in a minute, and a revoked key is gone with the next set", async () => {
  const { state, find } = remote();
  const unknown = Object.keys(file.keys).at(-1);
  assert.ok(await find());
  for (let count = 0; count < 5; count += 1) assert.equal(await find(unknown), false);
  assert.equal(state.asked, 1);
  state.nowS += 60;
  for (let count = 0; count < 5; count += 1) assert.equal(await find(unknown), false);
  assert.equal(state.asked, 2);
  state.keys = [];
  state.nowS += 300;
  assert.equal(await find(), false);
});

test("the last good set serves for a day while fetches fail, and without one nobody is refused for good", async () => {
  let pulled = 0;
  const answers = {
    refused: () => Promise.reject(new TypeError("fetch failed")),
    missing: () => new Response("", { status: 404 }),
    text: () => new Response("<html>"),
    "another shape": () => Response.json({ keys: {} }),
    endless: () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array((pulled += 9999) && 9999)) })),
  };
  for (const [name, answer] of Object.entries(answers)) {
    const { state, find, keys } = remote();
    assert.ok(await find());
    state.answer = answer;
    state.nowS += 86_399;
    assert.ok(await find(), name);
    assert.ok(await find(), name);
    assert.equal(state.asked, 2, "one failure is enough for a minute");
    state.nowS += 1;
    await assert.rejects(find(), name);
    const now = state.nowS;
    const late = options({ keys, clock: () => now * 1000 });
    assert.equal(await refusal(verify(request({ timestamp: now }), late)), "unavailable");
    state.answer = undefined;
    state.nowS += 60;
    assert.ok(await find(), name);
  }
  assert.ok(pulled > 0 && pulled < 4 * 64 * 1024, "an answer without an end is left");
});

test("why there are no keys is told", async () => {
  const failed = (cause) => () => Promise.reject(new TypeError("fetch failed", { cause }));
  const large = () => new Response(" ".repeat(64 * 1024 + 1));
  const answers = [
    [failed(Object.assign(new AggregateError([]), { code: "ECONNREFUSED" })), "fetch failed (ECONNREFUSED)"],
    [() => Promise.reject(new DOMException("", "TimeoutError")), "no whole answer came within 5 s"],
    [() => new Response("", { status: 404 }), "it was answered with 404"],
    [() => new Response("<html>"), "it is no JSON"],
    [() => Response.json({ keys: {} }), "it is JSON and no JWK set"],
    [large, "it is larger than 65536 bytes"],
  ];
  for (const [answer, why] of answers) {
    const { state, find, keys } = remote();
    state.answer = answer;
    const ours = options({ keys, clock: () => state.nowS * 1000 });
    // Also while it is not asked again.
    for (let count = 0; count < 2; count += 1) {
      const error = await verify(request({ timestamp: state.nowS }), ours).catch((thrown) => thrown);
      assert.ok(error instanceof WebhookRefused && error.cause instanceof Error);
      assert.deepEqual([error.code, error.status], ["unavailable", 503]);
      assert.ok(error.message.includes(`could not be fetched: ${why}`), error.message);
    }
    assert.ok(keys.failure.startsWith(why), keys.failure);
    // A set without this key, and one that cannot be fetched anew.
    Object.assign(state, { answer: undefined, keys: file.jwks.keys.slice(-1), nowS: state.nowS + 10 });
    assert.equal(await find(), false);
    assert.equal(keys.failure, undefined);
    Object.assign(state, { answer, nowS: state.nowS + 60 });
    const error = await verify(request({ timestamp: state.nowS }), ours).catch((thrown) => thrown);
    assert.equal(error.code, "unknown_key");
    assert.ok(error.message.includes(`The JWK set: ${why}`), error.message);
  }
  const { state, keys } = remote();
  state.keys = [];
  const error = await verify(request(), options({ keys })).catch((thrown) => thrown);
  assert.ok(error.code === "unknown_key" && error.message.includes("The JWK set: no key in it can be used here."), error.message);
});

test("keys of a set that cannot be used are skipped", async () => {
  const { state, find } = remote();
  const [good] = file.jwks.keys;
  const curve = { kty: "EC", crv: "P-256", kid: good.kid, x: good.x, y: good.x };
  const rsa = { kty: "RSA", kid: good.kid, n: "AAAA" + "AQAB".repeat(85), e: "AQAB" };
  state.keys = [null, 1, {}, { ...good, use: "enc" }, { ...good, alg: "none" }, { ...good, x: "AA" }, { ...good, kid: 7 }, curve, rsa];
  assert.equal(await find(), false);
  state.keys = [...state.keys, good];
  state.nowS += 60;
  assert.equal(await find(), true);
});

test("a JWK set is fetched by https alone, but for this machine", () => {
  for (const url of ["http://sign.example/jwks.json", "ftp://sign.example", "jwks.json", 7, undefined]) {
    assert.throws(() => new RemoteJwkSet(url), WebhookConfigurationError);
  }
  new RemoteJwkSet("http://127.0.0.1:8080/jwks.json");
});
